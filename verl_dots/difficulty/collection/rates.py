"""Success rates while and after they are collected: aggregation, the progress file, the label file.

The progress file lies beside the label file that is being made, `LABELS.parquet.progress.jsonl`. Its first line holds
the settings, every other one a question that is done. A collection that stops is continued from it.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from verl_dots.files import write_atomically
from verl_dots.settings import ConfigError

PROVENANCE_KEY = b"verl_dots.provenance"
SYNC_EVERY = 200
SCHEMA = pa.schema(
    [
        ("question_id", pa.string()),
        ("text", pa.string()),
        ("answer", pa.string()),
        ("success_rate", pa.float64()),
        ("rollouts", pa.int64()),
        ("mean_response_length", pa.float64()),
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
        if not self.low < self.high:
            raise ConfigError(f"--reward-range {self.low:g} {self.high:g}: the first must be below the second")

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


class ProgressFile:
    """Questions that are done, kept on disk; a context manager.

    Args:
        path: made with the first question.
        settings: everything that decides what is measured, as plain JSON values.

    Raises:
        ConfigError: the file was begun with other settings, or is no progress file.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]):
        self.path = path
        self.settings = _plain(settings)
        self.outcomes: dict[str, Outcome] = {}
        self._file: TextIO | None = None
        if path.exists():
            self._read()

    def __enter__(self) -> "ProgressFile":
        return self

    def __exit__(self, *error: Any) -> None:
        if self._file is not None:
            self._sync()
            self._file.close()
            self._file = None

    def add(self, question_id: str, outcome: Outcome) -> None:
        """Keep a question that is done. It survives the end of this process, and every 200th the machine's."""
        if self._file is None:
            self._open()
        self.outcomes[question_id] = outcome
        self._file.write(json.dumps({"question_id": question_id, **asdict(outcome)}) + "\n")
        self._file.flush()
        if len(self.outcomes) % SYNC_EVERY == 0:
            self._sync()

    def remove(self) -> None:
        """Delete the file, once its labels are written."""
        self.path.unlink(missing_ok=True)

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = not self.outcomes
        self._file = self.path.open("w" if fresh else "a")
        if fresh:
            self._file.write(json.dumps({"settings": self.settings}, sort_keys=True) + "\n")

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def _read(self) -> None:
        text = self.path.read_text()
        whole = text[: text.rfind("\n") + 1]
        try:
            lines = [json.loads(line) for line in whole.splitlines()]
            found = lines[0]["settings"] if lines else {}
            outcomes = {line["question_id"]: _outcome(line) for line in lines[1:]}
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ConfigError(f"{self.path} is not a progress file ({error!r}); move it away") from error
        if not outcomes:
            return
        require_same_settings(found, self.settings, self.path)
        self.outcomes = outcomes
        if whole != text:
            # The last line was cut short by a crash.
            os.truncate(self.path, len(whole.encode()))


def require_same_settings(there: Mapping[str, Any], here: Mapping[str, Any], path: Path) -> None:
    """Raise ConfigError, naming what differs, unless labels made with `there` are labels of `here`."""
    here = _plain(here)
    differing = [key for key in sorted({*there, *here}) if there.get(key) != here.get(key)]
    if differing:
        shown = "; ".join(f"{key}: {there.get(key)!r} there, {here.get(key)!r} now" for key in differing)
        raise ConfigError(
            f"{path} was made with other settings ({shown}); repeat the command with the old ones to continue, choose "
            "another --out, or delete the file"
        )


def write_labels(
    path: Path, rows: Iterable[tuple[str, str, str, Outcome]], rewards: RewardRange, provenance: Mapping[str, Any]
) -> pa.Table:
    """Write (question id, text, answer, outcome) of every question as labels, whole or not at all.

    `mean_response_length` is null where lengths are not known. `provenance` becomes JSON in the file's metadata; the
    same rows and provenance give the same bytes.

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
        )
        for name, value in zip(SCHEMA.names, values, strict=True):
            columns[name].append(value)
    if not columns["question_id"]:
        raise ValueError(f"no questions to write to {path}")
    metadata = {PROVENANCE_KEY: json.dumps(dict(provenance), sort_keys=True).encode()}
    table = pa.table(columns, schema=SCHEMA).replace_schema_metadata(metadata)
    write_atomically(path, lambda partial: pq.write_table(table, partial))
    return table


def read_provenance(path: Path) -> dict[str, Any]:
    """What `write_labels` was given, {} for a file of other origin.

    Raises:
        ConfigError: not a parquet file.
    """
    try:
        metadata = pq.read_schema(path).metadata or {}
    except pa.ArrowInvalid as error:
        raise ConfigError(f"{path} is not a parquet file: {error}") from error
    return json.loads(metadata.get(PROVENANCE_KEY, b"{}"))


def _outcome(line: Mapping[str, Any]) -> Outcome:
    lengths = line["lengths_G"]
    return Outcome(tuple(line["rewards_G"]), None if lengths is None else tuple(lengths))


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """As the settings read back from JSON."""
    return json.loads(json.dumps(dict(settings)))
