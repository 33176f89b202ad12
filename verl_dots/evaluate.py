"""Evaluate a model on data sets: avg@k, pass@k, maj@k.

    python -m verl_dots.evaluate runs/mine --data math500.parquet aime24.parquet --rollouts 16 \\
        actor_rollout_ref.rollout.name=vllm data.max_prompt_length=1024 data.max_response_length=6144 \\
        actor_rollout_ref.rollout.val_kwargs.temperature=0.6 actor_rollout_ref.rollout.val_kwargs.top_p=0.95
    python -m verl_dots.evaluate models/tiny --data data/arithmetic/val.parquet device=cpu

CHECKPOINT is a Hugging Face model (folder or hub id), a checkpoint of verl's (global_step_N; its shards are merged
once, into actor/merged-DTYPE), or a run folder, of which the newest checkpoint is taken. Everything of the form
KEY=VALUE is an override of the training config, with the same defaults: actor_rollout_ref.rollout.val_kwargs samples,
greedily unless a temperature is set. --out then holds generations.parquet, evaluation.json and evaluation.md. An
evaluation that stops resumes when the same command is repeated.
"""

import json
import logging
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from verl_dots.guard import guarded

if __name__ == "__main__":
    guarded("evaluate", "the same command continues where it was")

import pyarrow as pa
from omegaconf import DictConfig, OmegaConf

from verl_dots.data.asked_questions import AskedQuestion
from verl_dots.data.file_lists import QuestionError
from verl_dots.evaluation import storage, summary, tables
from verl_dots.evaluation.answers import AnswerReader
from verl_dots.evaluation.checkpoints import find_checkpoint, require_as_saved
from verl_dots.evaluation.configure import configure, parse, settings_for
from verl_dots.evaluation.data_sets import DataSet, read_data_sets
from verl_dots.evaluation.grading import grader
from verl_dots.evaluation.storage import Generation, GenerationJournal
from verl_dots.evaluation.summary import Result
from verl_dots.files import OutputError, holds_json, require_own
from verl_dots.generation.generation import GenerationError, RolloutServers, Sampling
from verl_dots.generation.responses import WholeGroups
from verl_dots.generation.scoring import RewardError, RewardFunction
from verl_dots.generation.standalone import tokenized
from verl_dots.launch.machine_checks import try_writing
from verl_dots.launch.model_checks import require_model
from verl_dots.settings import ConfigError
from verl_dots.terminal import errors, output
from verl_dots.training.run_folder import versions, write_text

logger = logging.getLogger(__name__)

BAD_INPUT, FAILED, INTERRUPTED = 2, 1, 130
JSON_FILE, TEXT_FILE = "evaluation.json", "evaluation.md"


def evaluate(options: Namespace) -> tuple[list[Result], Path]:
    """Generate what is not there yet, and write the results; they, and the folder that holds them.

    Raises:
        ConfigError, QuestionError: bad input; nothing was started.
        GenerationError: a server failed; what is done is kept in the journal.
    """
    checkpoint = find_checkpoint(options.checkpoint)
    if checkpoint.folder is None:
        require_model(checkpoint.model, "a run folder, one of its global_step_N, a model folder or a hub id")
        if options.out is None:
            text = f"--out is missing: {options.checkpoint!r} is a hub id, which has no folder here"
            raise ConfigError(text, key="--out", reason="missing")
    out = options.out or checkpoint.folder / "evaluation"
    try_writing("--out", str(out))
    require_own(out, (JSON_FILE, TEXT_FILE), holds_json("checkpoint", "results", "settings"), f"--out {out}")
    config = configure(options, checkpoint)
    data_sets = read_data_sets(options.data, config.data.prompt_key, options.limit)
    require_as_saved(checkpoint)
    reward, reader = RewardFunction(config), AnswerReader()
    try:
        if checkpoint.shards is not None:
            from verl_dots.evaluation.merging import merged  # imports verl

            trusted = bool(config.actor_rollout_ref.model.get("trust_remote_code", False))
            model = merged(checkpoint.shards, config.actor_rollout_ref.rollout.dtype, trusted)
            OmegaConf.update(config, "actor_rollout_ref.model.path", str(model))
        settings = settings_for(config, data_sets)
        generations = _generations(options, out, config, data_sets, settings, reward, reader)
        results = summary.summarise(generations, reader.same)
    finally:
        reward.close()
        reader.close()
    content = {"checkpoint": checkpoint.name, "results": summary.to_json(results), "settings": settings}
    write_text(out / JSON_FILE, json.dumps(content, indent=2, allow_nan=False) + "\n")
    write_text(out / TEXT_FILE, tables.document(checkpoint.name, results, settings))
    return results, out


