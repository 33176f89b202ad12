"""`python -m verl_dots.simulate` from the command line."""

import csv

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from verl_dots import simulate

FEW = ["--steps", "4", "--seeds", "2", "data.train_batch_size=16", "dots.selection.references=8"]


@pytest.fixture
def labels(tmp_path):
    rates = np.random.default_rng(0).beta(0.5, 0.8, 400)
    rows = {"success_rate": np.random.default_rng(1).binomial(8, rates) / 8, "rollouts": [8] * 400}
    pq.write_table(pa.table(rows), tmp_path / "labels.parquet")
    return tmp_path / "labels.parquet"


def run(capsys, *arguments):
    code = simulate.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_grid_writes_a_table_and_figures_and_repeats(tmp_path, capsys, labels):
    grid = ["--grid", "dots.replay.delta=0.5,1", "--policy", "dots_rr"]
    for name in ("a", "b"):
        code, out, err = run(capsys, "--difficulties", labels, *grid, "--out", tmp_path / name, *FEW)
        assert code == 0, err
    assert (tmp_path / "a/simulation.csv").read_bytes() == (tmp_path / "b/simulation.csv").read_bytes()
    rows = list(csv.DictReader((tmp_path / "a/simulation.csv").open()))
    assert [(row["policy"], row["dots.replay.delta"]) for row in rows] == [
        ("uniform", ""), ("dots_rr", "0.5"), ("dots_rr", "1"),
    ]  # fmt: skip
    # 4 steps of 16 questions of 8 rollouts; 8 references in two of them, nothing replayed in the first two
    assert [float(row["rollouts"]) for row in rows] == [512, 512 + 128 - 128, 512 + 128]
    assert "dots_rr" in out and "uniform" in out
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"simulation.csv", "curves.png", "sweep.png"}


def test_it_is_told_that_not_all_seeds_come_to_a_target(tmp_path, capsys, labels):
    for target, is_told in (("0.01", False), ("0.99", True)):
        words = ["--difficulties", labels, "--out", tmp_path / "out", "--target", target, *FEW]
        code, out, err = run(capsys, *words)
        assert code == 0, err
        assert ("At most: a seed that never does counts" in " ".join(out.split())) == is_told
    rows = list(csv.DictReader((tmp_path / "out/simulation.csv").open()))
    assert [(row["steps to 99 %"], row["seeds that come to 99 %"]) for row in rows] == [("", "0"), ("", "0")]


def test_a_file_without_difficulties_is_named(tmp_path, capsys):
    pq.write_table(pa.table({"prompt": ["a"]}), tmp_path / "a.parquet")
    code, _, err = run(capsys, "--difficulties", tmp_path / "a.parquet", "--out", tmp_path / "out")
    assert code == 2 and "a.parquet" in err and "success_rate" in err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "--difficulties"),
        (["--runs", "nowhere"], "nowhere"),
        (["--difficulties", "nowhere.parquet"], "nowhere.parquet"),
        (["--difficulties", "LABELS", "--steps", "0"], "--steps"),
        (["--difficulties", "LABELS", "--target", "70"], "--target"),
        (["--difficulties", "LABELS", "--rho", "2"], "--rho"),
        (["--difficulties", "LABELS", "--grid", "dots.selection.alpha"], "--grid"),
        (["--difficulties", "LABELS", "--rate", "0"], "--rate"),
        (["--only", "LABELS", "--runs", "nowhere"], "--only"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_what_cannot_work_is_refused_by_name(tmp_path, capsys, labels, arguments, named):
    given = [str(labels) if word == "LABELS" else word for word in arguments]
    code, _, err = run(capsys, *given, "--out", tmp_path / "out")
    assert code == 2 and named in err and "Traceback" not in err


def test_a_setting_that_a_run_refuses_is_refused(tmp_path, capsys, labels):
    code, _, err = run(capsys, "--difficulties", labels, "--out", tmp_path / "out", *FEW, "dots.selection.alpha=2")
    assert code == 2 and "dots.selection.alpha" in err
