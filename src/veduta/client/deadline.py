"""Connections on which every read and write is held to one deadline for the whole request.

httpcore's own time-outs count anew with each piece that arrives, so a server that drips would never be too slow.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore2

_PIECE = 65_536


class TimedNetwork(httpcore2.NetworkBackend):
    """Ordinary connections; what a thread does within ``within(seconds)`` is over by then, or ends in a time-out."""

    def __init__(self) -> None:
        self._system = httpcore2.SyncBackend()
        # A kept connection serves many threads in turn, so the deadline belongs to the thread that uses it.
        self._thread = threading.local()

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """The deadline of all that this thread does in the block."""
        self._thread.ends = time.monotonic() + seconds
        yield

    def left(self, error: type[httpcore2.TimeoutException]) -> float:
        """Seconds until this thread's deadline; raises the time-out where there are none."""
        left: float = self._thread.ends - time.monotonic()
        if left <= 0:
            raise error("the deadline has passed")
        return left

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to the first of the host's addresses that answers."""
        left = self.left(httpcore2.ConnectTimeout)
        return _TimedStream(self._system.connect_tcp(host, port, left, local_address, socket_options), self)


class _TimedStream(httpcore2.NetworkStream):
    def __init__(self, stream: httpcore2.NetworkStream, network: TimedNetwork) -> None:
        self._stream = stream
        self._network = network

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._network.left(httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _PIECE):
            self._stream.write(buffer[start : start + _PIECE], self._network.left(httpcore2.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        left = self._network.left(httpcore2.ConnectTimeout)
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, left), self._network)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
