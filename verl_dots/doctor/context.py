"""What a doctor was asked about, as each of its processes reads it."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from omegaconf import DictConfig

import verl_dots
from verl_dots.files import read_json, write_atomically
from verl_dots.launch.compose import compose

ROOT = Path(verl_dots.__file__).parents[1]
TINY = ROOT / "recipes" / "cpu" / "tiny_model"


def environment() -> dict[str, str]:
    """Variables of a process that imports this checkout."""
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


QUESTIONS = 512
STEPS = 3  # of a run that trains


class CheckFailed(RuntimeError):
    """A check that cannot come to its end; the message is what was found.

    Args:
        fix: what to do.
    """

    def __init__(self, message: str, fix: str):
        super().__init__(message, fix)
        self.message, self.fix = message, fix

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class Context:
    """The same for all checks of one call.

    Attributes:
        work: folder for what the checks make; they share it.
        recipe: as a user names it, with its method.
        overrides: that the recipe and the user give to `verl_dots.main`.
        gpus: of this node that the checks may use; 0 with device=cpu.
        settled: NAME=VALUE of a variable that the recipe needs and the user has not set; nothing where there is none.
    """

    work: str
    recipe: str
    overrides: tuple[str, ...]
    gpus: int
    settled: str = ""

    @property
    def cpu(self) -> bool:
        return "device=cpu" in self.overrides

    @cached_property
    def config(self) -> DictConfig:
        """The composed config; the environment must be set before."""
        return compose(list(self.overrides))

    @property
    def model(self) -> str:
        return str(self.config.actor_rollout_ref.model.path)

    @property
    def engine(self) -> str:
        """verl's name of the rollout engine."""
        return str(self.config.actor_rollout_ref.rollout.name)

    @property
    def parallel(self) -> int:
        """GPUs of an engine of the tiny model: as the recipe's where its heads and the GPUs divide by that, else 1."""
        wanted = self.config.actor_rollout_ref.rollout.tensor_model_parallel_size
        parts = (self.gpus, *tiny_heads())
        return wanted if self.gpus and not any(part % wanted for part in parts) else 1

    def tiny_model(self) -> Path:
        """A copy of the tiny model, for what must be quick."""
        return _made(Path(self.work) / "tiny", lambda partial: shutil.copytree(TINY, partial))

    def questions(self) -> Path:
        """Folder with questions of arithmetic: train.parquet and val.parquet."""
        sizes = ["--train", str(QUESTIONS), "--val", "64"]

        def make(partial: Path) -> None:
            command = [sys.executable, "-m", "data_prep.arithmetic", "--out", str(partial), *sizes]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            if done.returncode:
                raise CheckFailed(f"no questions could be made: {done.stderr.strip()}", f"run {shlex.join(command)}")

        return _made(Path(self.work) / "questions", make)

    def save(self, file: Path) -> None:
        """For `load` in another process."""
        write_atomically(file, lambda partial: partial.write_text(json.dumps(asdict(self))))

    @classmethod
    def load(cls, file: Path) -> "Context":
        given = read_json(file)
        return cls(**given | {"overrides": tuple(given["overrides"])})


def tiny_heads() -> tuple[int, int]:
    """Heads of the tiny model, of queries and of keys."""
    described = read_json(TINY / "config.json")
    return described["num_attention_heads"], described["num_key_value_heads"]


def _made(folder: Path, make) -> Path:
    """A folder that is there whole: made by the first check that needs it."""
    if not folder.exists():
        partial = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(partial, ignore_errors=True)
        make(partial)
        partial.rename(folder)
    return folder
