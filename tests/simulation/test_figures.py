"""Figures of simulated runs, in print."""

import itertools

import numpy as np
import pytest

from tests.simulation.test_results import SLOW, setting, trace
from verl_dots.simulation import figures, results

SEEDS = [trace([0.2, 0.3, 0.4, 0.5]), trace([0.3, 0.4, 0.5, 0.6]), trace([0.4, 0.5, 0.6, 0.7])]


def made(count, seeds=3):
    base = results.summarise(setting("uniform"), SEEDS[:seeds], [SLOW] * seeds, [])
    return [base] + [
        results.summarise(setting(f"K={k}", policy="dots", K=str(k)), SEEDS[:seeds], [SLOW] * seeds, [])
        for k in range(1, count + 1)
    ]


def test_they_are_as_wide_as_a_page_with_text_of_eight_points():
    for figure in (figures.curves(made(2)), figures.sweep(made(2))):
        assert figure.get_size_inches()[0] == 7
        figure.draw_without_rendering()
        axis = figure.axes[0]
        shown = [axis.xaxis.label, axis.yaxis.label, *axis.get_xticklabels(), *figure.legends[0].get_texts()]
        assert {text.get_fontsize() for text in shown} == {8}


def test_bands_are_the_interval_of_the_table_and_the_figure_names_it():
    """Of 20, 30 and 40 %: mean 30, deviation 10; Student's t of 2 degrees is 4.30265, over sqrt(3)."""
    figure = figures.curves(made(1))
    band = figure.axes[0].collections[0].get_paths()[0].vertices
    at_one = [y for x, y in band if x == 1]
    assert (min(at_one), max(at_one)) == (pytest.approx(30 - 24.84138), pytest.approx(30 + 24.84138))
    assert "bands: Student's 95 % interval of the mean over seeds" in figure.get_suptitle()


def test_a_sweep_has_the_interval_at_its_settings_alone():
    """Of 50, 60 and 70 %, where uniform sampling ends at 50 after 4 steps: it is there after 4, 3 and 2."""
    figure = figures.sweep(made(2))
    saved = [segment.tolist() for segment in figure.axes[1].collections[0].get_segments()]
    mean, reach = 25, 4.30265 * 25 / np.sqrt(3)
    expected = [[[k, mean - reach], [k, mean + reach]] for k in (1, 2)]
    np.testing.assert_allclose(saved, expected, rtol=1e-5)
    assert "bars at markers: Student's" in figure.get_suptitle()


def test_of_many_lines_the_interval_stands_at_markers_and_of_one_seed_there_is_none():
    figure = figures.curves(made(4))
    assert "bars at markers: Student's" in figure.get_suptitle()
    segments = figure.axes[0].collections[0].get_segments()
    line = figure.axes[0].lines[0]
    assert [segment[0, 0] for segment in segments] == line.get_xdata()[line.get_markevery()].tolist()
    assert "one seed a line" in figures.curves(made(1, seeds=1)).get_suptitle()


def test_lines_differ_in_colour_marker_and_dashes_from_their_neighbours():
    styles = [figures._style(index, str(index), "0") for index in range(33)]
    looks = [tuple(str(style[name]) for name in ("color", "marker", "linestyle")) for style in styles]
    assert len(set(looks)) == 33
    assert all(np.all([one != two for one, two in zip(*pair, strict=True)]) for pair in itertools.pairwise(looks[:9]))


def test_most_settings_are_left_to_the_table():
    figure = figures.curves(made(9))
    assert len(figure.axes[0].lines) == 1 + figures.MOST_CURVES and "of 9 settings" in figure.get_suptitle()
