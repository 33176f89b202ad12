"""Requests of one turn of an agent loop worker, sent to the rollout servers together.

verl's client asks its load balancer and then a server, once for each request. The requests of a step's rollouts all
come at once, so they share these calls here: each server is asked for its part by one. Requests of a group stay
together, and a server computes their prompt once where it can. The load balancer counts what a server is asked for in
one call as one request.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

# Requests in one call at most: the first are on their way to the engine while the next are made.
MOST_TOGETHER = 64


@dataclass(frozen=True)
class _Waiting:
    """A request that has not been sent yet; the future is of what the server's `generate` returns."""

    request: dict[str, Any]
    answer: asyncio.Future


class _Collector:
    """What verl's client takes for a server: `generate.remote(...)` puts the request with those that wait."""

    def __init__(self, post: Callable[[dict[str, Any]], asyncio.Future]):
        self.generate = self
        self._post = post

    def remote(self, **request: Any) -> asyncio.Future:
        return self._post(request)


class TogetherRequests:
    """Takes the place of the load balancer in verl's client, for requests that need no server of their own.

    A request needs its own where the config routes it by its name or content (full determinism, a router of the
    user), where the servers take only one at a time, and where it is not the only turn of its rollout.

    Args:
        client: verl's LLMServerClient; it then acquires servers here.
        together: says of the request at hand whether it may travel with others.
    """

    def __init__(self, client: Any, together: Callable[[], bool]):
        rollout = client.config.actor_rollout_ref.rollout
        self._balancer = client._load_balancer
        self._acquire, self._release = client._acquire_server, client._release_server
        self._together = together
        self._routed = bool(rollout.get("full_determinism") or rollout.get("router_config_path"))
        self._collector = _Collector(self._post)
        self._waiting: list[_Waiting] = []
        self._sending: set[asyncio.Task] = set()
        self._taken = 0  # names of the parts at the load balancer
        client._acquire_server, client._release_server = self._acquire_server, self._release_server

    async def _acquire_server(self, request_id: str, **extra: Any) -> tuple[str | None, Any]:
        if self._routed or not self._together():
            return await self._acquire(request_id, **extra)
        return None, self._collector

    def _release_server(self, server_id: str | None, request_id: str | None = None) -> None:
        if server_id is not None:
            self._release(server_id, request_id)

    def _post(self, request: dict[str, Any]) -> asyncio.Future:
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._send)
        self._waiting.append(_Waiting(request, answer))
        if len(self._waiting) == MOST_TOGETHER:
            self._send()
        return answer

    def _send(self) -> None:
        """Send what waits, in a task of its own."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            task = asyncio.create_task(self._share_out(waiting))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _share_out(self, waiting: list[_Waiting]) -> None:
        """Cut the requests into equal parts, one a server, and give each to the server with the fewest."""
        with _errors_for(waiting):
            servers = len(await self._balancer.get_all_servers.remote())
            await asyncio.gather(*(self._ask(part) for part in in_parts(waiting, servers)))

    async def _ask(self, part: Sequence[_Waiting]) -> None:
        with _errors_for(part):
            await self._ask_a_server(part)

    async def _ask_a_server(self, part: Sequence[_Waiting]) -> None:
        self._taken += 1
        name = f"{id(self)}-{self._taken}"
        server_id, server = await self._acquire(name)
        try:
            if hasattr(server, "generate_many"):
                requests = [one.request for one in part]
                async for batch in server.generate_many.options(num_returns="streaming").remote(requests):
                    for index, answer in await batch:
                        _give(part[index].answer, answer)
            else:
                answers = (server.generate.remote(**one.request) for one in part)
                for one, answer in zip(part, await asyncio.gather(*answers, return_exceptions=True), strict=True):
                    _give(one.answer, answer)
        finally:
            self._release(server_id, name)


@contextmanager
def _errors_for(waiting: Sequence[_Waiting]) -> Iterator[None]:
    """What is raised here belongs to those whose requests have no answer yet."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - each of them raises it
        for one in waiting:
            if not one.answer.done():
                one.answer.set_exception(error)


def _give(future: asyncio.Future, answer: Any) -> None:
    if future.cancelled():
        return
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        future.set_result(answer)


def in_parts(items: Sequence[Any], parts: int) -> list[Sequence[Any]]:
    """At most so many slices of a sequence, in order, none empty; their lengths differ by one at most."""
    parts = max(1, min(parts, len(items)))
    cuts = [len(items) * part // parts for part in range(parts + 1)]
    return [items[start:end] for start, end in zip(cuts, cuts[1:], strict=False)]
