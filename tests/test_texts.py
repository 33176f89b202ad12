"""Values as texts."""

import math

import pytest

from verl_dots.texts import duration, markdown, number_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e10, "10000000000"), (1e15, "1000000000000000"), (2.0**53, "9007199254740992"), (0.1, "0.1"), (1e22, "1e+22"),
        (3.0, "3"), (2, "2"), (-0.0, "0"), (1 / 3, "0.3333333333333333"), (math.inf, "inf"),
    ],
)  # fmt: skip
def test_the_text_of_a_number_reads_back_as_the_same(value, text):
    assert number_text(value) == text and float(text) == value


def test_no_number_has_no_text():
    assert number_text(math.nan) == ""


def test_durations():
    assert [duration(seconds) for seconds in (0.4, 59.4, 59.6, 3599, 3600, 11_240, math.nan)] == [
        "0 s", "59 s", "1 min 00 s", "59 min 59 s", "1 h 00 min", "3 h 07 min", "–"
    ]  # fmt: skip


def test_durations_that_were_measured_have_tenths_and_the_nearest_minute():
    durations = {4.25: "4.2 s", 725: "12 min 05 s", 11220: "3 h 07 min", math.nan: "–"}
    durations |= {59.94: "59.9 s", 59.96: "1 min 00 s", 3599.4: "59 min 59 s", 3599.6: "1 h 00 min"}
    assert {seconds: duration(seconds, measured=True) for seconds in durations} == durations
    # 187 minutes and 40 seconds
    assert [duration(11_260), duration(11_260, measured=True)] == ["3 h 07 min", "3 h 08 min"]


def test_a_table_is_padded_and_its_cells_stay_apart():
    assert markdown(["a|b", "c"], [["x", "1"]]) == "| a\\|b |   c |\n| :--- | --: |\n| x    |   1 |"
