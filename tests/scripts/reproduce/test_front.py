"""The README's figure: how far methods are above GRPO's runs of the same combination and seed."""

import numpy as np
import pytest

from scripts.reproduce import front
from tests.evidence import made
from verl_dots.evidence.records import Evidence

CURVES = {
    ("one", "grpo", 1): {0: 0.1, 2: 0.2, 4: 0.3}, ("one", "grpo", 2): {0: 0.3, 2: 0.4, 4: 0.5},
    ("one", "dots_rr", 1): {0: 0.1, 2: 0.3, 4: 0.5}, ("one", "dots_rr", 2): {0: 0.3, 2: 0.5, 4: 0.9},
    ("one", "dash", 1): {0: 0.1, 2: 0.2, 4: 0.3}, ("one", "dash", 2): {0: 0.3, 2: 0.4, 4: 0.5},
    ("one", "mopps", 1): {0: 0.1, 2: 0.2, 4: 0.3},
}  # fmt: skip


def figure(curves=CURVES, tokens_of=None, smoothing="none"):
    """Of runs with 100 tokens a step; `tokens_of`: method -> tokens a step of its own."""
    found = made.evidence(curves)
    each = found.steps.method.map(lambda method: (tokens_of or {}).get(method, 100.0))
    steps = found.steps.assign(generated_tokens=found.steps.step * each)
    return front.curves_of(Evidence(steps, found.runs), smoothing=smoothing)


def drawn(axis, label):
    (found,) = [line for line in axis.lines if line.get_label() == label]
    return found.get_xdata().tolist(), found.get_ydata().tolist()


def test_a_method_is_compared_with_the_run_of_the_same_seed():
    """The seeds of GRPO are 20 points apart; the differences 20 and 40 at the end are not."""
    accuracy, above, _ = figure().axes
    assert drawn(accuracy, "DOTS + RR") == ([0, 2, 4], pytest.approx([20, 40, 70]))
    assert drawn(above, "DOTS + RR") == ([0, 2, 4], pytest.approx([0, 10, 30]))
    ends = np.array([segment[:, 1] for segment in above.collections[0].get_segments()])
    assert ends[-1] == pytest.approx([20, 40]), "of two seeds the interval is their range"
    assert not accuracy.collections


def test_validations_are_smoothed_as_in_the_table():
    """Seeds 0.5 and 0.9 at the end: means of three 0.3 and 0.5667."""
    found = figure(smoothing="trailing")
    assert drawn(found.axes[0], "DOTS + RR") == ([0, 2, 4], pytest.approx([20, 30, 43.3333]))
    assert "trailing means of 3 validations, as in the table" in found.get_suptitle().replace("\n", " ")


def test_a_run_that_was_validated_at_other_steps_is_not_smoothed_beside_the_others():
    often = {("one", "dots_rr", 2): {0: 0.3, 1: 0.4, 2: 0.5, 3: 0.7, 4: 0.9}}
    found = figure(CURVES | often, smoothing="trailing")
    assert drawn(found.axes[0], "DOTS + RR") == ([0, 2, 4], pytest.approx([10, 20, 30]))  # seed 1 alone
    assert drawn(figure(CURVES | often).axes[0], "DOTS + RR")[1] == pytest.approx([20, 40, 70])


def test_at_equal_tokens_grpo_is_interpolated_and_not_beyond_its_end():
    """At 50 tokens a step DOTS has GRPO's tokens of step 1 at step 2; at 200 it has those of step 4."""
    assert drawn(figure(tokens_of={"dots_rr": 50.0}).axes[2], "DOTS + RR") == (
        [0, 100, 200], pytest.approx([0, 15, 40]),
    )  # fmt: skip
    assert drawn(figure(tokens_of={"dots_rr": 200.0}).axes[2], "DOTS + RR") == ([0, 400], pytest.approx([0, 0]))


def test_the_figure_says_what_bars_are_and_who_has_the_same_line():
    found = figure()
    told = found.get_suptitle().replace("\n", " ")
    assert "bars: 95 % interval of the mean difference to GRPO's run of the same combination and seed" in told
    assert told.endswith("2 runs a line")
    assert [text.get_text() for text in found.legends[0].get_texts()] == ["GRPO = DASH (same line)", "DOTS + RR"]
    above, at_tokens = found.axes[1:]
    assert above.get_ylim() == at_tokens.get_ylim()


def test_runs_without_grpos_are_no_difference():
    curves = {key: curve for key, curve in CURVES.items() if key != ("one", "grpo", 2)}
    _, above, _ = figure(curves).axes
    assert drawn(above, "DOTS + RR")[1] == pytest.approx([0, 10, 20])
    with pytest.raises(ValueError, match="GRPO"):
        figure({key: curve for key, curve in CURVES.items() if key[1] != "grpo"})
