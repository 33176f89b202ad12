"""Means without runs in which the baseline does not learn: of a few runs, by hand."""

import pytest

from scripts.reproduce.learnt import learnt_table, least_gain, not_learnt
from tests.evidence.hand import evidence, run
from verl_dots.evidence.cells import has_rows, text_of
from verl_dots.evidence.measuring import measure

# Half of the steps are saved where GRPO gains 40 points, and nine tenths where it gains one.
GRPO, DOTS = run({0: 0.1, 10: 0.5}), run({0: 0.1, 5: 0.5, 10: 0.5})
FLAT, AHEAD = run({0: 0.49, 10: 0.5}), run({0: 0.49, 1: 0.5, 10: 0.5})


def measured_of(flat=("b", 2), combinations="ab"):
    keys = [(seed, "accuracy", name) for name in combinations for seed in (1, 2)]
    runs = {("grpo", *key): GRPO for key in keys} | {("dots", *key): DOTS for key in keys}
    if flat:
        name, seed = flat
        runs |= {("grpo", seed, "accuracy", name): FLAT, ("dots", seed, "accuracy", name): AHEAD}
    found = evidence(runs)
    return found, measure(found, smoothing="none", stand_in=False)


def test_the_noise_of_a_validation():
    assert least_gain(0.5, 400) == pytest.approx(0.05)  # 2 sqrt(0.25 / 400)
    assert least_gain(0.5) == pytest.approx(0.0441942)


def test_a_mean_with_and_without_the_run_that_carries_it():
    table = learnt_table(*measured_of())
    heads = [column.title for column in table.columns]
    rows = {row[0]: dict(zip(heads, row, strict=True)) for row in table.sections[0].rows}
    dots = rows["DOTS"]
    assert (dots["reached, all runs"], dots["reached, without"]) == ("4 of 4", "3 of 3")
    # Means of a and b: 50 and (50 + 90) / 2, and 50 and 50.
    assert text_of(dots["steps saved, all runs (%)"], 1).startswith("60.0")
    assert text_of(dots["steps saved, without (%)"], 1).split()[0] == "50.0"
    assert text_of(dots["total time saved, without (%)"], 1) == "not measured"
    assert rows["GRPO"]["steps saved, without (%)"] == "baseline"
    told = "Left out: b, seed 2. GRPO comes from 49.0 to 50.0 %, and 2 standard errors of 512 questions are 4.4 points."
    assert table.notes[1:] == (told,)


def test_the_gain_counts_and_not_the_accuracy():
    _, measured = measured_of()
    assert not_learnt(measured)[["combination", "seed"]].to_numpy().tolist() == [["b", 2]]
    assert not_learnt(measure(measured_of()[0], smoothing="none", apart=["b"])).empty


def test_without_such_a_run_or_a_mean_there_is_nothing_to_show():
    assert not has_rows(learnt_table(*measured_of(flat=None)))
    assert not has_rows(learnt_table(*measured_of(flat=("a", 2), combinations="a")))
