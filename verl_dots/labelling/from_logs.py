"""Labels out of the rollouts that a training run has kept; no model is asked."""

import argparse
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from verl_dots.data.asked_questions import AskedQuestion, read_asked_questions
from verl_dots.data.file_lists import file_list
from verl_dots.data.provenance import read_provenance
from verl_dots.data.question import question_id
from verl_dots.generation.conditions import digest
from verl_dots.journal import require_same_settings
from verl_dots.labelling import rollout_logs
from verl_dots.labelling.success_rates import Outcome, RewardOutOfRange, write_labels
from verl_dots.settings import ConfigError

logger = logging.getLogger(__name__)

# (question id, text, answer, outcome)
Row = tuple[str, str, str, Outcome]


def label_from_logs(options: argparse.Namespace) -> dict[str, int]:
    """Write the labels of a run's own rollouts; see command.parse for the options.

    Questions are those of the data files. Without any, a question is a logged prompt as the model was given it: its
    id is then that of the rendered prompt and not of a row of a data set.

    Returns:
        Counts: questions, rollouts, logged prompts that fit no question.

    Raises:
        ConfigError, QuestionError: bad input, a reward out of range included.
    """
    folder, files, prompt_key = _sources(options)
    rollouts = rollout_logs.read_rollouts(folder, options.last_steps)
    groups = rollout_logs.group_by_prompt(rollouts)
    settings: dict[str, Any] = {"source": "rollout logs", "folder": str(folder), "last_steps": options.last_steps}
    unmatched = 0
    if files:
        questions = read_asked_questions(files, prompt_key)
        settings["questions"] = digest(questions)
        rows, unmatched = _matched(groups, questions)
    else:
        rows = _as_they_are(groups)
        logger.warning("no data files: the question ids are those of the rendered prompts, not those of a data set")
    if not rows:
        text = f"none of the {len(groups)} prompts in {str(folder)!r} is a question of {', '.join(files)}"
        raise ConfigError(text, key=str(folder), reason="data")
    if unmatched:
        logger.warning("%d of %d logged prompts fit no question of the data (or several)", unmatched, len(groups))
    labeller = options.labeller or f"{options.from_run or folder}, steps {rollouts[0].step} to {rollouts[-1].step}"
    if options.out.exists():
        require_same_settings(read_provenance(options.out).get("settings", {}), settings, options.out)
    try:
        provenance = {"settings": settings, "labeller": labeller, "data": [str(file) for file in files]}
        write_labels(options.out, rows, options.reward_range, provenance, labeller)
    except RewardOutOfRange as error:
        raise ConfigError(str(error), key="--reward-range", reason="range") from error
    count = sum(len(outcome.rewards_G) for *_, outcome in rows)
    return {"questions": len(rows), "rollouts": count, "logged prompts without a question": unmatched}


def _matched(groups: Mapping[tuple[str, str], Outcome], questions: Sequence[AskedQuestion]) -> tuple[list[Row], int]:
    """Rows for the questions that were logged, and how many logged prompts fit none."""
    contents = [
        (
            question.id,
            [message["content"] for message in question.row["prompt"]],
            rollout_logs.ground_truth_text(question.row["reward_model"]["ground_truth"]),
        )
        for question in questions
    ]
    outcomes, unmatched = rollout_logs.match_questions(groups, contents)
    return [(q.id, q.text, q.answer, outcomes[q.id]) for q in questions if q.id in outcomes], unmatched


def _as_they_are(groups: Mapping[tuple[str, str], Outcome]) -> list[Row]:
    """Rows for the logged prompts themselves."""
    return [
        (question_id([{"role": "user", "content": text}], truth), text, truth, outcome)
        for (text, truth), outcome in groups.items()
    ]


def _sources(options: argparse.Namespace) -> tuple[Path, list[str], str]:
    """(folder of the rollouts, data files, prompt key), what is not given taken from the run's config."""
    names = ("model", "rollouts", "questions", "seed", "device")
    given = {f"--{name}": getattr(options, name) for name in names}
    useless = [name for name, value in given.items() if value is not None] + options.overrides
    if useless:
        text = f"{', '.join(useless)}: no model runs when labels come from kept rollouts; leave it out"
        raise ConfigError(text, key=useless[0], reason="excluded")
    if options.from_run is None:
        return options.from_rollouts, options.data, "prompt"
    if options.from_rollouts is not None:
        text = "--from-run names the rollouts' folder too; give either --from-run or --from-rollouts"
        raise ConfigError(text, key="--from-run", reason="excluded")
    path = options.from_run / "config.yaml"
    try:
        config = OmegaConf.load(path)
    except (OSError, ValueError, RecursionError, YAMLError, OmegaConfBaseException) as error:
        raise ConfigError(
            f"{str(options.from_run)!r} is no run folder: {error}", key=str(options.from_run), reason="file"
        ) from error
    folder = OmegaConf.select(config, "trainer.rollout_data_dir")
    if not folder:
        text = f"the run in {str(options.from_run)!r} kept no rollouts (trainer.rollout_data_dir is not set)"
        raise ConfigError(text, key=str(options.from_run), reason="missing")
    files = file_list(OmegaConf.select(config, "data.train_files"))
    return Path(folder), options.data or files, OmegaConf.select(config, "data.prompt_key", default="prompt")
