"""Tables, as strings."""

import math
from textwrap import dedent

import pytest

from tests.reporting.conftest import DOTS, GRPO, compare
from verl_dots.reporting import tables
from verl_dots.reporting.metric_means import MeanStd

OVERVIEW = """\
| method | runs | first (%) |  final (%) | gain (points) | steps | wall time (with validation) | train s/step | generated tokens |
| :----- | ---: | --------: | ---------: | ------------: | ----: | --------------------------: | -----------: | ---------------: |
| grpo   |    2 | 0.0 ± 0.0 | 40.0 ± 0.0 |   +40.0 ± 0.0 |     6 |                      26.0 s |         2.00 |              600 |
| dots   |    1 |       0.0 |       60.0 |         +60.0 |     6 |                      20.0 s |         1.00 |              600 |
| dash   |    1 |       0.0 |       10.0 |         +10.0 |     6 |                      18.0 s |         1.00 |              600 |"""  # noqa: E501
# Smoothed, at steps 0, 2, 4, 6: grpo 0, 0.1, 0.2, 0.4; dots 0, 0.2, 0.4, 0.6. Targets 0.2, 0.3, 0.36.
MILESTONES = """\
| steps to a share of grpo's gain |               50 % |               75 % |               90 % |
| :------------------------------ | -----------------: | -----------------: | -----------------: |
| grpo                            |                4.0 |                5.0 |                5.6 |
| dots                            | 2.0 (50.0 % saved) | 3.0 (40.0 % saved) | 3.6 (35.7 % saved) |
| dash                            |              never |              never |              never |"""
# Training seconds at steps 0, 2, 4, 6: grpo 0, 14, 18, 22; dots 0, 12, 14, 16; dash at 0 and 6: 0, 16.
# After 5.5 s of 22: 5.5/14 of 0.1, 5.5/12 of 0.2 and 5.5/16 of 0.1.
EQUAL_TIME = """\
| accuracy after a share of grpo's train time (22.0 s) | 25 % | 50 % |   75 % |  100 % |
| :--------------------------------------------------- | ---: | ---: | -----: | -----: |
| grpo                                                 |  3.9 |  7.9 |   16.3 |   40.0 |
| dots                                                 |  9.2 | 18.3 | (60.0) | (60.0) |
| dash                                                 |  3.4 |  6.9 | (10.0) | (10.0) |"""
PHASES = """\
| phase   |  grpo |  dots |  dash |
| :------ | ----: | ----: | ----: |
| step    | 2.000 | 1.000 | 1.000 |
| gen     | 1.000 | 0.500 | 0.500 |
| testing | 0.600 | 0.600 | 0.200 |"""


@pytest.fixture
def comparison(write_run):
    folders = [write_run("dots", 0, DOTS, 1.0), write_run("dash", 0, {0: 0.0, 6: 0.2}, 1.0)]
    return compare(*folders, write_run("grpo", 0, GRPO), write_run("grpo", 1, GRPO), window=3)


def test_tables_of_three_methods(comparison):
    assert tables.overview_table(comparison) == OVERVIEW
    assert tables.milestones_table(comparison) == MILESTONES
    assert tables.equal_time_table(comparison) == EQUAL_TIME
    assert tables.phases_table(comparison) == PHASES


def cells(table):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_savings(comparison):
    found = cells(tables.savings_table(comparison))
    costs = ["steps", "train time (no validation)", "wall time (with validation)", "tokens"]
    saved = ["steps saved", "train s/step saved", "train time saved", "wall time saved", "tokens saved"]
    assert found[0] == ["method", "runs", *costs, *saved]
    assert found[2] == ["grpo (baseline)", "2", "6.0", "22.0 s", "26.0 s", "600", *["–"] * 5]
    # 14 of 22 s of training: 36.4 %; 14/4 of 22/6 s a step: 4.5 %; 17 of 26 s of wall time: 34.6 %
    assert found[3] == ["dots", "1", "4.0", "14.0 s", "17.0 s", "400", "33.3 %", "4.5 %", "36.4 %", "34.6 %", "33.3 %"]
    assert found[4] == ["dash", "1", "never", *["–"] * 8]


def test_a_reason_takes_the_place_of_the_savings(write_run):
    found = compare(write_run("grpo", 0, {6: 0.6}), write_run("dots", 0, DOTS))
    assert tables.savings_table(found) == "No saving is shown: grpo was validated only once, at step 6."
    assert tables.milestones_table(found) == ""


