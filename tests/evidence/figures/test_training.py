"""What is drawn over training: the data of the lines, what is named, what is left out."""

import numpy as np
import pandas as pd
import pytest

from tests.evidence.figures.conftest import MATH, above, by_seed_of, drawn, evidence, legend, line, rows
from verl_dots.evidence.figures.training import with_time
from verl_dots.evidence.records import TIMING_RUN

ORZ = "Tiny on ORZ"


def test_the_accuracy_of_one_combination_is_drawn_against_steps_time_and_tokens():
    figure = drawn(rows(), rows("dots"), ratios={"dots": 0.5})["accuracy"].figure
    steps, time, tokens = figure.axes
    assert line(steps, "GRPO") == ([0, 2, 4, 6], pytest.approx([10, 20, 30, 40]))
    assert line(time, "GRPO")[0] == [0, 2, 4, 6] and line(time, "DOTS")[0] == [0, 1, 2, 3]
    assert line(tokens, "DOTS")[0] == [0, 200, 400, 600]
    assert [axis.get_xlabel() for axis in figure.axes] == [
        "training step", "training time (steps of GRPO)", "generated tokens",
    ]  # fmt: skip
    assert steps.get_ylabel() == "accuracy (%)" and legend(figure) == ["GRPO", "DOTS"]
    assert above(figure) == ["Validation accuracy", f"{MATH}; validations as measured; 1 seed a line"]
    assert not steps.collections  # one seed has no band


def test_of_several_combinations_each_cost_is_a_figure_with_a_panel_a_combination():
    found = drawn(rows(), rows(combination=ORZ), rows("e3", combination=ORZ))
    assert {name for name in found if name.startswith("accuracy")} == {
        "accuracy_steps", "accuracy_time", "accuracy_tokens",
    }  # fmt: skip
    figure = found["accuracy_tokens"].figure
    assert [axis.get_title() for axis in figure.axes] == [MATH, ORZ]
    assert [len(axis.lines) for axis in figure.axes] == [2, 4] and legend(figure) == ["GRPO", "E3"]
    assert [axis.get_ylabel() for axis in figure.axes] == ["accuracy (%)", ""]


def test_targets_of_another_unit_have_an_axis_of_their_own():
    """A run that predicts difficulties has its target among them, in [0, 1]."""
    given = rows("adarft", adarft__target=lambda step: 5.0, adarft__reward=lambda step: 0.5)
    predicted = rows("all", adarft__target=lambda step: 0.5, adarft__reward=lambda step: 0.4,
                     selection__predicted_difficulty=lambda step: 0.5 if step == 4 else None)  # fmt: skip
    target, of_prediction, _ = drawn(given, predicted)["adarft"].figure.axes
    assert [one.get_label() for one in target.lines if one.get_linestyle() != "None"] == ["AdaRFT"]
    assert [one.get_label() for one in of_prediction.lines if one.get_linestyle() != "None"] == ["all"]
    assert (target.get_ylabel(), of_prediction.get_ylabel()) == ("difficulty given", "predicted difficulty")


def test_a_target_among_predictions_begins_at_the_first_of_them_whether_or_not_it_is_logged_before():
    """Steps 1 to 3 are uniform, and step 5 of another round has no prediction."""

    def predicted(step):
        return 0.5 if step in (4, 6) else None

    columns = {"adarft__reward": lambda step: 0.4, "selection__predicted_difficulty": predicted}
    early = rows("all", adarft__target=lambda step: 0.1 * step, **columns)
    late = rows("all", combination=ORZ, adarft__target=lambda step: 0.1 * step if step >= 4 else None, **columns)
    given = rows("adarft", adarft__target=lambda step: 5.0, adarft__reward=lambda step: 0.5)
    figure = drawn(given, early, late)["adarft_predicted_target"].figure
    for axis in figure.axes:
        assert line(axis, "all") == ([4, 5, 6], pytest.approx([0.4, 0.5, 0.6]))
    assert line(drawn(given, early, late)["adarft_target"].figure.axes[0], "AdaRFT")[0] == list(range(7))


def test_steps_without_replay_do_not_break_the_line_of_its_age():
    """0.1 of 30 steps: a trailing mean takes three steps, and of these the ones that replayed."""
    runs = [
        rows(
            "dots_rr",
            seed,
            steps=30,
            replay__share=lambda step: 0.5,
            replay__age__mean=lambda step, seed=seed: None if step % 4 == seed else 2.0,
        )
        for seed in (1, 2)
    ]
    axis = drawn(*runs)["replay"].figure.axes[1]
    x, y = line(axis, "DOTS + RR")
    assert not np.isnan(y).any() and x == list(range(31))


def test_many_validations_and_noisy_metrics_are_smoothed_and_the_figure_says_how():
    run = rows(steps=20, training__effective_groups=lambda step: (step % 2) if step else None)
    found = drawn(run, smoothing="trailing")
    accuracy, effective = found["accuracy"].figure, found["effective"].figure
    assert "trailing means of 3 validations" in above(accuracy)[1]
    # 0.1, 0.2, 0.3, ...: of three the one in the middle.
    assert line(accuracy.axes[0], "GRPO")[1][:4] == pytest.approx([10, 15, 20, 30])
    assert "trailing means of 2 steps" in above(effective)[1]
    assert line(effective.axes[0], "GRPO")[1][:4] == pytest.approx([100, 50, 50, 50])


