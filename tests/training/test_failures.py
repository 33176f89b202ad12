"""How many rollouts of a run may fail; a run that outlives some is in test_end_to_end.py."""

from verl_dots.bridge.failures import Failure
from verl_dots.training.failures import UNKNOWN_CAUSE, WINDOW, FailureCount


def count(share, rollouts=64):
    return FailureCount(share, rollouts)


def test_a_share_is_of_the_rollouts_of_the_window():
    # 0.01 of 20 steps of 64 rollouts: 12.8, so 12 may fail.
    failures = count(0.01)
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
    failures = count(0.01)
    failures.add(1, 12, [])
    failures.add(WINDOW, 1, [])
    assert failures.exceeded
    failures.add(WINDOW + 1, 0, [])
    assert failures.failed == 1 and not failures.exceeded


def test_a_step_that_fails_altogether_ends_the_run_at_any_size():
    for rollouts in (8, 64, 4096):
        failures = count(0.01, rollouts)
        failures.add(1, rollouts, [])
        assert failures.exceeded and UNKNOWN_CAUSE in str(failures.error())


def test_the_ends_of_the_range():
    none = count(0.0)
    assert not none.exceeded
    none.add(1, 1, [])
    assert none.exceeded
    everything = count(1.0)
    everything.add(1, 64, [])
    assert not everything.exceeded
