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
CLOSED = "the engine service is closed"
LATER = object()  # returned by an action that leaves its caller waiting


class EngineService:
    """Thread-safe front of an Engine.

    Args:
        engine: driven by this service alone from now on.
        threads: torch threads of the engine's thread; None leaves torch's setting.
    """

    def __init__(self, engine: Engine, threads: int | None = None):
        self._engine = engine
        self._posts: queue.SimpleQueue[tuple[Callable[[], Any], Future]] = queue.SimpleQueue()
        self._futures: dict[str, Future] = {}
        self._paused = False
        self._asleep = False
        self._reject = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, args=(threads,), name="engine", daemon=True)
        self._thread.start()

    async def generate(self, request: Request) -> Completion:
        """Generate the response to one request. Waits while the service is asleep or paused.

        Raises:
            BadRequest: the request cannot be served; no other is affected.
        """
        future: Future = Future()
        self._post(lambda: self._submit(request, future), future)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            self._post(lambda: self._finish(lambda: self._engine.abort(request.request_id)), Future())
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
        return await self._do(lambda: self._finish(lambda: self._engine.abort(request_id)))

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
            self._post(self._shut, Future())
            self._thread.join(CLOSE_SECONDS)  # a step that hangs ends with the process

    # --- in the engine's thread ------------------------------------------------------------------------------

    def _run(self, threads: int | None) -> None:
        """The thread: whatever ends it, nobody waits for it any longer."""
        try:
            if threads is not None:
                torch.set_num_threads(threads)
            self._loop()
        except Exception:
            logger.exception("the engine's thread has failed")
        finally:
            self._closed = True
            for future in self._futures.values():
                future.set_exception(RuntimeError(CLOSED))
            self._refuse_posts()

    def _loop(self) -> None:
        while not self._closed:
            idle = self._held() or not (self._engine.running or self._engine.waiting)
            self._take_posts(block=idle)
            self._gather()
            if not self._held():
                self._finish(self._engine.step)

    def _take_posts(self, block: bool) -> int:
        """Run what was posted; how much it was. `block`: wait for the first."""
        taken = 0
        while not self._closed:
            try:
                action, future = self._posts.get(block=block and taken == 0)
            except queue.Empty:
                break
            taken += 1
            if not future.set_running_or_notify_cancel():
                continue  # nobody waits for it any longer; from here on nobody can cancel it
            try:
                result = action()
            except Exception as error:  # noqa: BLE001 - it belongs to the caller, who gets it
                future.set_exception(error)
            else:
                if result is not LATER:
                    future.set_result(result)
        return taken

    def _gather(self) -> None:
        """Let requests that are on their way arrive, while the engine is far from full."""
        most = self._engine.config.max_num_seqs
        while not self._held() and self._engine.waiting > 0 and self._engine.running + self._engine.waiting < most // 2:
            time.sleep(GATHER_SECONDS)
            if not self._take_posts(block=False):
                return

    def _submit(self, request: Request, future: Future) -> Any:
        if self._reject:
            return Completion(request.request_id, [], [], "aborted", self._engine.version)
        if request.request_id in self._futures:
            raise BadRequest(f"request id {request.request_id!r} is in use; ids must be unique")
        self._engine.add(request)
        self._futures[request.request_id] = future
        return LATER

    def _finish(self, act: Callable[[], list[Completion]]) -> int:
        """Answer the requests that an act of the engine ends, all of them with its error if it fails; how many."""
        try:
            completions = act()
        except Exception as error:  # noqa: BLE001 - it belongs to them, who would wait for ever
            return self._fail_all(error)
        for completion in completions:
            self._futures.pop(completion.request_id).set_result(completion)
        return len(completions)

    def _fail_all(self, error: Exception) -> int:
        """Every request gets the error, and the engine is empty again, of keys and values that may be half made too."""
        logger.exception("the engine failed; %d requests get the error", len(self._futures))
        futures, self._futures = self._futures, {}
        for future in futures.values():
            future.set_exception(error)
        self._engine.abort()
        self._engine.release_cache()
        return len(futures)

    def _held(self) -> bool:
        return self._paused or self._asleep

    def _fall_asleep(self) -> None:
        self._engine.release_cache()
        self._asleep = True

    def _pause(self, reject: bool) -> int:
        self._paused, self._reject = True, reject
        return self._finish(self._engine.abort)

    def _resume(self) -> None:
        self._paused = self._reject = False

    def _shut(self) -> None:
        self._closed = True
        self._finish(self._engine.abort)

    # --- posting ---------------------------------------------------------------------------------------------

    async def _do(self, action: Callable[[], Any]) -> Any:
        future: Future = Future()
        self._post(action, future)
        return await asyncio.wrap_future(future)

    def _post(self, action: Callable[[], Any], future: Future) -> None:
        """Have the engine's thread do something between two steps; `future` gets what it returns or raises."""
        self._posts.put((action, future))
        if self._closed:  # it may have ended since it last looked
            self._refuse_posts()

    def _refuse_posts(self) -> None:
        while True:
            try:
                _, future = self._posts.get_nowait()
            except queue.Empty:
                return
            if future.set_running_or_notify_cancel():
                future.set_exception(RuntimeError(CLOSED))
