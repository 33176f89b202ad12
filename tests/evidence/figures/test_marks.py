"""Which methods share a figure, which lines are the same, and where markers stand."""

import numpy as np
import pytest

from verl_dots.evidence.figures.marks import APART, marked, marks, pages, same_lines
from verl_dots.evidence.figures.seeds import Line
from verl_dots.evidence.methods import LOOKS, MAIN


def line(*values, spread=0.0, x=None):
    mean_E = np.array(values, dtype=float)
    x_E = np.arange(len(values), dtype=float) if x is None else np.array(x, dtype=float)
    return Line(x_E, mean_E, mean_E - spread, mean_E + spread, 3)


def test_few_methods_are_one_figure_and_many_begin_with_the_main_ones():
    assert pages(list(MAIN)) == [list(MAIN)]
    first, *others = pages(list(LOOKS))
    assert first == list(MAIN) and all(page[0] == "grpo" and len(page) <= 6 for page in others)
    assert sorted({name for page in (first, *others) for name in page}) == sorted(LOOKS)


def test_methods_without_a_look_share_figures_by_number():
    names = [f"run_{number}" for number in range(8)]
    assert pages(names) == [names[:6], names[6:]]
    assert pages(["grpo", *names]) == [["grpo", *names[:5]], ["grpo", *names[5:]]]


def test_a_line_is_the_same_where_it_covers_another_in_every_panel():
    one, two, other = line(1, 2, 3), line(1, 2.001, 3), line(1, 2.2, 3)
    assert same_lines([{"a": one, "b": two, "c": other}]) == {"b": "a"}
    assert same_lines([{"a": one, "b": two}, {"a": one, "b": other}]) == {}
    assert same_lines([{"a": one, "b": two}, {"a": one}]) == {}, "a line that is missing covers none"
    assert same_lines([{"a": one, "b": line(1, 2, 3, spread=1)}]) == {}, "its range differs"
    assert same_lines([{"a": one, "b": line(1, 2, 3, x=[0, 2, 4])}]) == {}, "it is at other steps"


def test_markers_of_one_place_stand_side_by_side_in_the_order_of_the_methods():
    found = marks({name: line(*range(9)) for name in "abc"})
    last = [x_M[-1] for _, x_M in found.values()]
    assert last == pytest.approx([8 - 8 * APART, 8, 8 + 8 * APART])
    alone = marks({"a": line(*range(9))})["a"]
    assert alone[1].tolist() == [float(place) for place in alone[0]]


def test_methods_take_turns_and_none_marks_twice_at_the_end():
    values_E = np.arange(31.0)
    assert [marked(values_E, turn)[:2] for turn in (0, 1)] == [[0, 8], [7, 15]]
    assert all(places[-1] - places[-2] >= 4 for places in (marked(values_E, turn) for turn in range(8)))


def test_a_point_alone_has_a_marker():
    assert 2 in marked(np.array([1.0, np.nan, 1.0, np.nan, 1.0, 1.0]), 1)
