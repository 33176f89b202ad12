"""Failed rollouts, without Ray; a run that outlives them is in tests/training/test_end_to_end.py."""

import asyncio
import math

import numpy as np
import pytest
import torch
from ray.exceptions import RayTaskError

from tests.methods.memory import MemoryQueue
from verl_dots.bridge import failures
from verl_dots.bridge.failures import (
    Failure,
    RewardError,
    cause_of,
    require_finite_reward,
    take_failures,
    tell_failure,
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
    error = RayTaskError("reward", "Traceback (most recent call last): ...", KeyError("answer"))
    assert cause_of(error) == "KeyError: 'answer'"
    assert cause_of(error.as_instanceof_cause()) == "KeyError: 'answer'"


def test_each_failure_is_told_once_in_the_order_of_time(monkeypatch):
    monkeypatch.setattr(failures, "tq", MemoryQueue())
    clock = iter([5.0, 3.0, 3.0])
    monkeypatch.setattr(failures.time, "time", lambda: next(clock))
    assert take_failures() == []
    for uid, session, error in (("a", 1, ValueError("late")), ("b", 0, KeyError("x")), ("a", 0, ValueError("early"))):
        asyncio.run(tell_failure(uid, session, error))
    told = [Failure("a_0", "ValueError: early"), Failure("b_0", "KeyError: 'x'"), Failure("a_1", "ValueError: late")]
    assert take_failures() == told
    assert take_failures() == []
