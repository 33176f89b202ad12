"""Rewards to success rates, the progress file of those that are done, and the label file.

The progress file lies beside the label file that is being made, `LABELS.parquet.progress.jsonl`. Its first line holds
the settings, every other one a question that is done. What stops resumes from it.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from verl_dots.data.provenance import write_table
from verl_dots.journal import Journal
from verl_dots.settings import ConfigError

SCHEMA = pa.schema(
    [
        ("question_id", pa.string()),
        ("text", pa.string()),
        ("answer", pa.string()),
        ("success_rate", pa.float64()),
        ("rollouts", pa.int64()),
        ("mean_response_length", pa.float64()),
        ("labeller", pa.string()),
    ]
)


class RewardOutOfRange(ValueError):
    """A reward that is no share of success."""


@dataclass(frozen=True)
class Outcome:
    """What a question's rollouts came to.

    Attributes:
        rewards_G: reward of each rollout, as the reward function gave it.
        lengths_G: tokens of each response, the ending token included; None where it is not known.
    """

    rewards_G: tuple[float, ...]
    lengths_G: tuple[int, ...] | None = None


@dataclass(frozen=True)
class RewardRange:
    """Rewards of complete failure and complete success; what lies between counts in proportion."""

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self):
        if not (self.low < self.high and math.isfinite(self.high - self.low)):
            text = f"--reward-range {self.low:g} {self.high:g}: the first must be below the second, both finite"
            raise ConfigError(text, key="--reward-range", reason="range")

    def check(self, reward: float, question_id: str) -> None:
        """Raise RewardOutOfRange, naming the question, unless low <= reward <= high."""
        if not self.low <= reward <= self.high:
            raise RewardOutOfRange(
                f"question {question_id}: reward {reward:g} is outside [{self.low:g}, {self.high:g}], so it is no "
                "share of success; give the reward function's own range with --reward-range LOW HIGH"
            )

    def success_rate(self, rewards_G: Sequence[float], question_id: str) -> float:
        """Mean of (reward - low) / (high - low): 1 - adaptive difficulty (DOTS, section 3).

        (1, 0, 0, 1) in [0, 1] gives 0.5; (1, -1, -1, -1) in [-1, 1] gives 0.25.

        Raises:
            RewardOutOfRange: a reward is not in the range.
            ValueError: there are no rewards.
        """
        if not rewards_G:
            raise ValueError(f"question {question_id} has no rollouts; its success rate is not known")
        for reward in rewards_G:
            self.check(reward, question_id)
        return (sum(rewards_G) / len(rewards_G) - self.low) / (self.high - self.low)


class ProgressFile(Journal[str, Outcome]):
    """Questions that are done, by id."""

    def line_of(self, key: str, value: Outcome) -> dict[str, Any]:
        return {"question_id": key, **asdict(value)}

    def read_line(self, line: Mapping[str, Any]) -> tuple[str, Outcome]:
        lengths = line["lengths_G"]
        return line["question_id"], Outcome(tuple(line["rewards_G"]), None if lengths is None else tuple(lengths))


def write_labels(
    path: Path,
    rows: Iterable[tuple[str, str, str, Outcome]],
    rewards: RewardRange,
    provenance: Mapping[str, Any],
    labeller: str | None = None,
) -> None:
    """Write (question id, text, answer, outcome) of every question as labels, whole or not at all.

    `mean_response_length` is null where lengths are not known, and `labeller`, who answered, where it is not given.
    `provenance`: see verl_dots/data/provenance.py.

    Raises:
        RewardOutOfRange: a reward is outside the range.
        ValueError: no rows.
    """
    columns: dict[str, list] = {name: [] for name in SCHEMA.names}
    for question_id, text, answer, outcome in rows:
        lengths = outcome.lengths_G
        values = (
            question_id,
            text,
            answer,
            rewards.success_rate(outcome.rewards_G, question_id),
            len(outcome.rewards_G),
            sum(lengths) / len(lengths) if lengths else None,
            labeller,
        )
        for name, value in zip(SCHEMA.names, values, strict=True):
            columns[name].append(value)
    if not columns["question_id"]:
        raise ValueError(f"no questions to write to {path}")
    write_table(path, pa.table(columns, schema=SCHEMA), provenance)
