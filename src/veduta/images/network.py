"""Connections for downloads: a name is resolved once, every address is judged, and a judged one is connected to.

This is a network backend of httpcore: the check sits where the connection is made, so no request gets past it, and the
origin of a request stays its name. Host header, SNI and the certificate's name follow from that, and a kept connection
is never used for another name at the same address, as would happen with the address written into the URL.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import httpcore2

from veduta.errors import FetchFailed, FetchRefused, FetchTooLarge, FetchTooSlow
from veduta.images.addresses import plain, refusal
from veduta.images.fetch_limits import Clock, FetchLimits

#: A host name and a port to the textual addresses behind them; raises OSError.
Resolver = Callable[[str, int], Iterable[str]]

#: A judged address, a port and seconds to an open connection; raises httpcore2.ConnectError or ConnectTimeout.
Dial = Callable[[str, int, float], httpcore2.NetworkStream]


def system_resolver(host: str, port: int) -> list[str]:
    """What the system's ``getaddrinfo`` says, each address once, in its order; a zone stays behind a percent sign."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    texts = [
        f"{place[0]}%{place[3]}" if len(place) == 4 and place[3] and "%" not in str(place[0]) else str(place[0])
        for *_, place in found
    ]
    return list(dict.fromkeys(texts))


def system_dial(address: str, port: int, seconds: float) -> httpcore2.NetworkStream:
    """An ordinary TCP connection."""
    return httpcore2.SyncBackend().connect_tcp(address, port, timeout=seconds)


class Budget:
    """What one call may still cost: time, and for the answer being read, bytes of headers and of the whole."""

    def __init__(self, limits: FetchLimits, clock: Clock) -> None:
        self.limits = limits
        self._clock = clock
        self._ends = clock.monotonic() + limits.total_seconds
        self.head_left: int | None = None
        self.wire_left = 0

    def begin_answer(self, body_bytes: int) -> None:
        """A request is sent: its answer may have its headers and so many bytes of body."""
        self.head_left = self.limits.header_bytes
        self.wire_left = self.limits.header_bytes + body_bytes

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Time that passes in the block is not the server's doing, and is not counted."""
        began = self._clock.monotonic()
        try:
            yield
        finally:
            self._ends += self._clock.monotonic() - began

    @property
    def spent(self) -> bool:
        return self._clock.monotonic() >= self._ends

    def seconds(self, most: float) -> float:
        """How long the next step may take. Raises FetchTooSlow where no time is left."""
        left = self._ends - self._clock.monotonic()
        if left <= 0:
            raise FetchTooSlow(
                f"The download took longer than {self.limits.total_seconds:g} seconds: try later, or raise"
                " total_seconds."
            )
        return min(left, most)


@dataclass(frozen=True, slots=True)
class _Resolved:
    """What a resolver in its own thread brought: addresses, or the error."""

    addresses: tuple[str, ...] = ()
    error: Exception | None = None


