"""What a reward may be, and how long and with how much memory it may be computed, whoever has written its function."""

import asyncio
import math
import resource
from collections.abc import Awaitable, Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")
MOST_CHARACTERS = 1_000_000  # of what a reward function may return beside the score
# Without its sign. verl computes in single precision, which ends at 3.4e38: sums and squares of much greater rewards
# are infinite there, their advantages are no numbers, and the update would be lost without a word.
MOST_REWARD = 1e15


class RewardError(ValueError):
    """A reward function gave something that cannot be trained on, or nothing in time."""


def require_usable_rewards(rewards: Iterable[float]) -> None:
    """Pass rewards of a step. Raises RewardError as `require_usable_reward` does, for the first that is none."""
    for reward in rewards:
        require_usable_reward(reward)


def require_usable_reward(reward: Any, beside: Mapping[str, Any] | None = None) -> None:
    """Pass a reward that can be trained on; None, where it is computed later, is one.

    Args:
        reward: the score.
        beside: what else the function has returned, by name. It travels with the rollout.

    Raises:
        RewardError: the score or `acc` is NaN, above 1e15 without its sign, or no number; what is beside them is too
            much, or has the name `reward`.
    """
    if reward is None:
        return
    _require_number("the reward", reward)
    if not beside:
        return
    if beside.get("acc") is not None:
        _require_number("the reward's `acc`", beside["acc"])
    if "reward" in beside:  # verl's validation would append it to the scores, which have this name there
        raise RewardError(
            f"the reward function returned `reward`={beside['reward']!r:.80} beside the score; a validation has the "
            "score itself by this name. Return it by another name"
        )
    size = sum(_characters(name) + _characters(value) for name, value in beside.items())
    if size > MOST_CHARACTERS:
        raise RewardError(
            f"the reward function returned about {size:,} characters beside the score; at most {MOST_CHARACTERS:,} "
            "travel with each rollout. Return less, and write logs to a file"
        )


def _require_number(what: str, value: Any) -> None:
    number = number_of(value)
    if number is None or not abs(number) <= MOST_REWARD:
        rule = f"it must be a finite number, in -{MOST_REWARD:g} to {MOST_REWARD:g}"
        raise RewardError(f"{what} is {value!r:.80} ({type(value).__name__}); {rule}")


def number_of(value: Any) -> float | None:
    """A number of whatever type; None for what is none, though Python would read one in it: text and bytes."""
    kind = getattr(getattr(value, "dtype", None), "kind", "f")  # of numpy
    if isinstance(value, str) or not hasattr(value, "__float__") and not hasattr(value, "__index__") or kind in "SU":
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _characters(value: Any) -> int:
    """About how much room a value takes, without writing it out."""
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, Mapping):
        return sum(_characters(name) + _characters(inner) for name, inner in value.items())
    if isinstance(value, list | tuple | set):
        return sum(map(_characters, value))
    return int(getattr(value, "nbytes", 8))


class SilenceLimit:
    """Ends the waits for some answers once none of them has come for so long.

    A limit of each wait alone would count the time in which an answer waits for its turn behind others.

    Args:
        seconds: without any answer.
        what: is waited for; the message begins with it.
        advice: what the user can do; the message ends with it.
        error: kind of what is raised.
    """

    def __init__(self, seconds: float, what: str, advice: str, error: type[Exception] = RewardError):
        self.seconds, self.what, self.advice, self.error = seconds, what, advice, error
        self._last = -math.inf

    async def wait_for(self, answer: Awaitable[T]) -> T:
        """The answer, or what it raises.

        Raises:
            error: neither this answer nor another has come for `seconds`; this one is cancelled.
        """
        loop = asyncio.get_running_loop()
        task, began = asyncio.ensure_future(answer), loop.time()
        try:
            while not task.done():
                left = max(began, self._last) + self.seconds - loop.time()
                if left <= 0:
                    raise self.error(f"{self.what} gave no answer for {self.seconds:g} s; {self.advice}")
                await asyncio.wait({task}, timeout=left)
            self._last = loop.time()
            return task.result()
        finally:
            task.cancel()  # nothing to a task that has ended


def limit_memory(gibibytes: float) -> None:
    """Let this process have so much memory of its own at most: past it an allocation fails with a MemoryError."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = int(gibibytes * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
