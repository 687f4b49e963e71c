"""Many clients of a server at once, that cost little themselves: requests are made beforehand, answers hardly parsed.

Client and server share the machine, so whatever a client computes is taken from the server that it measures.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

_CRLF = b"\r\n"
#: A server that has not answered by then never will.
_PATIENCE_SECONDS = 120.0


@dataclass(slots=True)
class Outcome:
    """What became of a load: seconds of each accepted and each refused request, statuses, and what was no answer."""

    seconds: float = 0.0
    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: its status, its headers in lower case, its body."""

    status: int
    headers: dict[str, str]
    body: bytes


class Truncated(Exception):
    """The connection ended in the midst of an answer."""


def photo_request(photo: bytes, query: str = "") -> bytes:
    """The bytes of ``POST /v1/predictions`` with a photo."""
    form = (
        b'--veduta\r\nContent-Disposition: form-data; name="file"; filename="photo.jpg"\r\n'
        b"Content-Type: image/jpeg\r\n\r\n" + photo + b"\r\n--veduta--\r\n"
    )
    head = (
        f"POST /v1/predictions{query} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: multipart/form-data; boundary=veduta\r\nContent-Length: {len(form)}\r\n\r\n"
    )
    return head.encode() + form


async def hammer(
    port: int,
    requests: Sequence[bytes],
    *,
    clients: int,
    seconds: float | None = None,
    count: int | None = None,
    on_answer: Callable[[Answer], None] | None = None,
) -> Outcome:
    """Clients that each ask again as soon as they are answered, for so many seconds or until so many are accepted.

    Who is refused waits as long as Retry-After says, and a little of its own, as a polite client does.
    """
    outcome, began = Outcome(), time.perf_counter()

    def is_over() -> bool:
        over = seconds is not None and time.perf_counter() - began >= seconds
        return over or (count is not None and len(outcome.accepted) >= count)

    async def one(number: int) -> None:
        chance, connection = random.Random(number), Connection(port)
        try:
            while not is_over():
                await _ask(connection, requests[chance.randrange(len(requests))], outcome, chance, on_answer)
        finally:
            connection.close()

    await asyncio.gather(*(one(number) for number in range(clients)))
    outcome.seconds = time.perf_counter() - began
    return outcome


async def _ask(
    connection: Connection,
    request: bytes,
    outcome: Outcome,
    chance: random.Random,
    on_answer: Callable[[Answer], None] | None,
) -> None:
    started = time.perf_counter()
    try:
        answer = await asyncio.wait_for(connection.ask(request), _PATIENCE_SECONDS)
    except (Truncated, OSError, TimeoutError) as error:
        outcome.faults[type(error).__name__] += 1
        connection.close()
        await asyncio.sleep(0.05)
        return
    took = time.perf_counter() - started
    outcome.statuses[answer.status] += 1
    if on_answer is not None:
        on_answer(answer)
    if answer.status in (429, 503):
        outcome.refused.append(took)
        await asyncio.sleep(float(answer.headers.get("retry-after", "1")) * chance.uniform(1.0, 1.5))
    else:
        outcome.accepted.append(took)


class Connection:
    """A kept connection to a server on loopback; opened when it is first needed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> Answer:
        """Send a whole request and read a whole answer. Raises Truncated, OSError."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=2**22)
        reader, writer = self._streams
        writer.write(request)
        await writer.drain()
        try:
            head = await reader.readuntil(_CRLF + _CRLF)
            status, headers = _parsed(head)
            body = await reader.readexactly(int(headers["content-length"]))
        except asyncio.IncompleteReadError as error:
            self.close()
            if not error.partial:
                raise ConnectionResetError from error
            raise Truncated from error
        if headers.get("connection") == "close":
            self.close()
        return Answer(status, headers, body)

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def _parsed(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    return int(first.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}


def share(values: Sequence[float], part: float) -> float:
    """A percentile, ``part`` from 0 to 1; 0 where there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0
