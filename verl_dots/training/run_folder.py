"""What a run leaves behind in its folder (`trainer.default_local_dir`), beside verl's checkpoints.

metrics.jsonl  one JSON object a step: step, totals so far (`TOTALS`), verl's metrics
config.yaml    the resolved config
run.json       name, seed, versions, commit, machine, when it began and ended
stop           made by somebody else: asks the run to save after its step and to end; it can be resumed
"""

import datetime
import json
import logging
import math
import os
import platform
import time
from collections.abc import Mapping
from importlib import metadata
from operator import index
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from verl_dots.files import free_name, naming, parse_json, write_atomically
from verl_dots.training import origin
from verl_dots.training.run_record import SECONDS, TOTALS, RunRecord

logger = logging.getLogger(__name__)

PACKAGES = ("verl-dots", "verl", "torch", "transformers", "ray", "TransferQueue", "tensordict", "numpy", "vllm")
STOP_FILE = "stop"
RUN_FILE = "run.json"
TOKENS, ROLLOUTS = "training/generated_tokens", "training/generated_rollouts"


class RunFolder:
    """Writes the files; has the `log` of verl's trackers, so that the trainer logs to it as to any other.

    Args:
        folder: made if missing.
        config: the run's config.
        resumed_step: the step that training resumes from (0: from the start).
        record: what its checkpoint says about the run. Without one the totals are those of the step's row.

    Attributes:
        last_step: of the newest row that this start has written; None before the first.
    """

    def __init__(self, folder: str | Path, config: DictConfig, resumed_step: int, record: RunRecord | None = None):
        self.path = Path(folder)
        self.path.mkdir(parents=True, exist_ok=True)
        # Else a checkpoint of another folder has been brought here, and nothing has been lost.
        self._began_here = self.metrics_file.exists() or (self.path / RUN_FILE).exists()
        self._totals = self._resumed_totals(resumed_step, record)
        self._began = time.monotonic() - self._totals["wall_seconds"]
        self._stopped = False
        self.last_step: int | None = None
        write_text(self.path / "config.yaml", OmegaConf.to_yaml(config, resolve=True))
        self._run = {
            "name": config.trainer.experiment_name,
            "seed": config.dots.seed,
            "versions": versions(),
            "commit": origin.commit(),
            "machine": origin.machine(),
            "started": now(),
            "resumed_step": resumed_step,
            "finished": None,
        }
        write_text(self.path / RUN_FILE, json.dumps(self._run, indent=2) + "\n")

    @property
    def metrics_file(self) -> Path:
        """Where the rows go."""
        return self.path / "metrics.jsonl"

    def log(self, data: dict[str, Any], step: int) -> None:
        """Append a row. What is no number is left out; NaN and infinity become null."""
        tokens, rollouts = (int(data.get(name, 0)) for name in (TOKENS, ROLLOUTS))
        totals = self.totals_with(float(data.get("timing_s/step", 0.0)), tokens, rollouts)
        self._append({"step": int(step), **totals, **numbers(data)})
        self._totals, self.last_step = totals, int(step)

    def totals_with(self, seconds: float, tokens: int, rollouts: int = 0) -> dict[str, float | None]:
        """The run's totals now, with seconds of training, generated tokens and rollouts that no row has yet."""
        before = self._totals["generated_rollouts"]
        return {
            "wall_seconds": time.monotonic() - self._began,
            "train_seconds": self._totals["train_seconds"] + seconds,
            "generated_tokens": self._totals["generated_tokens"] + tokens,
            "generated_rollouts": None if before is None else before + rollouts,
        }

    def lacks_validation(self, step: int) -> bool:
        """Whether no row of a step of this folder has a validation."""
        told = [row for row in self._rows() if row["step"] == step]
        return self._began_here and not any(key.startswith("val-") for row in told for key in row)

    def _append(self, row: dict[str, Any]) -> None:
        with naming(self.metrics_file), self.metrics_file.open("a") as file:
            file.write(json.dumps(row) + "\n")

    def sync(self) -> None:
        """Have the rows so far outlive the machine: a checkpoint of a later step is about to be the newest."""
        if self.metrics_file.exists():
            with self.metrics_file.open("rb") as file:
                os.fsync(file.fileno())

    def stop_requested(self) -> bool:
        """Whether the file `stop` is there. It is taken away: the run ends without being finished."""
        try:
            (self.path / STOP_FILE).unlink()
        except FileNotFoundError:
            return False
        self._stopped = True
        logger.warning("stop was requested: the run is saved after this step, and ends")
        return True

    def finish(self) -> None:
        """Say when the run ended, unless it stopped before its end."""
        if self._stopped:
            return
        self._run["finished"] = now()
        write_text(self.path / RUN_FILE, json.dumps(self._run, indent=2) + "\n")

    def _resumed_totals(self, step: int, record: RunRecord | None) -> dict[str, float | None]:
        """The totals at a step; a row that a crash after its checkpoint has kept from the file is added to it."""
        if step == 0:
            self._keep_aside()
            return dict.fromkeys(TOTALS, 0)
        rows = self._rows(mend=True)
        if record is None:
            return next(({name: row[name] for name in TOTALS} for row in reversed(rows) if row["step"] <= step),
                        dict.fromkeys(TOTALS, 0))  # fmt: skip
        told = [row for row in rows if row["step"] == step and TOKENS in row]
        if not told and self._began_here:
            logger.warning("%s lacks step %d, which a crash cut off; its checkpoint tells it", self.metrics_file, step)
            self._append({"step": step, **record.totals, **record.row})
        # The row is younger than the checkpoint: its seconds are with those of the save.
        same = [row for row in told if row["generated_tokens"] == record.totals["generated_tokens"]]
        return record.totals | {name: max([record.totals[name], *(row[name] for row in same)]) for name in SECONDS}

    def _keep_aside(self) -> None:
        if self.metrics_file.exists():
            old = free_name(self.metrics_file.with_name(f"metrics.{int(time.time())}.jsonl"))
            logger.warning("%s belongs to an earlier run; it is kept as %s", self.metrics_file, old.name)
            self.metrics_file.rename(old)

    def _rows(self, mend: bool = False) -> list[dict[str, Any]]:
        """The rows so far; damaged lines are named and left out.

        Args:
            mend: remove a last line that a crash has cut short, so that the next row has a line of its own.
        """
        text = self.metrics_file.read_text(errors="replace") if self.metrics_file.exists() else ""
        if mend and text and not text.endswith("\n"):
            text = text[: text.rfind("\n") + 1]
            write_text(self.metrics_file, text)
        rows = []
        for number, line in enumerate(text.splitlines(), start=1):
            try:
                row = parse_json(line)
                row = {"generated_rollouts": None} | row  # rows of earlier versions do not tell it
                rows.append(row | {"step": index(row["step"]), **{name: row[name] for name in TOTALS}})
            except (ValueError, TypeError, KeyError):
                logger.warning("%s, line %d is damaged and left out: %.60r", self.metrics_file, number, line)
        return rows


def numbers(data: Mapping[str, Any]) -> dict[str, float | int | None]:
    """Figures of a row: what is no number is left out; NaN and infinity become None."""
    found = {key: as_number(value) for key, value in data.items()}
    return {key: value if math.isfinite(value) else None for key, value in found.items() if value is not None}


def as_number(value: Any) -> float | int | None:
    """A Python number for a number of any kind (numpy and one-element tensors too), else None."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return value
    size = value.numel() if hasattr(value, "numel") else getattr(value, "size", None)
    if size == 1:
        number = value.item()
        return number if isinstance(number, int | float) else None
    return None


def versions() -> dict[str, str]:
    """Python's version, the platform, and the version of each package that decides what a run computes."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def now() -> str:
    """The time, in UTC, as ISO 8601."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def write_text(path: Path, text: str) -> None:
    """Replace a file whole or not at all."""
    write_atomically(path, lambda partial: partial.write_text(text))
