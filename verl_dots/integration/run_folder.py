"""What a run leaves behind in its folder (`trainer.default_local_dir`), beside verl's checkpoints.

metrics.jsonl  one JSON object a step: step, wall_seconds, train_seconds, generated_tokens, verl's metrics
config.yaml    the resolved config
run.json       name, seed, versions, when it began and ended
stop           made by somebody else: asks the run to save after its step and to end; it can be resumed
"""

import datetime
import json
import logging
import math
import platform
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from verl_dots.files import write_atomically

logger = logging.getLogger(__name__)

PACKAGES = ("verl-dots", "verl", "torch", "transformers", "ray", "TransferQueue", "tensordict", "numpy", "vllm")
STOP_FILE = "stop"
TOTALS = ("wall_seconds", "train_seconds", "generated_tokens")


class RunFolder:
    """Writes the files; has the `log` of verl's trackers, so that the trainer logs to it as to any other.

    Args:
        folder: made if missing.
        config: the run's config.
        resumed_step: the step that training resumes from (0: from the start). Totals go on from the row of
            that step.
    """

    def __init__(self, folder: str | Path, config: DictConfig, resumed_step: int):
        self.path = Path(folder)
        self.path.mkdir(parents=True, exist_ok=True)
        self._totals = self._totals_at(resumed_step)
        self._began = time.monotonic() - self._totals["wall_seconds"]
        self._stopped = False
        write_text(self.path / "config.yaml", OmegaConf.to_yaml(config, resolve=True))
        self._run = {
            "name": config.trainer.experiment_name,
            "seed": config.dots.seed,
            "versions": versions(),
            "started": now(),
            "resumed_step": resumed_step,
            "finished": None,
        }
        write_text(self.path / "run.json", json.dumps(self._run, indent=2) + "\n")

    @property
    def metrics_file(self) -> Path:
        """Where the rows go."""
        return self.path / "metrics.jsonl"

    def log(self, data: dict[str, Any], step: int) -> None:
        """Append a row. What is no number is left out; NaN and infinity become null."""
        self._totals["wall_seconds"] = time.monotonic() - self._began
        self._totals["train_seconds"] += float(data.get("timing_s/step", 0.0))
        self._totals["generated_tokens"] += int(data.get("training/generated_tokens", 0))
        row = {"step": int(step), **self._totals}
        for key, value in data.items():
            if (number := as_number(value)) is not None:
                row[key] = number if math.isfinite(number) else None
        with self.metrics_file.open("a") as file:
            file.write(json.dumps(row) + "\n")

    def stop_requested(self) -> bool:
        """Whether the file `stop` is there. It is taken away: the run ends without being finished."""
        try:
            (self.path / STOP_FILE).unlink()
        except FileNotFoundError:
            return False
        self._stopped = True
        logger.warning("stop was requested: the run is saved after this step, and goes on when it is started again")
        return True

    def finish(self) -> None:
        """Say when the run ended, unless it stopped before its end."""
        if self._stopped:
            return
        self._run["finished"] = now()
        write_text(self.path / "run.json", json.dumps(self._run, indent=2) + "\n")

    def _totals_at(self, step: int) -> dict[str, float]:
        """The totals in the newest row of `step`, or of the step before it that has one; zeros if there is none.

        A run that dies in the validation after a checkpoint leaves the checkpoint without its row.
        """
        totals: dict[str, float] = dict.fromkeys(TOTALS, 0)
        if step == 0 or not self.metrics_file.exists():
            if self.metrics_file.exists():
                old = self.metrics_file.with_name(f"metrics.{int(time.time())}.jsonl")
                logger.warning("%s belongs to an earlier run; it is kept as %s", self.metrics_file, old.name)
                self.metrics_file.rename(old)
            return totals
        text = self.metrics_file.read_text()
        if text and not text.endswith("\n"):
            # A crash cut the last row short: end its line, so that the next row has one of its own.
            text = text[: text.rfind("\n") + 1]
            write_text(self.metrics_file, text)
        for line in text.splitlines():
            row = json.loads(line)
            if row["step"] <= step:
                totals = {name: row[name] for name in TOTALS}
        return totals


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