class GuardedNetwork(httpcore2.NetworkBackend):
    """Opens the connections of a pool, to public addresses alone.

    ``proxied``: the pool connects to nothing but the proxy that the user named, which may have any address; targets
    are then judged by ``judged_addresses`` before the proxy is asked.
    """

    def __init__(self, resolver: Resolver, dial: Dial, *, allow_loopback: bool, proxied: bool) -> None:
        self._resolver = resolver
        self._dial = dial
        self._allow_loopback = allow_loopback
        self._proxied = proxied
        # httpcore hands a stream no more than a number of seconds; the budget of the call travels with its thread.
        self._thread = threading.local()

    @property
    def budget(self) -> Budget:
        """The budget of the call that this thread is in."""
        budget: Budget = self._thread.budget
        return budget

    @contextmanager
    def spending(self, budget: Budget) -> Iterator[None]:
        """Everything that this thread does in the block is on this budget."""
        outer = getattr(self._thread, "budget", None)
        self._thread.budget = budget
        try:
            yield
        finally:
            self._thread.budget = outer

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to the first of the host's addresses that answers, after all of them were judged."""
        budget = self.budget
        addresses = (host,) if self._proxied else self.judged_addresses(host, port)
        failure: Exception | None = None
        for address in addresses:
            try:
                stream = self._dial(address, port, budget.seconds(budget.limits.connect_seconds))
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
            else:
                return _MeteredStream(stream, self)
        raise failure or httpcore2.ConnectError(f"{host} has no address")

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Never: a download goes to the internet."""
        raise FetchRefused(f"{path} is a socket of this machine, and a download goes to the internet alone.")

    def judged_addresses(self, host: str, port: int) -> tuple[str, ...]:
        """Resolve the host once and judge all that comes back. Raises FetchRefused, FetchFailed, FetchTooSlow."""
        try:
            found: tuple[str, ...] = (str(ip_address(host)),)
        except ValueError:
            found = self._resolve(host, port)
        if not found:
            raise FetchFailed(f"The host {host} has no address: check its name.")
        return tuple(self._judge(host, text) for text in found)

    def _judge(self, host: str, text: str) -> str:
        try:
            address = plain(text)
        except ValueError:
            raise FetchRefused(f"The host {host} has an address that can't be read: it is not contacted.") from None
        kind = refusal(address, allow_loopback=self._allow_loopback)
        if kind is not None:
            what = f"The address {address}" if str(address) == host else f"{address}, an address of {host},"
            raise FetchRefused(f"{what} is {kind}: downloads come from public addresses alone.")
        return str(address)

    def _resolve(self, host: str, port: int) -> tuple[str, ...]:
        """Ask the resolver in a thread of its own, which can be left behind: ``getaddrinfo`` knows no deadline."""
        answers: list[_Resolved] = []

        def ask() -> None:
            try:
                answers.append(_Resolved(tuple(self._resolver(host, port))))
            except Exception as error:  # whatever it is, it belongs to the thread that waits
                answers.append(_Resolved(error=error))

        budget = self.budget
        thread = threading.Thread(target=ask, name="veduta-resolver", daemon=True)
        thread.start()
        thread.join(budget.seconds(budget.limits.connect_seconds))
        if not answers:
            raise FetchTooSlow(
                f"The name {host} was not resolved within {budget.limits.connect_seconds:g} seconds: check the"
                " connection to the internet."
            )
        match answers[0].error:
            case None:
                return answers[0].addresses
            case OSError() | UnicodeError() as error:
                failed = FetchFailed(f"The name {host} can't be resolved ({error}): check it, and the connection.")
                failed.passing = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
                raise failed from error
            case error:
                raise error


class _MeteredStream(httpcore2.NetworkStream):
    """A connection whose every read is held to the budget of the call that reads."""

    def __init__(self, stream: httpcore2.NetworkStream, network: GuardedNetwork) -> None:
        self._stream = stream
        self._network = network

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        budget = self._network.budget
        limits = budget.limits
        if budget.head_left == 0:
            raise FetchTooLarge(
                f"The server sent more than {limits.header_bytes:,} bytes of headers: it is not asked on."
            )
        if budget.wire_left == 0:
            raise FetchTooLarge(
                f"The server sent more than {limits.received_bytes:,} bytes: raise received_bytes (--max-bytes) if that"
                " is meant."
            )
        most = min(max_bytes, budget.wire_left)
        if budget.head_left is not None:
            most = min(most, budget.head_left)
        data = self._stream.read(most, timeout=budget.seconds(limits.read_seconds))
        budget.wire_left -= len(data)
        if budget.head_left is not None:
            budget.head_left -= len(data)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        budget = self._network.budget
        self._stream.write(buffer, timeout=budget.seconds(budget.limits.read_seconds))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        budget = self._network.budget
        seconds = budget.seconds(budget.limits.connect_seconds)
        return _MeteredStream(self._stream.start_tls(ssl_context, server_hostname, seconds), self._network)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
