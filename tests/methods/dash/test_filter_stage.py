"""The filter's estimate of what it saves, without Ray; rows that leave are in test_dash_end_to_end.py."""

import pytest

from verl_dots.methods.dash.filter_stage import Pace


def test_seconds_by_tokens_are_a_line_through_what_was_measured_after_the_warm_up():
    pace = Pace()
    pace.observe(100, 60.0)  # the warm-up
    assert pace.seconds(100) == 0
    pace.observe(100, 1.5)
    assert pace.seconds(200) == 0  # one point is no line
    pace.observe(300, 2.5)
    assert pace.seconds(200) == pytest.approx(2.0)
    # What is not done at all spares the fixed part, too.
    assert pace.seconds(0) == 0


def test_noise_never_makes_more_work_cheaper():
    pace = Pace()
    for tokens, seconds in ((1, 1.0), (100, 2.0), (200, 1.0)):
        pace.observe(tokens, seconds)
    assert pace.seconds(400) >= pace.seconds(100) > 0
