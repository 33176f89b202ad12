"""The table and the figure of what each saving brings, from small run folders."""

import csv
import re

import pytest

from scripts import savings_results
from tests.reporting.conftest import write_run  # noqa: F401  a fixture


@pytest.fixture
def folders(write_run, tmp_path):  # noqa: F811
    """GRPO gains 0.1 in 2 steps, four times; a method gains 0.2, of one of two seeds; its steps take half the time."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "times").mkdir()
    slow, fast = {0: 0.0, 2: 0.1, 4: 0.2, 6: 0.3, 8: 0.4}, {0: 0.0, 2: 0.2, 4: 0.4, 6: 0.4, 8: 0.4}
    low = {0: 0.0, 2: 0.2, 4: 0.31, 6: 0.31, 8: 0.31}
    half = {"training/effective_groups": 0.5}
    for seed, of_seed in ((1, fast), (2, low)):
        write_run("grpo", seed, slow, folder=f"runs/grpo-{seed}")
        write_run("half", seed, of_seed, folder=f"runs/half-{seed}", metrics=lambda _: half)
        write_run("grpo", seed, seconds=2.0, last_step=5, folder=f"times/grpo-{seed}")
        write_run("half", seed, seconds=0.8 if seed == 1 else 1.2, last_step=5, folder=f"times/half-{seed}")
    return ["--runs", str(tmp_path / "runs"), "--times", str(tmp_path / "times")]


@pytest.fixture
def places(monkeypatch, tmp_path):
    for name in ("DATA", "FIGURE", "DOCUMENT"):
        monkeypatch.setattr(savings_results, name, tmp_path / getattr(savings_results, name).name)
    marks = "<!-- savings: made by scripts/savings_results.py --write -->\nold\n<!-- end of savings -->\n"
    (tmp_path / "README.md").write_text(f"before\n{marks}after\n")
    return tmp_path


def test_each_seed_is_compared_with_its_own_baseline(folders, places):
    assert savings_results.main(["--measure", *folders]) == 1  # the document has another table
    grpo, half = list(csv.DictReader(savings_results.DATA.open(newline="")))
    assert grpo["to_75"] == "6.0" and grpo["to_90"] == "7.2" and grpo["to_final"] == "8.0" and grpo["time_90"] == "1.00"
    # 75 % is 0.3: after 3 steps of one seed, 3.8 of the other; 0.36 and 0.4 are never reached by that one.
    assert (half["to_75"], half["to_75_sd"]) == ("3.4", "0.6") and half["to_90"] == "" == half["tokens_90"]
    assert half["reached_final"] == "1" and half["seeds"] == "2"
    assert (half["step_time"], half["step_time_sd"]) == ("0.50", "0.14")
    assert half["time_75"] == "0.28"  # 3.41 of 6 steps that take half as long
    assert half["effective"] == "50" and grpo["effective"] == ""


def test_the_table_says_of_how_many_seeds_and_the_figure_has_its_bars(folders, places):
    assert savings_results.main(["--measure", "--write", *folders]) == 0 == savings_results.main([])
    text = (places / "README.md").read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    row = next(line for line in text.splitlines() if line.startswith("| `half`"))
    assert "| 1 of 2 seeds |" in row and "| 3.4 ± 0.6 | – |" in row
    shown = re.findall(r">(\d\.\d\d)</text>", savings_results.FIGURE.read_text())
    assert {"0.28", "1.00"} <= set(shown)
