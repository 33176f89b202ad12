"""Figures of lines: which methods share one, which lines are the same, how they are told apart, what is not cut."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from tests.evidence.figures.conftest import MATH, above, drawn, legend, line, rows
from verl_dots.evidence.figures.style import looks
from verl_dots.evidence.methods import LOOKS, MAIN

ORZ = "Tiny on ORZ"


def test_seeds_are_a_mean_with_a_band_that_the_figure_names():
    runs = [rows(seed=seed) for seed in (1, 2, 3)]
    for seed, run in enumerate(runs):
        run["accuracy"] += 0.03 * seed
    drawn_as = drawn(*runs)["accuracy"]
    axis = drawn_as.figure.axes[0]
    assert line(axis, "GRPO")[1] == pytest.approx([13, 23, 33, 43])
    (band,) = axis.collections
    at_six = [y for x, y in band.get_paths()[0].vertices if x == 6]
    assert (min(at_six), max(at_six)) == (pytest.approx(40), pytest.approx(46))
    told = "validations as measured; bands: least to greatest of the seeds; 3 seeds a line"
    assert above(drawn_as.figure)[1] == f"{MATH}; {told}"
    assert drawn_as.text == f"Validation accuracy: {MATH}; {told}."


def test_of_many_methods_the_range_stands_at_the_markers():
    figure = drawn(*many("grpo", "dapo", "mopps", "dots", "e3"))["accuracy"].figure
    axis = figure.axes[0]
    told = " ".join(above(figure))
    assert len(axis.collections) == 5 and "bars at markers, side by side at one step: least to greatest" in told
    marks = [one for one in axis.lines if one.get_linestyle() == "None"]
    for bars, mark in zip(axis.collections, marks, strict=True):
        assert [segment[0, 0] for segment in bars.get_segments()] == mark.get_xdata().tolist()
    last = sorted(mark.get_xdata()[-1] for mark in marks)
    assert np.diff(last).min() > 0.05 and last[2] == pytest.approx(6)  # side by side, around the step


def many(*methods):
    """Two runs of each method, all methods with other accuracies."""
    runs = [rows(method, seed) for method in methods for seed in (1, 2)]
    for place, run in enumerate(runs):
        run["accuracy"] += 0.01 * place
    return runs


def test_more_methods_than_a_panel_can_show_are_two_figures_with_the_baseline_in_both():
    found = drawn(*many(*LOOKS))
    shown = [legend(found[name].figure) for name in ("accuracy", "accuracy_2", "accuracy_3", "accuracy_4")]
    assert shown == [
        ["GRPO", "DAPO", "DOTS + RR", "AdaRFT", "E3", "all"],
        ["GRPO", "GRPO, 80 questions", "MoPPS", "DOTS", "DOTS + RR, levels known", "AdaRFT + RR"],
        [
            "GRPO", "filter by level", "fixed curriculum", "GRPO, 80 questions, entropy bonus",
            "E3, temperature alone", "E3, temperature annealed",
        ],
        ["GRPO", "DASH"],
    ]  # fmt: skip
    assert found["accuracy_2"].text.endswith("part 2 of 4, by methods.")


def test_a_method_with_the_line_of_another_is_named_beside_it():
    found = drawn(rows(), rows("dash"), rows("dots", training__effective_groups=lambda step: 0.5), ratios={"dots": 0.5})
    figure = found["accuracy"].figure
    assert legend(figure) == ["GRPO = DASH (same line)", "DOTS"]
    assert len([one for one in figure.axes[0].lines if one.get_linestyle() != "None"]) == 2
    timed = drawn(rows(), rows("dash"), ratios={"dash": 0.5})["accuracy"].figure
    assert legend(timed) == ["GRPO", "DASH"]  # against time they differ


def test_no_marker_is_cut_by_the_edge_of_its_panel():
    found = drawn(
        rows("dapo", training__effective_groups=lambda step: 1.0 if step else None, replay__share=lambda step: 0.0),
        rows("grpo", training__effective_groups=lambda step: 0.5 if step else None),
    )
    for name in ("effective", "replay", "accuracy"):
        figure = found[name].figure
        figure.draw_without_rendering()
        for axis in figure.axes:
            box = axis.get_window_extent()
            for one in axis.lines:
                at = axis.transData.transform(one.get_xydata())
                radius = one.get_markersize() / 2 * figure.dpi / 72
                inside = (at - radius >= box.min) & (at + radius <= box.max)
                assert inside.all() or one.get_marker() == "None", (name, one.get_label())


def test_panels_that_are_compared_have_one_scale():
    high = rows(combination=ORZ)
    high["accuracy"] += 0.3
    axes = drawn(rows(), high)["accuracy_steps"].figure.axes
    assert len({axis.get_ylim() for axis in axes}) == 1


def test_methods_of_one_figure_can_be_told_apart_in_grey():
    assert len({look.colour for look in LOOKS.values()}) == len({look.marker for look in LOOKS.values()}) == len(LOOKS)
    for one, two in itertools.combinations([LOOKS[name] for name in MAIN], 2):
        assert one.dash != two.dash or abs(lightness(one.colour) - lightness(two.colour)) > 0.25, (one, two)


def lightness(colour):
    return np.dot([0.299, 0.587, 0.114], to_rgb(colour))


def test_unknown_methods_have_looks_of_their_own_behind_the_known_ones():
    names = [f"run_{number}" for number in range(60)] + ["all", "grpo", "_$x$"]
    found = looks(names)
    assert list(found)[:3] == ["grpo", "all", "_$x$"] and found["_$x$"].label == r" _\$x\$"
    assert len({(look.colour, look.dash, look.marker) for look in found.values()}) == len(names)
    few = looks([*LOOKS, *names[:7]]).values()
    assert len({look.marker for look in few}) == len(few), "points have no dash, and grey print no colour"
    assert {look.marker for name, look in found.items() if name not in LOOKS} & {
        look.marker for look in LOOKS.values()
    } == set()
    figure = drawn(*many("grpo", "my_$run$"))["accuracy"].figure
    assert legend(figure) == ["GRPO", r"my_\$run\$"]
