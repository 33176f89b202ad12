"""A small matrix from nothing to its page, through Ray and verl, by the recipes as users have them."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.launches import ROOT, environment, rows_of

pytestmark = [pytest.mark.e2e, pytest.mark.long]


def test_a_matrix_becomes_tables_figures_and_a_page(tmp_path):
    model, data = tmp_path / "model", tmp_path / "data"
    inputs = {
        str(model): {"make": ['source scripts/ready.sh; tiny_model "$OUT"']},
        str(data): {"make": ['python -m data_prep.arithmetic --out "$OUT" --train 64 --val 16']},
    }
    combination = {
        "title": "tiny", "model": str(model), "data": str(data), "learning_rate": 1e-4, "batch": 8, "steps": 2,
        "test_freq": 1, "save_freq": 1, "chosen": "by nobody", "stands_for": "none",
    }  # fmt: skip
    matrix = {
        "seeds": [1], "methods": {"grpo": {}, "dots_rr": {}}, "time": {"steps": 2, "rounds": 1},
        "combinations": {"tiny": combination},
    }  # fmt: skip
    (tmp_path / "inputs.yaml").write_text(yaml.dump(inputs))
    (tmp_path / "mine.yaml").write_text(yaml.dump(matrix))
    runs, report = tmp_path / "runs", tmp_path / "report"
    places = ["--matrix", str(tmp_path / "mine.yaml"), "--runs", str(runs), "--out", str(report)]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    def reproduce(*options: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "scripts.reproduce", *places, *options], cwd=ROOT, text=True, timeout=880,
            env=environment(PATH=path, CACHE=tmp_path / "cache"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-4000:]
        return done.stdout

    reproduce()
    for name in ("grpo-seed1", "dots_rr-seed1"):
        rows = rows_of(runs / "tiny" / name)
        assert sorted(rows) == [0, 1, 2] and all(
            any(key.startswith("val-core/") for key in row) for row in rows.values()
        )
        timed = rows_of(runs / "tiny/time" / name)
        assert sorted(timed) == [1, 2] and not any(key.startswith("val-core/") for key in timed[2])
        assert not list((runs / "tiny" / name).glob("global_step_*"))
    kept = pd.read_csv(report / "runs.csv")
    assert sorted(zip(kept.method, kept.kind, strict=True)) == [
        ("dots_rr", "accuracy"), ("dots_rr", "time"), ("grpo", "accuracy"), ("grpo", "time"),
    ]  # fmt: skip
    page = (report / "index.html").read_text()
    assert "DOTS + RR" in page and "data:image/svg+xml;base64," in page and "missed" in page
    before = {file: file.stat().st_mtime_ns for file in runs.rglob("metrics.jsonl")}
    reproduce()
    assert {file: file.stat().st_mtime_ns for file in runs.rglob("metrics.jsonl")} == before, "nothing ran again"
