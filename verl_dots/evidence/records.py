"""What all tables and figures are made from: two tables of typed rows, one of steps and one of runs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from verl_dots.settings import Refusal
from verl_dots.texts import number_text

RUN_KEY = ("combination", "method", "seed", "kind")
ACCURACY_RUN, TIMING_RUN = "accuracy", "time"
# Columns that `steps` always has, after the key of the run: cumulative costs of training, nan where not recorded.
STEP_COLUMNS = ("step", "accuracy", "wall_seconds", "train_seconds", "generated_tokens", "generated_rollouts")
# Columns that `runs` always has, after the key: text, empty where not known.
RUN_COLUMNS = ("path", "model", "data", "commit", "machine", "started", "finished", "planned_steps", "fingerprint")


class EvidenceError(Refusal):
    """Runs, or saved tables of them, that cannot be evidence; the message says which and what to do."""


@dataclass(frozen=True)
class Evidence:
    """Runs of methods on combinations of model and data.

    Attributes:
        steps: a row for each step of each run. Columns: `RUN_KEY`, `STEP_COLUMNS`, then the run's own metrics under
            verl's names (`training/effective_groups`, `actor/entropy`, `timing_s/gen` ...). `step` 0 is the validation
            before training. `accuracy` is a share in [0, 1], nan at a step without validation. `wall_seconds`,
            `train_seconds` (without validation), `generated_tokens` and `generated_rollouts` are totals up to the
            step, of training alone.
        runs: a row for each run. Columns: `RUN_KEY`, `RUN_COLUMNS`. `fingerprint` is a hash of the accuracies and
            tokens by step, which another machine can compare.
        evaluations: (combination, method, seed) -> `evaluations.Evaluation` of a run that was evaluated.
        extra: (combination, method, measure) -> `cells.Figure` that was measured apart from runs.
        notes: which runs were left out and why, and what a reader must know of the others; a sentence each.

    `kind` is "accuracy" for a run that counts for accuracy, steps, tokens and rollouts, and "time" for one that ran
    with nothing else on the machine and counts for the time of a step. Timing runs of one seed are a round: they ran
    one after the other, and their times are compared with each other. `seed` is an integer.
    """

    steps: pd.DataFrame
    runs: pd.DataFrame
    notes: tuple[str, ...] = ()
    evaluations: Mapping[tuple[str, str, int], Any] = field(default_factory=dict)
    extra: Mapping[tuple[str, str, str], Any] = field(default_factory=dict)

    def run(self, *key: str | int) -> pd.DataFrame:
        """The rows of `steps` of a run, by its `RUN_KEY`, ascending in step; empty where there is no such run."""
        own = np.logical_and.reduce([self.steps[name] == value for name, value in zip(RUN_KEY, key, strict=True)])
        return self.steps[own].sort_values("step")


def fingerprint(steps: pd.DataFrame) -> str:
    """Hash of step, accuracy and tokens of a run's rows, ascending in step: of equal runs it is the same.

    Sixteen hexadecimal digits of SHA-256 over a line a step, "30,0.478516,16826"; what is nan is empty there.
    """
    columns = (steps[name] for name in ("step", "accuracy", "generated_tokens"))
    lines = ("{},{},{}\n".format(*map(number_text, row)) for row in zip(*columns, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]
