"""Which runs followed each other, by hand."""

import pytest

from verl_dots.evidence.sittings import MOST_IDLE_SECONDS, sittings, span

AT = 1_767_225_600.0  # 2026-01-01T00:00:00 in UTC


def test_runs_between_which_the_machine_was_idle_for_long_are_of_two_sittings():
    gap = MOST_IDLE_SECONDS
    # c starts just in time after b, which ends after a; d a second too late after c.
    spans = {"c": (100 + gap, 110 + gap), "a": (0.0, 50.0), "d": (111 + 2 * gap, 200 + 2 * gap), "b": (40.0, 100.0)}
    assert sittings(spans) == [{"a", "b", "c"}, {"d"}]
    assert sittings({}) == []


def test_a_long_run_is_no_pause():
    """The second starts within the first, whose end counts, though it began long before."""
    assert sittings({"long": (0.0, 1e6), "short": (10.0, 20.0), "next": (1e6 + 1, 1e6 + 2)}) == [
        {"long", "short", "next"}
    ]


@pytest.mark.parametrize("started, finished, expected", [
    ("2026-01-01T00:00:00+00:00", "2026-01-01T00:01:00+00:00", (AT, AT + 60)),
    ("2026-01-01T02:00:00+02:00", "2026-01-01T00:01:00", (AT, AT + 60)),
    ("", "2026-01-01T00:01:00", None), ("2026-01-01T00:00:00", "", None), ("soon", "later", None),
])  # fmt: skip
def test_times_are_of_one_clock(started, finished, expected):
    assert span(started, finished) == expected