def test_where_curves_of_a_figure_are_smoothed_differently_each_panel_says_so():
    run = rows("adarft", steps=20, adarft__target=lambda step: 0.5, adarft__reward=lambda step: 0.25)
    figure = drawn(run)["adarft"].figure
    assert [axis.get_title() for axis in figure.axes] == [
        "Target, in the unit of the difficulties that\nthe data have",
        "Reward that moves the target\ntrailing means of 2 steps",
    ]  # fmt: skip
    assert above(figure) == [MATH, "1 seed a line"]
    text = drawn(run)["adarft"].text
    target = "Target, in the unit of the difficulties that the data have"
    assert text == f"{target}. Reward that moves the target. {MATH}: 1 seed a line."


def test_nothing_recorded_is_no_figure_but_a_reason():
    found = drawn(rows())
    assert found["rho"].figure is None
    names = "selection/reference/rho or selection/explored/rho or mopps/rho"
    assert found["rho"].text == f"no run has recorded {names} with what it is drawn against"
    assert {name for name, one in found.items() if one.figure} == {"accuracy"}


def test_a_method_without_what_every_method_has_is_named():
    with_it = rows(training__effective_groups=lambda step: 0.5)
    drawn_as = drawn(with_it, rows("dots"))["effective"]
    assert legend(drawn_as.figure) == ["GRPO"] and drawn_as.text.endswith("not recorded: DOTS.")
    # A correlation is not something that GRPO has.
    drawn_as = drawn(rows(), rows("dots", selection__reference__rho=lambda step: 0.5))["rho"]
    assert legend(drawn_as.figure) == ["DOTS"] and "not recorded" not in drawn_as.text


def test_a_method_that_was_not_timed_is_named_and_others_times_are():
    found = drawn(rows(), rows("dots"), ratios={"dots": np.nan}, source="accuracy")["accuracy"]
    assert [one.get_label() for one in found.figure.axes[1].lines][:1] == ["GRPO"]
    assert found.figure.axes[1].get_xlabel() == "training time (steps of GRPO),\nnot timed alone"
    assert found.text.endswith("not timed: DOTS (training time (steps of GRPO), not timed alone).")
    timed = rows_of_seed("grpo", 1.0, TIMING_RUN), rows_of_seed("dots", np.nan, "")
    _, labels = with_time(rows(), pd.DataFrame(timed))
    assert set(labels.values()) == {"training time (steps of GRPO)"}, "what was not timed says nothing of the others"


def rows_of_seed(method, ratio, source):
    return {
        "combination": MATH, "method": method, "baseline": "grpo", "step_ratio": ratio, "step_source": source,
    }  # fmt: skip


def test_time_is_steps_by_the_mean_ratio_of_the_seeds():
    found = evidence(rows("dots", 1), rows("dots", 2))
    table = by_seed_of(found)
    table["step_ratio"] = [0.25, 0.75]
    timed, labels = with_time(found.steps, table)
    assert timed.loc[timed["step"] == 6, "time"].tolist() == [3, 3]
    assert labels == {MATH: "training time (steps of GRPO)"}


def test_the_entropy_that_most_methods_have_is_drawn_and_no_other_beside_it():
    both = rows(training__sampled_entropy=lambda step: 0.5, actor__entropy=lambda step: 0.4)
    replay = rows("dots_rr", training__sampled_entropy=lambda step: 0.25)
    figure = drawn(both, replay)["entropy"].figure
    assert line(figure.axes[0], "GRPO")[1][0] == 0.5 and line(figure.axes[0], "DOTS + RR")[1][0] == 0.25
    assert above(figure)[0] == "Entropy of the rollouts, by their own log-probs"
    old = drawn(rows(actor__entropy=lambda step: 0.4), rows("dots_rr"))["entropy"]
    assert above(old.figure)[0] == "Entropy by the forward pass before the update" and "DOTS + RR" in old.text


def test_timing_runs_are_not_drawn():
    figure = drawn(rows(), rows(kind="time", seed=9))["accuracy"].figure
    assert above(figure)[1].endswith("1 seed a line")


def test_a_point_that_no_line_leads_to_has_a_marker():
    def ratio(step):
        return 0.5 if step in (1, 2, 3, 4, 5, 9) else None

    (axis,) = drawn(rows(steps=12, training__effective_groups=ratio))["effective"].figure.axes
    x, y = line(axis, "GRPO")
    assert np.isnan(y[5]) and x[6] == 9 and 9 in axis.lines[1].get_xdata()


def test_a_run_that_was_validated_at_other_steps_is_not_drawn_among_smoothed_ones():
    runs = rows(steps=12), rows("dots", steps=12, accuracy=lambda step: 0.1 if step % 6 == 0 else None)
    assert legend(drawn(*runs, smoothing="none")["accuracy"].figure) == ["GRPO", "DOTS"]
    assert legend(drawn(*runs, smoothing="trailing")["accuracy"].figure) == ["GRPO"]
