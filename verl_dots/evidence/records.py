"""What all tables and figures are made from: two tables of typed rows, one of steps and one of runs."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

RUN_KEY = ("combination", "method", "seed", "kind")
ACCURACY_RUN, TIMING_RUN = "accuracy", "time"
# Columns that `steps` always has, after the key of the run: cumulative costs of training, nan where not recorded.
STEP_COLUMNS = ("step", "accuracy", "wall_seconds", "train_seconds", "generated_tokens", "generated_rollouts")
# Columns that `runs` always has, after the key: text, empty where not known.
RUN_COLUMNS = ("path", "model", "data", "commit", "machine", "started", "finished", "planned_steps", "fingerprint")


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

    `kind` is "accuracy" for a run that counts for accuracy, steps, tokens and rollouts, and "time" for one that ran
    with nothing else on the machine and counts for the time of a step. `seed` is an integer.
    """

    steps: pd.DataFrame
    runs: pd.DataFrame
