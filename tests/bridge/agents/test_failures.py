"""Failed rollouts, without Ray; a run that outlives them is in tests/training/test_end_to_end.py."""

import asyncio

from ray.exceptions import RayTaskError

from tests.methods.memory import MemoryQueue
from verl_dots.bridge.agents import failures
from verl_dots.bridge.agents.failures import Failure, cause_of, take_failures, tell_failure


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