def _generations(
    options: Namespace, out: Path, config: DictConfig, data_sets: Sequence[DataSet], settings: dict[str, Any],
    reward: RewardFunction, reader: AnswerReader,
) -> pa.Table:  # fmt: skip
    """The generations of these settings, from the file of a finished evaluation or from the model."""
    path = out / storage.GENERATIONS
    if path.exists():
        found = storage.read_generations(path, settings)
        logger.info("%s is complete already", path)
        return found
    journal = GenerationJournal(out / storage.JOURNAL, settings)
    generate(config, data_sets, journal, reward, reader)
    provenance = {
        "settings": settings,
        "checkpoint": options.checkpoint,
        "data": options.data,
        "versions": versions(),
    }
    table = storage.write_generations(path, data_sets, journal.done, provenance)
    journal.remove()
    return table


def generate(
    config: DictConfig,
    data_sets: Sequence[DataSet],
    journal: GenerationJournal,
    reward: RewardFunction,
    reader: AnswerReader,
) -> None:
    """Roll out the questions that the journal lacks.

    Raises:
        ConfigError: the model cannot be read, or a prompt is too long or refused; nothing was started.
        GenerationError: a server failed.
    """
    servers = RolloutServers(config)
    rollout = servers.config.actor_rollout_ref.rollout
    questions = [(each.label, question) for each in data_sets for question in each.questions]
    tokens = tokenized(servers.tokenize, [question.row["prompt"] for _, question in questions])
    _check_prompts(questions, tokens, rollout.prompt_length)
    todo = [place for place, (label, question) in enumerate(questions) if (label, question.id) not in journal.done]
    if len(todo) < len(questions):
        logger.info("%d of %d questions are done already", len(questions) - len(todo), len(questions))
    if not todo:
        return
    rollouts, sampling = int(rollout.val_kwargs.n), Sampling.of(rollout.val_kwargs)
    ends = ending_tokens(config.actor_rollout_ref.model.path, servers.tokenizer)
    grade = grader(reward.judge, reader, rollout.response_length, ends)

    def keep(place: int, generations: Sequence[Generation]) -> None:
        label, question = questions[todo[place]]
        journal.add((label, question.id), list(generations))

    groups = WholeGroups([questions[place][1] for place in todo], rollouts, grade, keep)
    with journal, servers:
        servers.generate([tokens[place] for place in todo], rollouts, groups.add, sampling=sampling)


def ending_tokens(path: str, tokenizer: Any) -> set[int]:
    """Tokens that end a response: the tokenizer's, and those of the model's generation config."""
    from transformers import GenerationConfig

    try:
        given = GenerationConfig.from_pretrained(path).eos_token_id
    except OSError:
        given = None
    found = [*(given if isinstance(given, list | tuple) else [given]), tokenizer.eos_token_id]
    return {int(token) for token in found if token is not None}


def _check_prompts(questions: Sequence[tuple[str, AskedQuestion]], tokens: Sequence[list[int]], most: int) -> None:
    """A question left out would change what the mean of the others stands for. (Of a hub id nothing is checked yet.)"""
    too_long = [label for (label, _), ids in zip(questions, tokens, strict=True) if len(ids) > most]
    if too_long:
        raise ConfigError(
            f"{len(too_long)} prompts ({', '.join(sorted(set(too_long)))}) are longer than data.max_prompt_length="
            f"{most}, the longest has {max(map(len, tokens))} tokens; raise it",
            key="data.max_prompt_length",
            reason="size",
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0, 1 (failed on the way, repeat to continue) or 2 (bad input)."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    try:
        results, out = evaluate(parse(arguments, __doc__))
    except (ConfigError, QuestionError, OutputError) as error:
        errors().print(f"evaluate: {error}")
        return BAD_INPUT
    except (GenerationError, RewardError) as error:
        errors().print(f"evaluate: {error}")
        return FAILED
    except KeyboardInterrupt:
        errors().print("evaluate: interrupted; the same command continues where it was")
        return INTERRUPTED
    console = output()
    console.print("\n".join([tables.table(results), "", *(f"{note}\n" for note in tables.notes(results))]))
    console.print(f"Evaluation: {out / TEXT_FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
