"""Tables, as strings."""

import json
import math
from textwrap import dedent

import pytest

from verl_dots.reporting import summary, tables
from verl_dots.reporting.measures import MeanStd
from verl_dots.reporting.runs import group_by_name, load_run

GRPO = {0: 0.0, 2: 0.2, 4: 0.4, 6: 0.6}
DOTS = {0: 0.0, 2: 0.4, 4: 0.8, 6: 0.6}


def compare(*folders, metric=None):
    return summary.compare(group_by_name([load_run(folder, metric) for folder in folders]), window=3)


@pytest.fixture
def comparison(write_run):
    dash = write_run("dash", 0, {0: 0.0, 6: 0.2}, 1.0, 6)
    seeds = [write_run("grpo", 0, GRPO, 2.0, 6), write_run("grpo", 1, GRPO, 2.0, 6)]
    return compare(write_run("dots", 0, DOTS, 1.0, 6), dash, *seeds)


def test_overview(comparison):
    expected = """\
        | method | runs | first (%) |  final (%) | gain (points) | steps | wall time | s/step | generated tokens |
        | :----- | ---: | --------: | ---------: | ------------: | ----: | --------: | -----: | ---------------: |
        | grpo   |    2 | 0.0 ± 0.0 | 40.0 ± 0.0 |   +40.0 ± 0.0 |     6 |    26.0 s |   2.00 |              600 |
        | dots   |    1 |       0.0 |       60.0 |         +60.0 |     6 |    20.0 s |   1.00 |              600 |
        | dash   |    1 |       0.0 |       10.0 |         +10.0 |     6 |    18.0 s |   1.00 |              600 |"""
    assert tables.overview_table(comparison) == dedent(expected)


def test_savings(comparison):
    lines = tables.savings_table(comparison).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0][5:] == ["steps saved (%)", "time/step saved (%)", "total time saved (%)", "tokens saved (%)"]
    assert cells[2] == ["grpo (baseline)", "6.0", "22.0 s", "26.0 s", "600", "–", "–", "–", "–"]
    # 14 of 22 s: 36.4 %; 14/4 of 22/6 s a step: 4.5 %
    assert cells[3] == ["dots", "4.0", "14.0 s", "17.0 s", "400", "33.3", "4.5", "36.4", "33.3"]
    assert cells[4] == ["dash", "never", *["–"] * 7]


def test_milestones(comparison):
    # Smoothed, at steps 0, 2, 4, 6: grpo 0, 0.1, 0.2, 0.4; dots 0, 0.2, 0.4, 0.6. Targets 0.2, 0.3, 0.36.
    expected = """\
        | steps to a share of grpo's gain |               50 % |               75 % |               90 % |
        | :------------------------------ | -----------------: | -----------------: | -----------------: |
        | grpo                            |                4.0 |                5.0 |                5.6 |
        | dots                            | 2.0 (50.0 % saved) | 3.0 (40.0 % saved) | 3.6 (35.7 % saved) |
        | dash                            |              never |              never |              never |"""
    assert tables.milestones_table(comparison) == dedent(expected)


def test_accuracy_at_equal_time(comparison):
    # Training seconds at steps 0, 2, 4, 6: grpo 0, 14, 18, 22; dots 0, 12, 14, 16; dash at 0 and 6: 0, 16.
    # After 5.5 s of 22: 5.5/14 of 0.1, 5.5/12 of 0.2 and 5.5/16 of 0.1.
    expected = """\
        | accuracy after a share of grpo's train time (22.0 s) | 25 % | 50 % |   75 % |  100 % |
        | :--------------------------------------------------- | ---: | ---: | -----: | -----: |
        | grpo                                                 |  3.9 |  7.9 |   16.3 |   40.0 |
        | dots                                                 |  9.2 | 18.3 | (60.0) | (60.0) |
        | dash                                                 |  3.4 |  6.9 | (10.0) | (10.0) |"""
    assert tables.equal_time_table(comparison) == dedent(expected)


def test_outcomes_of_groups(write_run, comparison):
    assert tables.outcomes_table(comparison) == ""
    folder = write_run("e3", 0, GRPO, 2.0, 6)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for row in rows[1:]:
        row |= {"training/effective_groups": 0.5, "training/all_wrong_groups": (6 - row["step"]) / 10}
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = tables.outcomes_table(compare(write_run("grpo", 3, GRPO, 2.0, 6), folder))
    # All wrong: 50, 40, 30, 20, 10 and 0 %; the last third of six steps are two.
    expected = """\
        | groups (%) | effective | all wrong | all right | all wrong, last third |
        | :--------- | --------: | --------: | --------: | --------------------: |
        | grpo       |         – |         – |         – |                     – |
        | e3         |      50.0 |      25.0 |         – |                   5.0 |"""
    assert found == dedent(expected)


def test_a_baseline_that_gains_nothing_has_no_milestones(write_run):
    flat = {step: 0.5 for step in GRPO}
    found = compare(write_run("grpo", 0, flat, 2.0, 6), write_run("dots", 0, DOTS, 1.0, 6))
    assert tables.milestones_table(found) == ""


def test_parts(comparison):
    expected = """\
        | part    |  grpo |  dots |  dash |
        | :------ | ----: | ----: | ----: |
        | step    | 2.000 | 1.000 | 1.000 |
        | gen     | 1.000 | 0.500 | 0.500 |
        | testing | 0.600 | 0.600 | 0.200 |"""
    assert tables.parts_table(comparison) == dedent(expected)


def test_one_method_has_no_savings(write_run):
    assert tables.savings_table(compare(write_run("grpo", 0, GRPO))) == ""


def test_another_metric_is_not_in_percent(write_run):
    text = tables.overview_table(compare(write_run("grpo", 0, GRPO), metric="response_length/mean"))
    assert "| method | runs |  first |  final |   gain |" in text
    assert "| grpo   |    1 | 20.000 | 20.000 | +0.000 |" in text


def test_formats():
    assert tables.accuracy(MeanStd(0.3456, 0.0123, 3), True) == "34.6 ± 1.2"
    assert tables.accuracy(MeanStd(-0.01, math.nan, 1), True, sign=True) == "-1.0"
    assert [tables.duration(seconds) for seconds in (4.25, 725, 11220, math.nan)] == [
        "4.2 s",
        "12 min 05 s",
        "3 h 07 min",
        "–",
    ]
    assert [tables.count(value) for value in (950, 12_345, 4_560_000, 7.89e9, math.nan)] == [
        "950",
        "12.3 k",
        "4.56 M",
        "7.89 G",
        "–",
    ]
    assert tables.markdown(["a|b", "c"], [["x", "1"]]) == "| a\\|b |   c |\n| :--- | --: |\n| x    |   1 |"
