"""Small run folders, written by hand."""

import json

import pytest
import yaml

from verl_dots.reporting.runs import Run, read_run, with_metric

ACCURACY = "val-core/arithmetic/acc/mean@1"


def load_run(path, metric: str | None = None) -> Run:
    """The run in a folder, with a metric of its own or the given one."""
    return with_metric(read_run(path), metric)


@pytest.fixture
def write_run(tmp_path):
    """Return a function that writes a run folder and returns its path.

    Every step takes `seconds` of training and 100 tokens; validation takes 1 s; `accuracies`
    maps steps to accuracies. The first step takes 10 s more. `settings` become config.yaml.
    """

    def write(
        name, seed=0, accuracies=None, seconds=2.0, last_step=4, key=ACCURACY, finished=True, settings=None, folder=None
    ):
        folder = tmp_path / (folder or f"{name}-{seed}")
        folder.mkdir()
        lines, validations = [], 0
        for step in range(last_step + 1):
            train = step * seconds + (10.0 if step else 0.0)
            row = {"step": step, "train_seconds": train, "generated_tokens": 100 * step}
            if step:
                row |= {"critic/score/mean": 0.1 * step, "actor/entropy": 1.0 / step, "response_length/mean": 20.0}
                row |= {"timing_s/step": seconds + (10.0 if step == 1 else 0.0), "timing_s/gen": 0.5 * seconds}
            if step in (accuracies or {}):
                validations += 1
                row[key] = accuracies[step]
                row["timing_s/testing"] = 1.0
            lines.append(json.dumps(row | {"wall_seconds": train + validations}))
        (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
        info = {"name": name, "seed": seed, "versions": {"verl": "0.9.1"}, "started": "2026-01-02T03:04:05"}
        info["finished"] = "2026-01-02T04:04:05" if finished else None
        (folder / "run.json").write_text(json.dumps(info))
        if settings is not None:
            (folder / "config.yaml").write_text(yaml.dump(settings))
        return folder

    return write


@pytest.fixture
def edit_rows():
    """Return a function that changes the rows of a run folder: `change(row)` in place."""

    def edit(folder, change):
        file = folder / "metrics.jsonl"
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        for row in rows:
            change(row)
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return folder

    return edit
