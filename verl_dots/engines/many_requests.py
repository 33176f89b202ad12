"""Many requests of a rollout server in one Ray call, whichever engine serves them.

verl calls a server once for each request. The call costs some milliseconds of two processes, whatever the length of
the response: at thousands of rollouts a step this is more than a small model's generation.
"""

import asyncio
import pickle
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

# Responses that end within this time of each other travel together: far below the time of a rollout.
GATHER_SECONDS = 0.002


class ServesMany:
    """For a rollout server: answers many requests as if each had come alone, while others run."""

    async def generate_many(self, requests: Sequence[dict[str, Any]]) -> AsyncIterator[list[tuple[int, Any]]]:
        """Generate responses to many requests.

        Args:
            requests: keyword arguments of the server's `generate`, one dict a request.

        Yields:
            (index of the request, what `generate` returned or raised) of all that have ended since the last time.
        """
        ended: asyncio.Queue[tuple[int, asyncio.Task]] = asyncio.Queue()
        tasks = [asyncio.ensure_future(self.generate(**request)) for request in requests]
        for index, task in enumerate(tasks):
            task.add_done_callback(partial(_put, ended, index))
        left = len(tasks)
        try:
            while left:
                batch = [await ended.get()]
                await asyncio.sleep(GATHER_SECONDS)
                while not ended.empty():
                    batch.append(ended.get_nowait())
                left -= len(batch)
                yield [(index, _outcome(task)) for index, task in batch]
        finally:
            for task in tasks:
                task.cancel()


def _outcome(task: asyncio.Task) -> Any:
    """What the task returned or raised, in a form that travels to another process."""
    if task.cancelled():
        return RuntimeError("the request was cancelled")
    error = task.exception()
    if error is None:
        return task.result()
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - whatever keeps it from travelling
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _put(ended: asyncio.Queue, index: int, task: asyncio.Task) -> None:
    ended.put_nowait((index, task))


def serving_many(replica: type, *also: type) -> type:
    """A replica class of verl whose servers are `ServesMany`, too.

    Args:
        replica: a RolloutReplica that keeps its servers' actor class in `server_class`.
        also: further classes that come before it.
    """
    import ray

    class Replica(replica):
        def __init__(self, *args: Any, **kwargs: Any):
            super().__init__(*args, **kwargs)
            server = self.server_class.__ray_metadata__.modified_class
            self.server_class = ray.remote(type(server.__name__, (ServesMany, *also, server), {}))

    Replica.__name__ = Replica.__qualname__ = replica.__name__
    return Replica
