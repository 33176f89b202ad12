"""Small run folders, written by hand, and the comparison of what is in them."""

import json

import numpy as np
import pytest
import yaml

from verl_dots.reporting import summary
from verl_dots.reporting.comparison import Comparison
from verl_dots.reporting.runs import Run, group_by_name, read_run, with_metric
from verl_dots.reporting.validation_curves import Curve

ACCURACY = "val-core/arithmetic/acc/mean@1"
# Smoothed over three validations: grpo 0.0, 0.1, 0.2, 0.4; dots 0.0, 0.2, 0.4, 0.6.
GRPO = {0: 0.0, 2: 0.2, 4: 0.4, 6: 0.6}
DOTS = {0: 0.0, 2: 0.4, 4: 0.8, 6: 0.6}


def load_run(path, metric: str | None = None) -> Run:
    """The run in a folder, with a metric of its own or the given one."""
    return with_metric(read_run(path), metric)


def compare(*folders, metric: str | None = None, window: int | None = None) -> Comparison:
    """The runs in folders, finished or not, by method."""
    return summary.compare(group_by_name([load_run(folder, metric) for folder in folders]), window=window)


def curve(accuracies, steps=None, seconds=2.0) -> Curve:
    """A validation every ten steps or at `steps`, after 1 s of validation and, each step, `seconds` and 100 tokens."""
    steps = np.arange(len(accuracies), dtype=float) * 10 if steps is None else np.array(steps, dtype=float)
    return Curve(steps, seconds * steps + 1, seconds * steps, 100 * steps, np.array(accuracies))


@pytest.fixture
def write_run(tmp_path):
    """Return a function that writes a run folder and returns its path.

    Every step takes `seconds` of training and 100 tokens; validation takes 1 s; `accuracies` maps steps to accuracies,
    and its last step is the run's if no other is given. The first step takes 10 s more. Rows before `first_step` are
    lost. `metrics` gives, by step, what training logs more or otherwise; `without` names keys that no row has.
    `settings` become config.yaml.
    """

    def write(
        name, seed=0, accuracies=None, seconds=2.0, last_step=None, *, first_step=0, key=ACCURACY, finished=True,
        settings=None, folder=None, metrics=lambda step: {}, without=(),
    ):  # fmt: skip
        folder = tmp_path / (folder or f"{name}-{seed}")
        folder.mkdir()
        accuracies = accuracies or {}
        rows, validations = [], 0
        for step in range((max(accuracies, default=4) if last_step is None else last_step) + 1):
            train = step * seconds + (10.0 if step else 0.0)
            row = {"step": step, "train_seconds": train, "generated_tokens": 100 * step}
            if step in accuracies:
                validations += 1
                row |= {key: accuracies[step], "timing_s/testing": 1.0}
            row["wall_seconds"] = train + validations
            if step:
                row |= {"critic/score/mean": 0.1 * step, "actor/entropy": 1.0 / step, "response_length/mean": 20.0}
                row |= {"timing_s/step": seconds + (10.0 if step == 1 else 0.0), "timing_s/gen": 0.5 * seconds}
                row |= metrics(step)
            rows.append({name: value for name, value in row.items() if name not in without})
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[first_step:]))
        info = {"name": name, "seed": seed, "versions": {"verl": "0.9.1"}, "started": "2026-01-02T03:04:05"}
        info["finished"] = "2026-01-02T04:04:05" if finished else None
        (folder / "run.json").write_text(json.dumps(info))
        if settings is not None:
            (folder / "config.yaml").write_text(yaml.dump(settings))
        return folder

    return write
