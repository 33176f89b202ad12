"""Labels of questions that a model is asked now."""

import argparse
import logging
from collections.abc import Sequence

from omegaconf import DictConfig

from verl_dots.data.asked_questions import AskedQuestion, drawn, read_asked_questions
from verl_dots.data.provenance import read_provenance
from verl_dots.generation.conditions import conditions_of, digest, scorers
from verl_dots.generation.generation import RolloutServers, Sampling
from verl_dots.generation.responses import Response, WholeGroups
from verl_dots.generation.scoring import RewardFunction
from verl_dots.generation.standalone import tokenized
from verl_dots.journal import require_same_settings
from verl_dots.labelling.success_rates import Outcome, ProgressFile, write_labels
from verl_dots.launch.generation_config import generation_config
from verl_dots.launch.model_checks import check_model_folder
from verl_dots.settings import ConfigError
from verl_dots.training.run_folder import versions

logger = logging.getLogger(__name__)

ROLLOUTS = 8


def label_with_model(options: argparse.Namespace) -> dict[str, int]:
    """Roll the questions out and write their labels; how many there are, and how many were left out and why.

    Args:
        options: see command.parse.

    Raises:
        ConfigError, QuestionError: bad input; nothing was started.
        GenerationError, RewardOutOfRange: failed on the way; what is done is kept in the progress file.
    """
    config = configure(options)
    found = read_asked_questions(options.data, config.data.prompt_key)
    questions = drawn(found, options.questions, config.dots.seed)
    settings = settings_of(config, questions, options.rollouts)
    labeller = options.labeller or options.model
    interval = [options.reward_range.low, options.reward_range.high]
    if options.out.exists():
        there, beside = read_provenance(options.out), {"reward_range": interval, "labeller": labeller}
        finished = there.get("settings", {}) | {name: there[name] for name in beside if name in there}
        require_same_settings(finished, settings | beside, options.out)
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
        "labeller": labeller,
        "reward_range": interval,
        "counts": counts,
        "data": [str(file) for file in options.data],
        "versions": versions(),
    }
    write_labels(options.out, rows, options.reward_range, provenance, labeller)
    progress.remove()
    return counts


def settings_of(config: DictConfig, questions: Sequence[AskedQuestion], rollouts: int) -> dict[str, object]:
    """What labels depend on; those of a progress file must be the command's."""
    sampling = Sampling.of(config.actor_rollout_ref.rollout)
    asked = {"questions": digest(questions), "scorers": scorers(questions)}
    return {"source": "rollouts", **asked, **conditions_of(config, rollouts, sampling)}


def configure(options: argparse.Namespace) -> DictConfig:
    """The config for the options and overrides, checked.

    Raises:
        ConfigError: an option or override is wrong, or there is no such model.
    """
    options.rollouts = ROLLOUTS if options.rollouts is None else options.rollouts
    if not options.model:
        raise ConfigError(
            "--model is missing: a folder or hub id (or use --from-rollouts FOLDER)", key="--model", reason="missing"
        )
    overrides = [] if options.device is None else [f"device={options.device}"]
    overrides += [] if options.seed is None else [f"dots.seed={options.seed}"]
    # Rows are checked as they are read: a prompt that is too long is left out, and refuses no data set.
    config = generation_config(options.model, options.data, [*overrides, *options.overrides], data=False)
    if config.actor_rollout_ref.rollout.temperature == 0 and options.rollouts > 1:
        logger.warning("temperature=0: the %d responses to a question will all be the same", options.rollouts)
    return config


def roll_out(
    config: DictConfig, questions: Sequence[AskedQuestion], options: argparse.Namespace, progress: ProgressFile
) -> list[AskedQuestion]:
    """Ask what the progress file lacks; the questions whose prompts are short enough."""
    reward, servers = RewardFunction(config), RolloutServers(config)
    most = servers.config.actor_rollout_ref.rollout.prompt_length
    ids = tokenized(servers.tokenize, [question.row["prompt"] for question in questions])
    tokens = {question.id: of_question for question, of_question in zip(questions, ids, strict=True)}
    fitting = [question for question in questions if len(tokens[question.id]) <= most]
    if not fitting:
        text = f"all {len(questions)} prompts are longer than data.max_prompt_length={most}; raise it"
        raise ConfigError(text, key="data.max_prompt_length", reason="size")
    if len(fitting) < len(questions):
        skipped = len(questions) - len(fitting)
        logger.warning("%d prompts are longer than data.max_prompt_length=%d and are left out", skipped, most)
    todo = [question for question in fitting if question.id not in progress.done]
    if not todo:
        return fitting
    check_model_folder(servers.config, train=False)

    async def grade(question: AskedQuestion, response: Response) -> tuple[float, int]:
        found = await reward(question.row, response.text)
        options.reward_range.check(found, question.id)
        return found, len(response.token_ids)

    def keep(place: int, graded_G: Sequence[tuple[float, int]]) -> None:
        rewards_G, lengths_G = zip(*graded_G, strict=True)
        progress.add(todo[place].id, Outcome(rewards_G, lengths_G))

    groups = WholeGroups(todo, options.rollouts, grade, keep)
    try:
        with progress, servers:
            servers.generate([tokens[question.id] for question in todo], options.rollouts, groups.add)
    finally:
        reward.close()
    return fitting
