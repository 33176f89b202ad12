"""How many rollouts of a run may fail; a run that outlives some is in test_end_to_end.py."""

import pytest

from verl_dots.bridge.failures import Failure
from verl_dots.training.failures import UNKNOWN_CAUSE, WINDOW, FailureCount


def test_a_share_is_of_the_rollouts_of_the_window():
    # 0.01 of 20 steps of 64 rollouts: 12.8, so 12 may fail.
    failures = FailureCount(0.01, 64)
    assert failures.allowed == 12 and not failures.exceeded
    failures.add(1, 8, [Failure("a_0", "ValueError: first"), Failure("a_1", "ValueError: second")])
    failures.add(5, 4, [])
    assert failures.failed == 12 and not failures.exceeded
    failures.add(6, 1, [Failure("b_0", "KeyError: third")])
    assert failures.exceeded
    message = str(failures.error())
    assert "13 rollouts failed in the last 20 steps" in message and "allows 12" in message
    assert "The first cause: ValueError: first" in message and "second" not in message


def test_what_is_longer_ago_than_the_window_counts_no_more():
    failures = FailureCount(0.01, 64)
    failures.add(1, 12, [])
    failures.add(WINDOW, 1, [])
    assert failures.exceeded
    failures.add(WINDOW + 1, 0, [])
    assert failures.failed == 1 and not failures.exceeded


@pytest.mark.parametrize(
    ("share", "rollouts", "failed", "exceeded"),
    [
        (0.0, 64, 0, False), (0.0, 64, 1, True), (1.0, 64, 64, False),
        # A step that fails altogether ends the run at any size.
        (0.01, 8, 8, True), (0.01, 64, 64, True), (0.01, 4096, 4096, True),
    ],
)  # fmt: skip
def test_how_many_may_fail_in_the_first_step(share, rollouts, failed, exceeded):
    failures = FailureCount(share, rollouts)
    failures.add(1, failed, [])
    assert failures.exceeded == exceeded and (UNKNOWN_CAUSE in str(failures.error())) == (failed > 0)