@pytest.mark.parametrize(
    ("accuracies", "reason"),
    [({2: 0.7, 4: 0.8, 6: 0.9}, "above at its first validation (step 2)"), ({0: 0.0, 2: 0.5}, "not in 2 steps")],
)
def test_a_method_that_does_not_climb_through_the_target_saves_nothing_that_is_known(write_run, accuracies, reason):
    found = compare(write_run("grpo", 0, GRPO), write_run("dots", 0, accuracies))
    assert cells(tables.savings_table(found))[3] == ["dots", "1", reason, *["–"] * 8]
    assert cells(tables.milestones_table(found))[3][-1] == reason


def test_costs_that_nobody_recorded_are_dashes(write_run):
    dots = write_run("dots", 0, DOTS, 1.0, metrics=lambda step: {"train_seconds": -1.0})
    found = compare(write_run("grpo", 0, GRPO), dots, window=3)
    # 17 of 26 s of wall time; no time is made up for training
    assert cells(tables.savings_table(found))[3] == [
        "dots", "1", "4.0", "–", "17.0 s", "400", "33.3 %", "–", "–", "34.6 %", "33.3 %",
    ]  # fmt: skip
    assert cells(tables.overview_table(found))[3][6:8] == ["20.0 s", "–"]
    assert cells(tables.equal_time_table(found))[3] == ["dots", "–", "–", "–", "–"]


def test_two_validations_of_the_baseline_have_no_milestones(write_run):
    found = compare(write_run("grpo", 0, {0: 0.0, 6: 0.6}), write_run("dots", 0, DOTS))
    sentence = "Steps to parts of the gain are not shown: grpo was validated only 2 times."
    assert tables.milestones_table(found) == sentence


def test_nothing_is_extrapolated_over_time(write_run):
    dots = write_run("dots", 0, {2: 0.5, 6: 0.9}, 1.0)  # the first validation after 12 s, the last after 16 s
    dash = write_run("dash", 0, {0: 0.0, 2: 0.4}, 1.0, 6)  # the last after 12 s, though it trained for 16 s
    rows = cells(tables.equal_time_table(compare(write_run("grpo", 0, GRPO), dots, dash)))
    assert rows[3] == ["dots", "–", "–", "(90.0)", "(90.0)"]  # after 5.5, 11, 16.5 and 22 s
    assert rows[4] == ["dash", "18.3", "36.7", "–", "–"]  # 5.5/12 and 11/12 of 40


def test_outcomes_of_groups(write_run, comparison):
    assert tables.outcomes_table(comparison) == ""

    def metrics(step):
        return {"training/effective_groups": 0.1 * step, "training/all_wrong_groups": (6 - step) / 10}

    found = compare(write_run("grpo", 3, GRPO), write_run("e3", 0, GRPO, metrics=metrics))
    # All wrong: 50, 40, 30, 20, 10 and 0 %; the last third of six steps are two.
    expected = """\
        | groups (%) | effective | all wrong | all right | all wrong, last third |
        | :--------- | --------: | --------: | --------: | --------------------: |
        | grpo       |         – |         – |         – |                     – |
        | e3         |      35.0 |      25.0 |         – |                   5.0 |"""
    assert tables.outcomes_table(found) == dedent(expected)
    overview = cells(tables.overview_table(found))
    assert [row[-1] for row in overview] == ["effective groups (%)", "-" * 19 + ":", "–", "35.0"]


def test_one_method_has_no_savings(write_run):
    assert tables.savings_table(compare(write_run("grpo", 0, GRPO))) == ""


def test_another_metric_is_not_in_percent(write_run):
    text = tables.overview_table(compare(write_run("grpo", 0, GRPO), metric="response_length/mean"))
    assert "| method | runs |  first |  final |   gain |" in text
    assert "| grpo   |    1 | 20.000 | 20.000 | +0.000 |" in text


def test_formats():
    assert tables.accuracy(MeanStd(0.3456, 0.0123, 3), True) == "34.6 ± 1.2"
    assert tables.accuracy(MeanStd(-0.01, math.nan, 1), True, sign=True) == "-1.0"
    counts = {950: "950", 12_345: "12.3 k", 4_560_000: "4.56 M", 7.89e9: "7.89 G", math.nan: "–"}
    counts |= {999.4: "999", 999.7: "1.0 k", 999_940: "999.9 k", 999_960: "1.00 M", 999_996_000: "1.00 G"}
    assert {value: tables.count(value) for value in counts} == counts
