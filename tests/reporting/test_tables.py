"""Tables, as strings."""

import json
import math
from textwrap import dedent

import pytest

from tests.reporting.conftest import load_run
from verl_dots.reporting import summary, tables
from verl_dots.reporting.metric_means import MeanStd
from verl_dots.reporting.runs import group_by_name

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
        | method | runs | first (%) |  final (%) | gain (points) | steps | wall time (with validation) | train s/step | generated tokens |
        | :----- | ---: | --------: | ---------: | ------------: | ----: | --------------------------: | -----------: | ---------------: |
        | grpo   |    2 | 0.0 ± 0.0 | 40.0 ± 0.0 |   +40.0 ± 0.0 |     6 |                      26.0 s |         2.00 |              600 |
        | dots   |    1 |       0.0 |       60.0 |         +60.0 |     6 |                      20.0 s |         1.00 |              600 |
        | dash   |    1 |       0.0 |       10.0 |         +10.0 |     6 |                      18.0 s |         1.00 |              600 |"""  # noqa: E501
    assert tables.overview_table(comparison) == dedent(expected)


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


@pytest.mark.parametrize(
    ("baseline", "sentence"),
    [
        ({6: 0.6}, "No saving is shown: grpo was evaluated only once, at step 6."),
        ({0: 0.0}, "No saving is shown: grpo was evaluated only once, at step 0."),
        (
            {0: 0.5, 2: 0.6, 6: 0.5},
            "No saving is shown: grpo does not climb: its final accuracy (50.0 %) is not above its first (50.0 %).",
        ),
    ],
)
def test_a_reason_takes_the_place_of_the_savings(write_run, baseline, sentence):
    folders = [write_run("grpo", 0, baseline, 2.0, 6), write_run("dots", 0, DOTS, 1.0, 6)]
    found = summary.compare(group_by_name([load_run(folder) for folder in folders]))
    assert tables.savings_table(found) == sentence
    assert tables.milestones_table(found) == ""


def test_a_method_that_is_above_from_the_start_saves_nothing_that_is_known(write_run):
    folders = [write_run("grpo", 0, GRPO, 2.0, 6), write_run("dots", 0, {2: 0.7, 4: 0.8, 6: 0.9}, 1.0, 6)]
    found = summary.compare(group_by_name([load_run(folder) for folder in folders]))
    reason = "above at its first evaluation (step 2)"
    assert cells(tables.savings_table(found))[3] == ["dots", "1", reason, *["–"] * 8]
    assert cells(tables.milestones_table(found))[3] == ["dots", *[reason] * 3]


def test_a_method_that_ends_early_is_not_said_to_get_there_never(write_run):
    folders = [write_run("grpo", 0, GRPO, 2.0, 6), write_run("dots", 0, {0: 0.0, 2: 0.5}, 1.0, 2)]
    found = summary.compare(group_by_name([load_run(folder) for folder in folders]))
    assert cells(tables.savings_table(found))[3] == ["dots", "1", "not in 2 steps", *["–"] * 8]


def test_costs_that_nobody_recorded_are_dashes(write_run, edit_rows):
    folders = [write_run("grpo", 0, GRPO, 2.0, 6), write_run("dots", 0, DOTS, 1.0, 6)]
    edit_rows(folders[1], lambda row: row.update(train_seconds=-1.0))
    found = summary.compare(group_by_name([load_run(folder) for folder in folders]), window=3)
    # 17 of 26 s of wall time; no time is made up for training
    assert cells(tables.savings_table(found))[3] == [
        "dots", "1", "4.0", "–", "17.0 s", "400", "33.3 %", "–", "–", "34.6 %", "33.3 %",
    ]  # fmt: skip
    assert cells(tables.overview_table(found))[3][6:8] == ["20.0 s", "–"]
    assert cells(tables.equal_time_table(found))[3] == ["dots", "–", "–", "–", "–"]


def test_two_evaluations_of_the_baseline_have_no_milestones(write_run):
    folders = [write_run("grpo", 0, {0: 0.0, 6: 0.6}, 2.0, 6), write_run("dots", 0, DOTS, 1.0, 6)]
    found = summary.compare(group_by_name([load_run(folder) for folder in folders]))
    assert tables.milestones_table(found) == (
        "Steps to parts of the gain are not shown: grpo was evaluated only 2 times."
    )


def test_nothing_is_extrapolated_over_time(write_run):
    folders = [
        write_run("grpo", 0, GRPO, 2.0, 6),  # 22 s of training
        write_run("dots", 0, {2: 0.5, 6: 0.9}, 1.0, 6),  # the first evaluation after 12 s, the last after 16 s
        write_run("dash", 0, {0: 0.0, 2: 0.4}, 1.0, 6),  # the last after 12 s, though it trained for 16 s
    ]
    found = summary.compare(group_by_name([load_run(folder) for folder in folders]))
    rows = cells(tables.equal_time_table(found))
    assert rows[3] == ["dots", "–", "–", "(90.0)", "(90.0)"]  # after 5.5, 11, 16.5 and 22 s
    assert rows[4] == ["dash", "18.3", "36.7", "–", "–"]  # 5.5/12 and 11/12 of 40


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


def test_phases(comparison):
    expected = """\
        | phase   |  grpo |  dots |  dash |
        | :------ | ----: | ----: | ----: |
        | step    | 2.000 | 1.000 | 1.000 |
        | gen     | 1.000 | 0.500 | 0.500 |
        | testing | 0.600 | 0.600 | 0.200 |"""
    assert tables.phases_table(comparison) == dedent(expected)


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
