"""An engine for many concurrent callers: one thread owns the engine, everybody else posts to it.

Requests come and go while the engine runs. Control calls (weights, sleep, abort) take effect between two
steps, in the order in which they were posted.
"""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

import torch

from verl_dots.rollout.engine import Engine
from verl_dots.rollout.request import BadRequest, Completion, Request

logger = logging.getLogger(__name__)

# While requests arrive one by one (a step's few hundred come within some ten ms), wait for the next this long
# before generating for the few that are there, as long as the engine would run less than half full.
GATHER_SECONDS = 0.004
CLOSE_SECONDS = 60.0


class EngineService:
    """Thread-safe front of an Engine.

    Args:
        engine: driven by this service alone from now on.
        threads: torch threads of the engine's thread; None leaves torch's setting.
    """

    def __init__(self, engine: Engine, threads: int | None = None):
        self._engine = engine
        self._posts: queue.SimpleQueue[tuple[Callable[[], Any], Future | None]] = queue.SimpleQueue()
        self._futures: dict[str, Future] = {}
        self._paused = False
        self._asleep = False
        self._reject = False
        self._closed = False
        self._thread = threading.Thread(target=self._loop, args=(threads,), name="engine", daemon=True)
        self._thread.start()

    async def generate(self, request: Request) -> Completion:
        """Generate the response to one request. Waits while the service is asleep or paused.

        Raises:
            BadRequest: the request cannot be served; no other is affected.
        """
        self._check_alive()
        future: Future = Future()
        self._posts.put((lambda: self._submit(request, future), None))
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            self._posts.put((lambda: self._finish(self._engine.abort(request.request_id)), None))
            raise

    async def load_weights(self, weights: Mapping[str, torch.Tensor], version: int | None = None) -> None:
        """Replace all weights between two steps; see Engine.load_weights for the errors."""
        await self._do(lambda: self._engine.load_weights(weights, version))

    async def set_version(self, version: int) -> None:
        """Name the version of the present weights."""
        await self._do(lambda: setattr(self._engine, "version", version))

    async def sleep(self) -> None:
        """Give the cache's memory back and hold new requests until `wake`; running ones are an error."""
        await self._do(self._fall_asleep)

    async def wake(self) -> None:
        """Serve requests again."""
        await self._do(lambda: setattr(self, "_asleep", False))

    async def release_cache(self) -> None:
        """Give the cache's memory back; the next request allocates it anew."""
        await self._do(self._engine.release_cache)

    async def abort(self, request_id: str | None = None) -> int:
        """End one request or all, each answered with what it has so far; how many there were."""
        return await self._do(lambda: self._finish(self._engine.abort(request_id)))

    async def pause(self, reject: bool = False) -> int:
        """Abort all requests and hold new ones until `resume` (with `reject`, answer them as aborted)."""
        return await self._do(lambda: self._pause(reject))

    async def resume(self) -> None:
        """Serve requests again after `pause`."""
        await self._do(self._resume)

    async def stats(self) -> dict[str, Any]:
        """Counters of the engine, and what it holds now."""
        engine = self._engine
        return await self._do(
            lambda: dict(
                vars(engine.stats), running=engine.running, waiting=engine.waiting, cache_bytes=engine.cache_bytes
            )
        )

    def close(self) -> None:
        """Stop the thread; unanswered requests are answered as aborted."""
        if not self._closed:
            self._posts.put((lambda: self._shut(), None))
            self._thread.join(CLOSE_SECONDS)  # a step that hangs ends with the process

    # --- in the engine's thread ------------------------------------------------------------------------------

    def _loop(self, threads: int | None) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        while not self._closed:
            idle = self._held() or not (self._engine.running or self._engine.waiting)
            self._take_posts(block=idle)
            if not self._held():
                self._gather()
                try:
                    self._finish(self._engine.step())
                except (RuntimeError, ValueError, IndexError) as error:
                    self._fail_all(error)

    def _take_posts(self, block: bool) -> int:
        """Run what was posted; how much it was. `block`: wait for the first."""
        taken = 0
        while True:
            try:
                action, future = self._posts.get(block=block and taken == 0)
            except queue.Empty:
                return taken
            taken += 1
            try:
                result = action()
            except Exception as error:  # noqa: BLE001 - it belongs to the caller, who gets it
                if future is None:
                    raise
                future.set_exception(error)
            else:
                if future is not None:
                    future.set_result(result)

    def _gather(self) -> None:
        """Let requests that are on their way arrive, while the engine is far from full."""
        most = self._engine.config.max_num_seqs
        while self._engine.waiting > 0 and self._engine.running + self._engine.waiting < most // 2:
            time.sleep(GATHER_SECONDS)
            if not self._take_posts(block=False):
                return

    def _submit(self, request: Request, future: Future) -> None:
        if self._reject:
            future.set_result(Completion(request.request_id, [], [], "aborted", self._engine.version))
        elif request.request_id in self._futures:
            future.set_exception(BadRequest(f"request id {request.request_id!r} is in use; ids must be unique"))
        else:
            try:
                self._engine.add(request)
            except BadRequest as error:
                future.set_exception(error)
            else:
                self._futures[request.request_id] = future

    def _finish(self, completions: list[Completion]) -> int:
        for completion in completions:
            future = self._futures.pop(completion.request_id)
            if not future.cancelled():
                future.set_result(completion)
        return len(completions)

    def _fail_all(self, error: Exception) -> None:
        """A step failed: every request in the engine gets the error, and the engine is empty again."""
        logger.exception("the engine's step failed; %d requests get the error", len(self._futures))
        self._engine.abort()
        futures, self._futures = self._futures, {}
        for future in futures.values():
            if not future.cancelled():
                future.set_exception(error)

    def _held(self) -> bool:
        return self._paused or self._asleep

    def _fall_asleep(self) -> None:
        self._engine.release_cache()
        self._asleep = True

    def _pause(self, reject: bool) -> int:
        self._paused, self._reject = True, reject
        return self._finish(self._engine.abort())

    def _resume(self) -> None:
        self._paused = self._reject = False

    def _shut(self) -> None:
        self._closed = True
        self._finish(self._engine.abort())

    # --- posting ---------------------------------------------------------------------------------------------

    async def _do(self, action: Callable[[], Any]) -> Any:
        self._check_alive()
        future: Future = Future()
        self._posts.put((action, future))
        return await asyncio.wrap_future(future)

    def _check_alive(self) -> None:
        if self._closed or not self._thread.is_alive():
            raise RuntimeError("the engine service is closed")
