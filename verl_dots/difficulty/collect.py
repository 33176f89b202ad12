"""How often a model answers each question right, as labels for the difficulty predictor.

    python -m verl_dots.difficulty.collect train.parquet --model models/base --out labels.parquet --rollouts 8 \\
        actor_rollout_ref.rollout.name=vllm actor_rollout_ref.rollout.tensor_model_parallel_size=2 \\
        trainer.n_gpus_per_node=8 data.max_response_length=4096
    python -m verl_dots.difficulty.collect train.parquet --model models/tiny --out labels.parquet --device cpu
    python -m verl_dots.difficulty.collect train.parquet --from-rollouts runs/a/rollouts --out labels.parquet

Everything of the form KEY=VALUE is an override of the training config, with the same defaults as a training run:
temperature and top-p too, actor_rollout_ref.rollout.temperature=1.0 and top_p=1.0 (the DOTS paper rolls out with
temperature=0.6 and top_p=0.95). A collection that stops goes on where it was when the same command is repeated.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from verl_dots.guard import guarded

if __name__ == "__main__":
    guarded("collect", "the same command continues where it was")

import numpy as np
import pyarrow.parquet as pq
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from verl_dots.difficulty.collection.from_logs import collect_from_logs
from verl_dots.difficulty.collection.provenance import settings_of
from verl_dots.difficulty.collection.question_rows import Question, read_questions_with_rows
from verl_dots.difficulty.collection.rates import (
    ProgressFile,
    RewardOutOfRange,
    RewardRange,
    read_provenance,
    write_labels,
)
from verl_dots.difficulty.collection.tally import Tally
from verl_dots.files import OutputError, try_output
from verl_dots.generation.generation import GenerationError, Response, RolloutServers
from verl_dots.generation.scoring import RewardFunction
from verl_dots.journal import require_same_settings
from verl_dots.launch.machine_checks import check_machine
from verl_dots.launch.start import prepare_environment, validate
from verl_dots.main import compose
from verl_dots.settings import ConfigError
from verl_dots.training.run_folder import versions

logger = logging.getLogger(__name__)

ROLLOUTS = 8
BAD_INPUT, FAILED, INTERRUPTED = 2, 1, 130
# Servers that stand alone: the weights are the model's own, and nothing else needs the GPU's memory.
STANDALONE = (
    "actor_rollout_ref.rollout.load_format=auto",
    "actor_rollout_ref.rollout.gpu_memory_utilization=0.85",
)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; `data` holds the files, `overrides` what is KEY=VALUE."""
    parser = argparse.ArgumentParser(
        prog="python -m verl_dots.difficulty.collect",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", nargs="*", metavar="DATA.parquet | KEY=VALUE", help="verl-schema files; overrides")
    parser.add_argument("--model", help="folder or hub id of the model to measure")
    parser.add_argument("--out", type=Path, required=True, help="label file to write (parquet)")
    parser.add_argument("--rollouts", type=int, help=f"responses to each question (default: {ROLLOUTS})")
    parser.add_argument("--device", choices=("cpu", "gpu"), help="cpu: the hf engine, no GPU needed (default: gpu)")
    parser.add_argument("--questions", type=int, help="measure this many questions, drawn at random (default: all)")
    parser.add_argument("--seed", type=int, help="of the draw and the responses (default: dots.seed of the config, 1)")
    parser.add_argument(
        "--reward-range", type=float, nargs=2, default=(0.0, 1.0), metavar=("LOW", "HIGH"),
        help="rewards of failure and of success, for a reward function outside of 0 to 1 (default: 0 1)",
    )  # fmt: skip
    parser.add_argument("--from-rollouts", type=Path, metavar="FOLDER", help="count what a run kept there instead")
    parser.add_argument("--from-run", type=Path, metavar="RUN_FOLDER", help="the same, its folder and data by the run")
    parser.add_argument("--last-steps", type=int, metavar="N", help="with --from-*: only the newest N steps")
    options = parser.parse_intermixed_args(arguments)
    given = options.data
    options.overrides = [word for word in given if "=" in word and not os.path.exists(word)]
    options.data = [word for word in given if word not in options.overrides]
    return options


def configure(options: argparse.Namespace) -> DictConfig:
    """The config for the options and overrides, checked.

    Raises:
        ConfigError: an option or override is wrong, or there is no such model.
    """
    options.rollouts = ROLLOUTS if options.rollouts is None else options.rollouts
    if not options.model:
        raise ConfigError("--model is missing: a folder or hub id (or use --from-rollouts FOLDER)")
    overrides = list(STANDALONE)
    if options.device:
        overrides.append(f"device={options.device}")
    if options.seed is not None:
        overrides.append(f"dots.seed={options.seed}")
    overrides += options.overrides
    # Before verl is imported, which hydra does to find its config.
    prepare_environment(cpu=any(word in ("device=cpu", "trainer.device=cpu") for word in overrides))
    config = compose(overrides)
    OmegaConf.update(config, "actor_rollout_ref.model.path", options.model)
    for key in ("data.train_files", "data.val_files"):
        OmegaConf.update(config, key, list(options.data))
    validate(config, data=False, train=False)  # rows are checked as they are read
    check_machine(config, train=False)
    rollout = config.actor_rollout_ref.rollout
    if rollout.temperature == 0 and options.rollouts > 1:
        logger.warning("temperature=0: the %d responses to a question will all be the same", options.rollouts)
    return config


def require_options(options: argparse.Namespace) -> None:
    """Refuse numbers that cannot work, and a place for the labels that cannot be written.

    Raises:
        ConfigError: the option, its value and what it must be.
    """
    for option, value, least in (
        ("--rollouts", options.rollouts, 1),
        ("--questions", options.questions, 1),
        ("--seed", options.seed, 0),
        ("--last-steps", options.last_steps, 1),
    ):
        if value is not None and value < least:
            raise ConfigError(f"{option} {value}: must be at least {least}")
    if not options.out.exists():  # what is complete is only read
        try:
            try_output(options.out, options.data)
        except OutputError as error:
            raise ConfigError(str(error)) from error
    elif options.out.is_dir():
        raise ConfigError(f"--out {options.out} is a folder; name a file in it")


def collect_with_model(options: argparse.Namespace) -> dict[str, int]:
    """Roll the questions out and write their labels; how many there are, and how many were left out and why.

    Raises:
        ConfigError: bad input; nothing was started.
        GenerationError, RewardOutOfRange: failed on the way; what is done is kept in the progress file.
    """
    config = configure(options)
    questions = read_questions_with_rows(options.data, config.data.prompt_key, options.questions, config.dots.seed)
    settings = settings_of(config, questions, options.rollouts)
    interval = [options.reward_range.low, options.reward_range.high]
    if options.out.exists():
        there = read_provenance(options.out)
        finished = {**there.get("settings", {}), "reward_range": there.get("reward_range")}
        require_same_settings(finished, {**settings, "reward_range": interval}, options.out)
        logger.info("%s is complete already", options.out)
        return there["counts"]
    progress = ProgressFile(options.out.with_name(options.out.name + ".progress.jsonl"), settings)
    if progress.done:
        logger.info("%d of %d questions are done already", len(progress.done), len(questions))
    fitting = roll_out(config, questions, options, progress)
    rows = [(question.id, question.text, question.answer, progress.done[question.id]) for question in fitting]
    counts = {"questions": len(fitting), "prompts too long": len(questions) - len(fitting)}
    provenance = {
        "settings": settings,
        "model_path": options.model,
        "reward_range": interval,
        "counts": counts,
        "data": [str(file) for file in options.data],
        "versions": versions(),
    }
    write_labels(options.out, rows, options.reward_range, provenance)
    progress.remove()
    return counts


def roll_out(
    config: DictConfig, questions: Sequence[Question], options: argparse.Namespace, progress: ProgressFile
) -> list[Question]:
    """Measure what the progress file lacks; the questions whose prompts are short enough."""
    reward = RewardFunction(config)
    try:
        servers = RolloutServers(config)
    except ConfigError:
        raise
    except (OSError, ValueError) as error:
        raise ConfigError(f"--model {options.model}: {error}") from error
    most = servers.config.actor_rollout_ref.rollout.prompt_length
    tokens = {question.id: servers.tokenize(question.row["prompt"]) for question in questions}
    fitting = [question for question in questions if len(tokens[question.id]) <= most]
    if not fitting:
        raise ConfigError(f"all {len(questions)} prompts are longer than data.max_prompt_length={most}; raise it")
    if len(fitting) < len(questions):
        skipped = len(questions) - len(fitting)
        logger.warning("%d prompts are longer than data.max_prompt_length=%d and are left out", skipped, most)
    todo = [question for question in fitting if question.id not in progress.done]
    if not todo:
        return fitting
    with progress:
        tally = Tally(todo, options.rollouts, reward, options.reward_range, progress)

        async def keep(response: Response) -> None:
            await tally.add(response.prompt, response.rollout, response.text, len(response.token_ids))

        try:
            with servers:
                servers.generate([tokens[question.id] for question in todo], options.rollouts, keep)
        finally:
            reward.close()
    return fitting


def show(path: Path, counts: dict[str, int], console: Console) -> None:
    """Print what the label file says."""
    rate_P = np.asarray(pq.read_table(path, columns=["success_rate"])["success_rate"])
    table = Table("labels", str(path), show_header=True)
    for name, count in counts.items():
        table.add_row(name, str(count))
    for name, share in (
        ("mean success rate", rate_P.mean()),
        ("never solved", (rate_P == 0).mean()),
        ("always solved", (rate_P == 1).mean()),
        ("in between", ((rate_P > 0) & (rate_P < 1)).mean()),
    ):
        table.add_row(name, f"{100 * share:.1f} %")
    console.print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0, 1 (failed on the way, repeat to continue) or 2 (bad input)."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    options = parse(arguments)
    errors = Console(stderr=True, soft_wrap=True)
    logs = options.from_run is not None or options.from_rollouts is not None
    try:
        options.reward_range = RewardRange(*options.reward_range)
        if options.last_steps is not None and not logs:
            raise ConfigError("--last-steps belongs to --from-rollouts and --from-run; leave it out")
        require_options(options)
        counts = collect_from_logs(options) if logs else collect_with_model(options)
    except ConfigError as error:
        errors.print(f"collect: {error}", markup=False, highlight=False)
        return BAD_INPUT
    except (RewardOutOfRange, GenerationError) as error:
        errors.print(f"collect: {error}", markup=False, highlight=False)
        return FAILED
    except KeyboardInterrupt:
        errors.print("collect: interrupted; the same command continues where it was", markup=False)
        return INTERRUPTED
    show(options.out, counts, Console())
    return 0


if __name__ == "__main__":
    sys.exit(main())
