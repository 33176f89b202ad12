"""From run folders to a comparison."""

import math
from dataclasses import asdict

import pytest

from tests.refusals import refused
from tests.reporting.conftest import DOTS, GRPO, compare
from verl_dots.reporting import summary
from verl_dots.reporting.counted_runs import select


def test_the_baseline_comes_first_and_sets_the_target(write_run):
    found = compare(write_run("dots", 0, DOTS, 1.0), write_run("grpo", 0, GRPO), window=3)
    grpo, dots = found.methods
    assert (grpo.name, dots.name, found.baseline) == ("grpo", "dots", "grpo")
    assert found.target == pytest.approx(0.4)  # (0.2 + 0.4 + 0.6) / 3
    assert found.is_accuracy and found.label == "Validation accuracy"
    # 4 of 6 steps; 10 + 4 * 1 of 10 + 6 * 2 s of training, to which three and four validations of 1 s come.
    assert asdict(dots.savings) == pytest.approx(
        {"steps": 2 / 6, "seconds_per_step": 1 - 14 / 4 / (22 / 6), "total": 8 / 22, "wall": 9 / 26, "tokens": 2 / 6}
    )


def test_seeds_give_mean_and_deviation(write_run):
    (grpo,) = compare(*[write_run("grpo", seed, {0: 0.1, 2: 0.1 + 0.2 * seed}) for seed in (0, 1)], window=3).methods
    # final: (0.1 + 0.1) / 2 and (0.1 + 0.3) / 2
    assert (grpo.final.mean, grpo.final.count) == (pytest.approx(0.15), 2)
    assert grpo.final.std == pytest.approx(0.05 * 2**0.5)  # the sample's
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
        compare(*folders)


def test_the_usual_baseline_is_missed(write_run):
    others = [write_run(name, 0, DOTS) for name in ("dots", "dash")]
    chosen = select([write_run("grpo", 0, GRPO, finished=False), *others])
    found = summary.compare(chosen.groups, left_out=chosen.left_out)
    assert found.baseline == "dots"
    assert "no run of grpo, the usual baseline, counts: dots is the baseline." in found.notes
    with refused("grpo", "missing", "not finished (step 6)", "--include-unfinished"):
        summary.compare(chosen.groups, "grpo", left_out=chosen.left_out)


def test_wall_time_is_not_compared_over_different_validations(write_run):
    even = write_run("dots", 0, {0: 0.0, 2: 0.5, 4: 0.7, 6: 0.8}, 1.0)
    often = write_run("dash", 0, {step: 0.8 * step / 6 for step in range(7)}, 1.0)
    _, dots, dash = compare(write_run("grpo", 0, GRPO), even, often, window=1).methods
    # 0.6 is half way from 0.5 at step 2, after 12 s and two validations, to 0.7 at step 4, after 14 s and three.
    assert dots.savings.wall == pytest.approx(1 - 15.5 / 26)
    assert math.isnan(dash.savings.wall)
    assert dash.savings.total == pytest.approx(1 - 14.5 / 22)  # at step 4.5


def test_by_itself_nothing_is_smoothed_over_really_different_steps(write_run):
    steps = {"even": range(0, 19, 2), "lost": [0, 2, 4, 6, 10, 12, 14, 16, 18], "all": range(19)}
    even, lost, often = (write_run(name, 0, {step: step / 20 for step in own}) for name, own in steps.items())
    assert (compare(even).window, compare(even, often).window) == (3, 1)
    found = compare(even, lost)  # one lost validation changes neither the smoothing nor what is compared
    assert (found.window, found.methods[1].savings.steps) == (3, pytest.approx(0.0))
    assert [method.mean.step_E.tolist() for method in found.methods] == [steps["lost"]] * 2


def test_seeds_are_smoothed_over_the_validations_that_all_have(write_run):
    often = {0: 0.0, 1: 0.3, 2: 0.3, 3: 0.3, 4: 0.6}
    folders = [write_run("grpo", 0, often), write_run("grpo", 1, {0: 0.0, 2: 0.3, 4: 0.6})]
    (grpo,) = compare(*folders, window=3).methods
    assert [curve.accuracy_E[-1] for curve in grpo.curves] == pytest.approx([0.3, 0.3])  # (0 + 0.3 + 0.6) / 3


def test_a_window_has_a_validation(write_run):
    with refused("--smoothing", "range", "0"):
        compare(write_run("grpo", 0, GRPO), window=0)


def test_an_accuracy_beyond_one_is_no_percentage(write_run):
    found = compare(write_run("grpo", 0, {0: 12.5, 4: 71.0}))
    assert not found.is_accuracy
    assert found.notes[-1] == "the accuracy has values from 12.5 to 71: it is not shown as a percentage."
