"""A client for OpenAI-compatible chat endpoints: bounded rate and concurrency, retries, clear errors.

Neither the key nor the address is in any message, whatever the server answers: messages end in logs.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from verl_dots.files import parse_json
from verl_dots.secrets import without

logger = logging.getLogger(__name__)

T = TypeVar("T")
LONGEST_WAIT_SECONDS = 60.0
LONGEST_SHOWN = 200  # characters of an answer
MOST_BYTES = 16 * 2**20  # of an answer
RETRIED = frozenset({408, 409, 425, 429})
# What an endpoint answers to what it cannot take: longer than the model's context, stopped by a content filter.
OF_THE_REQUEST = frozenset({400, 413, 422})


class EndpointError(RuntimeError):
    """The endpoint refuses, or stays away for longer than the retries last."""


class RequestRefused(EndpointError):
    """The endpoint refuses this request; it may take others."""


class _TooLong(Exception):
    """An answer of more than `MOST_BYTES`."""


@dataclass(frozen=True)
class ChatSettings:
    """How to ask.

    Attributes:
        endpoint: base address ("http://localhost:8000/v1") or that of chat/completions.
        model: its name there.
        api_key: sent as a bearer token; None sends none.
        requests_per_minute: begun requests, retries too; None for no limit.
        concurrency: requests under way at once.
        retries: of one request after 429, 5xx, a broken connection, or an answer that is broken, late or too long.
        first_wait_seconds: before the first retry; it doubles. A Retry-After of the server that is longer counts.
        timeout_seconds: of one request, from its beginning to the end of its answer.
        temperature: None leaves it to the endpoint.
    """

    endpoint: str
    model: str
    api_key: str | None = None
    requests_per_minute: float | None = None
    concurrency: int = 8
    retries: int = 6
    first_wait_seconds: float = 1.0
    timeout_seconds: float = 120.0
    temperature: float | None = 0.0

    @property
    def address(self) -> str:
        """Where requests go."""
        base = self.endpoint.rstrip("/")
        return base if base.endswith("/chat/completions") else f"{base}/chat/completions"


@dataclass(frozen=True)
class _Answer:
    """What came back, read to its end."""

    status: int
    retry_after: float
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")


class Pace:
    """Gives out starting times, evenly spaced."""

    def __init__(self, per_minute: float | None):
        self._gap = 60.0 / per_minute if per_minute else 0.0
        self._next = 0.0

    async def wait(self) -> None:
        """Return when the next request may begin."""
        now = asyncio.get_running_loop().time()
        start = max(now, self._next)
        self._next = start + self._gap
        await asyncio.sleep(start - now)


class Chat:
    """An open connection; an async context manager."""

    def __init__(self, settings: ChatSettings):
        self._settings = settings
        for library in ("httpx", "httpcore"):  # they tell the address and the headers of every request
            logging.getLogger(library).setLevel(logging.WARNING)
        self._pace = Pace(settings.requests_per_minute)
        headers = {"Authorization": f"Bearer {settings.api_key}"} if settings.api_key else {}
        limits = httpx.Limits(max_connections=settings.concurrency)
        self._client = httpx.AsyncClient(headers=headers, timeout=settings.timeout_seconds, limits=limits)

    async def __aenter__(self) -> "Chat":
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._client.aclose()

    async def ask(self, messages: Sequence[Mapping[str, str]]) -> str:
        """The reply to a conversation; "" if it has no text.

        Raises:
            RequestRefused: an answer that says that the endpoint does not take this conversation (400, 413, 422).
            EndpointError: another answer that no retry will change (401, 404, ...), or no retries are left.
        """
        settings = self._settings
        body: dict[str, Any] = {"model": settings.model, "messages": [dict(message) for message in messages]}
        if settings.temperature is not None:
            body["temperature"] = settings.temperature
        for attempt in range(settings.retries + 1):
            await self._pace.wait()
            wait = min(settings.first_wait_seconds * 2**attempt, LONGEST_WAIT_SECONDS)
            try:
                answer = await self._post(body)
            except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
                raise EndpointError(f"--endpoint is no address: {self._told(error)}") from None
            except httpx.RequestError as error:
                problem = f"{type(error).__name__} {self._told(error)}".strip()
            except TimeoutError:
                problem = f"no whole answer within {settings.timeout_seconds:g} s (--timeout)"
            except _TooLong:
                problem = f"an answer of more than {MOST_BYTES:,} bytes"
            else:
                if answer.status == httpx.codes.OK:
                    return self._content(answer)
                problem = f"status {answer.status}: {self._told(answer.text)}"
                if answer.status not in RETRIED and answer.status < 500:
                    kind = RequestRefused if answer.status in OF_THE_REQUEST else EndpointError
                    raise kind(f"the endpoint refuses, {problem}. {_advice(answer.status)}")
                wait = max(wait, answer.retry_after)
            if attempt < settings.retries:
                logger.warning("%s; trying again in %.1f s", problem, wait)
                await asyncio.sleep(wait)
        raise EndpointError(f"the endpoint gave no answer in {settings.retries + 1} tries, the last: {problem}")

    async def _post(self, body: Mapping[str, Any]) -> _Answer:
        """What the endpoint answers. Raises _TooLong, TimeoutError or what httpx raises.

        The timeout of httpx begins anew with each part that comes.
        """
        settings, found = self._settings, bytearray()
        async with (
            asyncio.timeout(settings.timeout_seconds),
            self._client.stream("POST", settings.address, json=body) as response,
        ):
            async for part in response.aiter_bytes():
                found += part
                if len(found) > MOST_BYTES:
                    raise _TooLong
        return _Answer(response.status_code, _retry_after(response), bytes(found))

    def _content(self, answer: _Answer) -> str:
        try:
            return _text(parse_json(answer.body)["choices"][0]["message"]["content"])
        except (ValueError, LookupError, TypeError):
            told = self._told(answer.text)
            raise EndpointError(f"the endpoint does not answer like one for chats: {told}") from None

    def _told(self, text: object) -> str:
        """The beginning of what a server or the client says, without the key and the address."""
        settings, address = self._settings, urlsplit(self._settings.address)
        parts = (settings.api_key, settings.address, settings.endpoint, address.netloc, address.hostname)
        return without(str(text), filter(None, parts))[:LONGEST_SHOWN]


def _text(content: Any) -> str:
    """The text of a message, which some endpoints give in parts. Raises LookupError or TypeError for what is none."""
    if not isinstance(content, list):
        content = [{"type": "text", "text": content or ""}]
    return "".join(part["text"] for part in content if part["type"] == "text")


def _retry_after(response: httpx.Response) -> float:
    """Seconds that the server asks for; 0 if it names none, or a date."""
    text = response.headers.get("retry-after", "")
    return min(float(text), LONGEST_WAIT_SECONDS) if text.replace(".", "", 1).isdecimal() else 0.0


def _advice(status: int) -> str:
    if status in (401, 403):
        return "Is the API key right? --api-key-env names the environment variable that holds it"
    if status == 404:
        return "Is the address right (usually .../v1), and --model one that it serves?"
    return "The request is not what it wants"


async def for_each(items: Iterable[T], work: Callable[[T], Awaitable[None]], concurrency: int) -> None:
    """Await ``work`` for every item, so many at once; the first error stops all."""
    left = iter(items)

    async def worker() -> None:
        for item in left:
            await work(item)

    tasks = [asyncio.create_task(worker()) for _ in range(concurrency)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
