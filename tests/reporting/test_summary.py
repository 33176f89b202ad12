"""From run folders to a comparison."""

import math

import pytest

from tests.refusals import refused
from tests.reporting.conftest import load_run
from verl_dots.reporting import summary
from verl_dots.reporting.runs import group_by_name
from verl_dots.reporting.selection import select

# grpo, smoothed: 0.0, 0.1, 0.2, 0.4. dots, smoothed: 0.0, 0.2, 0.4, 0.6 (steps 0, 2, 4, 6).
GRPO = {0: 0.0, 2: 0.2, 4: 0.4, 6: 0.6}
DOTS = {0: 0.0, 2: 0.4, 4: 0.8, 6: 0.6}


@pytest.fixture
def comparison(write_run):
    folders = [write_run("dots", 0, DOTS, 1.0, 6), write_run("grpo", 0, GRPO, 2.0, 6)]
    return summary.compare(group_by_name([load_run(folder) for folder in folders]), window=3)


def test_the_baseline_comes_first_and_sets_the_target(comparison):
    assert [method.name for method in comparison.methods] == ["grpo", "dots"]
    assert comparison.baseline == "grpo"
    assert comparison.target == pytest.approx(0.4)  # (0.2 + 0.4 + 0.6) / 3
    assert comparison.is_accuracy and comparison.label == "Validation accuracy"


def test_costs_and_savings(comparison):
    grpo, dots = comparison.methods
    assert grpo.reach.steps == pytest.approx(6.0)
    assert grpo.reach.train_seconds == pytest.approx(22.0)  # 10 + 6 * 2
    assert dots.reach.steps == pytest.approx(4.0)
    assert dots.reach.train_seconds == pytest.approx(14.0)  # 10 + 4 * 1
    assert dots.savings.steps == pytest.approx(1 / 3)
    assert dots.savings.total == pytest.approx(8 / 22)
    assert dots.savings.tokens == pytest.approx(1 / 3)
    assert (dots.seconds_per_step, grpo.seconds_per_step) == (1.0, 2.0)
    assert grpo.wall_seconds == 26.0  # 22 s of training and four validations of 1 s
    assert grpo.seconds_by_phase == {"step": 2.0, "gen": 1.0, "testing": pytest.approx(3 / 5)}


def test_seeds_give_mean_and_deviation(write_run):
    folders = [write_run("grpo", seed, {0: 0.1, 2: 0.1 + 0.2 * seed}) for seed in (0, 1)]
    (grpo,) = summary.compare(group_by_name([load_run(folder) for folder in folders]), window=3).methods
    # final: (0.1 + 0.1) / 2 and (0.1 + 0.3) / 2
    assert (grpo.final.mean, grpo.final.count) == (pytest.approx(0.15), 2)
    assert grpo.final.std == pytest.approx(0.05 * 2**0.5)
    assert grpo.gain.mean == pytest.approx(0.05)


def test_choice_of_the_baseline():
    assert summary.choose_baseline(["dots", "grpo"]) == "grpo"
    assert summary.choose_baseline(["dots", "dash"]) == "dots"
    assert summary.choose_baseline(["dots", "grpo"], "dots") == "dots"
    with refused("gpro", "unknown", "['dots', 'grpo']", "'grpo'?"):
        summary.choose_baseline(["dots", "grpo"], "gpro")


def test_runs_validated_on_different_data_are_refused(write_run):
    folders = [write_run("grpo", 0, GRPO), write_run("dots", 0, DOTS, key="val-core/math/acc/mean@1")]
    with refused(str(folders[0]), "excluded", str(folders[1]), "arithmetic", "math", "--metric"):
        summary.compare(group_by_name([load_run(folder) for folder in folders]), window=3)


def test_the_usual_baseline_is_missed(write_run):
    folders = [
        write_run("grpo", 0, GRPO, last_step=6, finished=False), write_run("dots", 0, DOTS, last_step=6),
        write_run("dash", 0, DOTS, last_step=6),
    ]  # fmt: skip
    chosen = select(folders)
    found = summary.compare(chosen.groups, left_out=chosen.left_out)
    assert found.baseline == "dots"
    assert "no run of grpo, the usual baseline, counts: dots is the baseline." in found.notes
    with refused("grpo", "missing", "not finished (step 6)", "--include-unfinished"):
        summary.compare(chosen.groups, "grpo", left_out=chosen.left_out)


def test_wall_time_is_not_compared_over_different_evaluations(write_run):
    even = write_run("dots", 0, {0: 0.0, 2: 0.5, 4: 0.7, 6: 0.8}, 1.0, 6)
    often = write_run("dash", 0, {step: 0.8 * step / 6 for step in range(7)}, 1.0, 6)
    groups = group_by_name([load_run(folder) for folder in (write_run("grpo", 0, GRPO, 2.0, 6), even, often)])
    _, dots, dash = summary.compare(groups, window=1).methods
    # 0.6 is half way from 0.5 at step 2, after 12 s and two validations, to 0.7 at step 4, after 14 s and three.
    assert dots.savings.wall == pytest.approx(1 - 15.5 / 26)
    assert math.isnan(dash.savings.wall)
    assert dash.savings.total == pytest.approx(1 - 14.5 / 22)  # at step 4.5


def test_by_itself_nothing_is_smoothed_over_different_steps(write_run):
    curve = {step: step / 20 for step in range(0, 20, 2)}
    one = write_run("grpo", 0, curve, last_step=18)
    assert summary.compare(group_by_name([load_run(one)])).window == 3
    other = write_run("dots", 0, {step: step / 20 for step in range(19)}, last_step=18)
    assert summary.compare(group_by_name([load_run(one), load_run(other)])).window == 1


def test_seeds_are_smoothed_over_the_evaluations_that_all_have(write_run):
    often = {0: 0.0, 1: 0.3, 2: 0.3, 3: 0.3, 4: 0.6}
    folders = [write_run("grpo", 0, often), write_run("grpo", 1, {0: 0.0, 2: 0.3, 4: 0.6})]
    (grpo,) = summary.compare(group_by_name([load_run(folder) for folder in folders]), window=3).methods
    assert [curve.accuracy_E[-1] for curve in grpo.curves] == pytest.approx([0.3, 0.3])  # (0 + 0.3 + 0.6) / 3


@pytest.mark.parametrize("window", [0, -1])
def test_a_window_has_an_evaluation(write_run, window):
    with refused("--smoothing", "range", str(window)):
        summary.compare(group_by_name([load_run(write_run("grpo", 0, GRPO))]), window=window)


def test_an_accuracy_beyond_one_is_no_percentage(write_run):
    folder = write_run("grpo", 0, {0: 12.5, 4: 71.0})
    found = summary.compare(group_by_name([load_run(folder)]))
    assert not found.is_accuracy
    assert found.notes[-1] == "the accuracy has values from 12.5 to 71: it is not shown as a percentage."


def test_one_lost_evaluation_changes_neither_the_smoothing_nor_what_is_compared(write_run):
    curve = {step: step / 40 for step in range(0, 21, 2)}
    lost = {step: value for step, value in curve.items() if step != 10}
    folders = [write_run("grpo", 0, curve, last_step=20), write_run("dots", 0, lost, last_step=20)]
    found = summary.compare(group_by_name([load_run(folder) for folder in folders]))
    assert found.window == 3
    assert [method.mean.step_E.tolist() for method in found.methods] == [[0, 2, 4, 6, 8, 12, 14, 16, 18, 20]] * 2
    assert found.methods[1].savings.steps == pytest.approx(0.0)
