"""Failed rollouts, without Ray; a run that outlives them is in test_end_to_end.py."""

import math

import numpy as np
import pytest
import torch

from verl_dots.training.failures import (
    UNKNOWN_CAUSE,
    WINDOW,
    Failure,
    FailureCount,
    RewardError,
    cause_of,
    require_finite_reward,
)


@pytest.mark.parametrize("reward", [None, 0, 1.0, -0.5, True, np.float32(0.25), torch.tensor(2.0)])
def test_rewards_that_can_be_trained_on(reward):
    require_finite_reward(reward)


@pytest.mark.parametrize("reward", [math.nan, math.inf, -math.inf, "1.0", "right", [1.0], {"score": 1.0}, [0, 1]])
def test_rewards_that_cannot(reward):
    with pytest.raises(RewardError, match="must be a finite number"):
        require_finite_reward(reward)


def test_a_cause_is_type_and_message_in_one_line():
    assert cause_of(ZeroDivisionError("division\n  by zero")) == "ZeroDivisionError: division by zero"
    assert len(cause_of(ValueError("x" * 10_000))) == 500


def test_the_cause_of_a_ray_task_is_what_it_raised():
    from ray.exceptions import RayTaskError

    error = RayTaskError("reward", "Traceback (most recent call last): ...", KeyError("answer"))
    assert cause_of(error) == "KeyError: 'answer'"
    assert cause_of(error.as_instanceof_cause()) == "KeyError: 'answer'"


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


def test_incomplete_groups_are_found_by_their_rows():
    from verl_dots.bridge.groups import incomplete

    keys = ["a_0_0", "a_1_0", "b_0_0", "b_0_1", "d_0_0"]
    assert incomplete(keys, {"a": 2, "b": 2, "c": 3}) == {"b": 1, "c": 3}
    # verl has replaced c by d: three groups are there, as many as are enough.
    assert incomplete(keys, {"a": 2, "b": 1, "c": 3}, enough=3) == {}
    assert incomplete(keys, {"a": 2, "b": 2, "c": 3}, enough=3) == {"b": 1}
    assert incomplete([], {}) == {}
