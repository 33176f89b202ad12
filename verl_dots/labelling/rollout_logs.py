"""Success rates out of the rollouts that a training run has kept (verl's `trainer.rollout_data_dir`).

verl writes one file a step, `STEP.jsonl`, and in it one object a trajectory: `input` (the decoded prompt), `output`,
`gts` (the ground truth), `score`, `step` and `uid`, which is `PROMPT_SESSION_OUTPUT`. No question id is among them:
a trajectory belongs to the question whose ground truth it has and whose messages its input contains.
"""

import json
import logging
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verl_dots.files import parse_json
from verl_dots.labelling.success_rates import Outcome
from verl_dots.settings import ConfigError

logger = logging.getLogger(__name__)

FIELDS = ("input", "gts", "score")


@dataclass(frozen=True)
class Rollout:
    """One kept rollout.

    Attributes:
        step: training step that sampled it.
        prompt_text: what the model was given, chat template included, special tokens left out.
        ground_truth: as text.
        reward: its score.
    """

    step: int
    prompt_text: str
    ground_truth: str
    reward: float


def read_rollouts(folder: Path, last_steps: int | None = None) -> list[Rollout]:
    """Rollouts of all steps in the folder, or of its newest `last_steps` steps, in order of the steps.

    Of a rollout with several outputs (verl's multi-turn agents) the last one's score counts. A last line that a
    crash has cut short is left out with a warning.

    Raises:
        ConfigError: the folder is missing or holds no dumps, or a file is not one.
    """
    files = {int(path.stem): path for path in folder.glob("*.jsonl") if path.stem.isdigit()}
    if not files:
        text = f"no rollouts (STEP.jsonl) in {str(folder)!r}; a run keeps them where trainer.rollout_data_dir says"
        raise ConfigError(text, key=str(folder), reason="file")
    if last_steps is not None and last_steps < 1:
        raise ConfigError(f"--last-steps {last_steps}: must be at least 1", key="--last-steps", reason="range")
    steps = sorted(files)[-last_steps:] if last_steps else sorted(files)
    return [rollout for step in steps for rollout in _read_step(step, files[step])]


def ground_truth_text(value: Any) -> str:
    """A ground truth as text, the same from a dump as from a data set."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def group_by_prompt(rollouts: Iterable[Rollout]) -> dict[tuple[str, str], Outcome]:
    """(prompt text, ground truth) -> rewards of all its rollouts, over all steps, in order of first appearance."""
    rewards: dict[tuple[str, str], list[float]] = defaultdict(list)
    for rollout in rollouts:
        rewards[rollout.prompt_text, rollout.ground_truth].append(rollout.reward)
    return {key: Outcome(tuple(found)) for key, found in rewards.items()}


def match_questions(
    groups: Mapping[tuple[str, str], Outcome], questions: Sequence[tuple[str, Sequence[str], str]]
) -> tuple[dict[str, Outcome], int]:
    """Assign logged prompts to questions.

    Args:
        groups: of `group_by_prompt`.
        questions: (question id, contents of its messages in order, ground truth) of each.

    Returns:
        question id -> outcome, in the order of `questions`, and the number of logged prompts that fit no question or
        several equally well. Among questions of one ground truth whose messages all occur in the prompt, the longest
        is the one; so a question that contains another is told from it.
    """
    by_truth: dict[str, list[tuple[str, list[str]]]] = defaultdict(list)
    for question_id, contents, ground_truth in questions:
        # Chat templates strip what they render.
        stripped = [content.strip() for content in contents if content.strip()]
        by_truth[ground_truth].append((question_id, stripped))
    found: dict[str, list[float]] = defaultdict(list)
    unmatched = 0
    for (prompt_text, ground_truth), outcome in groups.items():
        fits = [
            (sum(map(len, contents)), question_id)
            for question_id, contents in by_truth[ground_truth]
            if contents and _contains_in_order(prompt_text, contents)
        ]
        longest = max(fits, default=(0, ""))[0]
        best = [question_id for length, question_id in fits if length == longest]
        if len(best) == 1:
            found[best[0]] += outcome.rewards_G
        else:
            unmatched += 1
    ordered = {question_id: Outcome(tuple(found[question_id])) for question_id, _, _ in questions if found[question_id]}
    return ordered, unmatched


def _contains_in_order(text: str, contents: Sequence[str]) -> bool:
    position = 0
    for content in contents:
        position = text.find(content, position)
        if position < 0:
            return False
        position += len(content)
    return True


def _read_step(step: int, path: Path) -> list[Rollout]:
    rollouts: dict[tuple, tuple[int, Rollout]] = {}
    # Not splitlines(): verl writes other line separators inside the texts as they are.
    lines = path.read_text(encoding="utf-8", errors="replace").removesuffix("\n").split("\n")
    for number, line in enumerate(lines):
        try:
            entry = parse_json(line)
            missing = [name for name in FIELDS if name not in entry]
        except (ValueError, TypeError) as error:
            if number == len(lines) - 1:
                logger.warning("%s: the last line is cut short and left out", path)
                break
            raise ConfigError(
                f"{path}, line {number + 1}: not a JSON object: {error}", key=str(path), reason="data"
            ) from error
        if missing:
            text = f"{path}, line {number + 1}: no {missing} in it, so it is none of verl's rollouts"
            raise ConfigError(text, key=str(path), reason="data")
        rollout = _rollout(step, entry, f"{path}, line {number + 1}")
        key, output = _session(entry.get("uid"), number)
        if key not in rollouts or output > rollouts[key][0]:
            rollouts[key] = (output, rollout)
    return [rollout for _, rollout in rollouts.values()]


def _rollout(step: int, entry: Any, where: str) -> Rollout:
    prompt, score = (entry["input"], entry["score"]) if isinstance(entry, dict) else (None, None)
    number = isinstance(score, int | float) and math.isfinite(score)
    if not isinstance(prompt, str) or not number:
        text = f"{where}: input must be text and score a finite number, got {prompt!r:.40} and {score!r:.40}"
        raise ConfigError(text, key=where.partition(",")[0], reason="data")
    return Rollout(step, prompt, ground_truth_text(entry["gts"]), float(score))


def _session(uid: Any, number: int) -> tuple[tuple, int]:
    """(prompt and session, index of the output) of a trajectory; without a uid each line stands for itself."""
    prompt, *numbers = uid.rsplit("_", 2) if isinstance(uid, str) else [None]
    if len(numbers) == 2 and all(re.fullmatch("[0-9]{1,18}", number) for number in numbers):
        return (prompt, numbers[0]), int(numbers[1])
    return (number,), 0
