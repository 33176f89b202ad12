"""Rollouts that failed: their causes, from the agent loop to the trainer.

An engine or a reward may raise for a response. Its group is then incomplete and leaves the step. The
cause waits in a partition of verl's TransferQueue until the trainer takes it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import transfer_queue as tq
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayActorError, RayTaskError

PARTITION = "failures"
LONGEST_CAUSE = 500  # characters
DEATHS = tuple(kind.__name__ for kind in (RayActorError, ActorDiedError, ActorUnavailableError))


class RolloutFailure(RuntimeError):
    """Too many rollouts failed: the engine or the reward raised for them."""


@dataclass(frozen=True)
class Failure:
    """A rollout that failed.

    Attributes:
        rollout: its name, `uid_session`.
        cause: type and message of what was raised.
    """

    rollout: str
    cause: str

    @property
    def died(self) -> bool:
        """Whether a process that it needed has died, which says nothing of the rollout."""
        return self.cause.partition(":")[0] in DEATHS


def cause_of(error: BaseException) -> str:
    """Type and message of an exception; of what a Ray task raised, not of Ray's wrapper with its traceback."""
    if isinstance(error, RayTaskError) and isinstance(error.cause, BaseException):
        error = error.cause
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:LONGEST_CAUSE]


async def tell_failure(uid: str, session: int, error: BaseException) -> None:
    """Leave the cause of a failed rollout for `take_failures`."""
    tag = {"status": "failure", "cause": cause_of(error), "time": time.time()}
    await tq.async_kv_put(key=f"{uid}_{session}", partition_id=PARTITION, tag=tag)


def take_failures(of: Callable[[str], bool] = bool) -> list[Failure]:
    """What has failed since the last call, in order of time; each failure is told once.

    Args:
        of: whether a rollout of this name is asked about; others are told to those who ask about them.
    """
    there = (tq.kv_list(partition_id=PARTITION) or {}).get(PARTITION) or {}
    found = {name: tag for name, tag in there.items() if of(name)}
    if not found:
        return []
    tq.kv_clear(keys=list(found), partition_id=PARTITION)
    ordered = sorted(found.items(), key=lambda item: (item[1]["time"], item[0]))
    return [Failure(name, tag["cause"]) for name, tag in ordered]
