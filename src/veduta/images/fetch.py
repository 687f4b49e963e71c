"""Veduta's only way out to the internet: bytes, or an error that says what to do; never part of a file.

A URL is parsed strictly, its host resolved once, every address judged, and a judged address connected to; each redirect
is judged again. Limits hold for bytes, headers and time, so that a hostile server costs no more than an honest one.
Nothing is read from the environment: no proxy, no certificates, no ``.netrc``; no cookie and no login is ever sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from veduta.errors import FetchError, UsageError
from veduta.images.fetch_limits import CLOCK, FILE_LIMITS, PHOTO_LIMITS, POLITE, Clock, FetchLimits, Politeness
from veduta.images.urls import WebAddress, parse

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

    from veduta.images.network import Budget, Dial, Resolver

__all__ = ["FILE_LIMITS", "PHOTO_LIMITS", "Clock", "FetchLimits", "Fetched", "Fetcher", "Politeness"]


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole answer: the bytes, the URL after all redirects, the Content-Type as the server says, the SHA-256."""

    content: bytes = field(repr=False)
    url: str
    content_type: str | None
    sha256: str


def _honest_user_agent() -> str:
    from importlib.metadata import version

    return f"Veduta/{version('veduta')} (Python package; downloads photos and models for its user)"


class Fetcher:
    """Downloads over http and https, from public addresses alone. Thread-safe; a context manager.

    ``limits`` hold for ``get``, ``file_limits`` for ``download``. ``ports`` are those that a URL may ask for.
    ``user_agent`` replaces ``Veduta/<version> (…)``; name an address there under which you can be reached.
    ``proxy`` (``http://host:port``) is the one proxy to go through; it is given judged addresses, not names.
    ``tls`` replaces the system's trusted certificates. ``allow_downgrade`` follows a redirect from https to http.
    ``allow_loopback`` lets 127.0.0.0/8 and ::1 through, for tests. ``resolver``, ``dial`` and ``clock`` stand in for
    the network and for time. Raises UsageError.
    """

    def __init__(
        self,
        *,
        limits: FetchLimits = PHOTO_LIMITS,
        file_limits: FetchLimits = FILE_LIMITS,
        politeness: Politeness = POLITE,
        ports: Container[int] = (80, 443),
        user_agent: str | None = None,
        proxy: str | None = None,
        tls: ssl.SSLContext | None = None,
        allow_downgrade: bool = False,
        allow_loopback: bool = False,
        resolver: Resolver | None = None,
        dial: Dial | None = None,
        clock: Clock = CLOCK,
    ) -> None:
        # The HTTP library takes a tenth of a second to import, so it waits for the first who fetches.
        from veduta.images.exchange import Exchange
        from veduta.images.network import system_dial, system_resolver

        user_agent = _honest_user_agent() if user_agent is None else user_agent
        if not user_agent.strip() or not (user_agent.isascii() and user_agent.isprintable()):
            raise UsageError(f"The user agent {user_agent!a} can't be sent: give one line of plain ASCII.")
        self._limits = limits
        self._file_limits = file_limits
        self._exchange = Exchange(
            politeness=politeness,
            ports=ports,
            user_agent=user_agent,
            proxy=proxy,
            tls=tls,
            allow_loopback=allow_loopback,
            allow_downgrade=allow_downgrade,
            resolver=resolver or system_resolver,
            dial=dial or system_dial,
            clock=clock,
        )

    def get(self, url: str) -> Fetched:
        """The whole answer to a GET request, in memory; one that might have been cut without a trace is refused.

        A server that is busy, or breaks off, is asked again, after the pause that it names or after half a second, one,
        two. Raises FetchRefused, FetchFailed, FetchLater, FetchTooLarge, FetchTooSlow.
        """
        return self._asked(url, None, {})

    def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> Fetched:
        """The whole answer to a POST request that asks and changes nothing, such as a search; asked again as ``get``.

        No redirect is followed, so that neither content nor headers, a key among them, reach anybody else. Raises what
        ``get`` raises.
        """
        return self._asked(url, content, headers)

    def _asked(self, url: str, content: bytes | None, headers: Mapping[str, str]) -> Fetched:
        from veduta.images.network import Budget

        address = parse(url, self._exchange.ports)
        budget = Budget(self._limits, self._exchange.clock)
        attempt = 0
        while True:
            try:
                return self._once(address, budget, content, headers)
            except FetchError as error:
                if not error.passing or attempt == self._limits.retries:
                    raise
            self._exchange.pause(attempt, budget)
            attempt += 1

    def download(
        self,
        url: str,
        target: Path,
        *,
        sha256: str | None = None,
        on_progress: Callable[[int, int | None], None] | None = None,
    ) -> Path:
        """A file of any size on disk, under ``target`` when it is whole and, where given, has the SHA-256.

        Until then it grows as ``<target>.part``; a later call for the same URL goes on where it ended, if the server's
        ETag or Last-Modified is still the same. A target that has the SHA-256 already is not asked for again.
        ``on_progress(bytes on disk, bytes in all or None)`` is called in this thread.
        Raises OutputError, UsageError, FetchAltered and all that ``get`` raises.
        """
        from veduta.images.download import download

        address = parse(url, self._exchange.ports)
        return download(self._exchange, address, Path(target), self._file_limits, sha256, on_progress)

    def close(self) -> None:
        """Close the connections that were kept."""
        self._exchange.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _once(self, address: WebAddress, budget: Budget, content: bytes | None, headers: Mapping[str, str]) -> Fetched:
        from veduta.images.body import whole_body

        asked = self._exchange.answer(
            address, budget, body_bytes=self._limits.received_bytes, headers=headers, content=content
        )
        with asked as answer:
            body = whole_body(answer, self._limits)
            kind = answer.headers.get("content-type")
            return Fetched(body, str(answer.address), kind, hashlib.sha256(body).hexdigest())
