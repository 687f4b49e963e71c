"""Fetchers that may reach loopback and never wait, and answers for servers to give."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from veduta.images.fetch import Clock, Fetcher, FetchLimits, Politeness

Serve = Callable[..., Any]

NOW = datetime(2031, 5, 4, 12, 0, 0, tzinfo=UTC)
ADDRESS = "93.184.215.14"


class Waits:
    """A clock whose sleeping takes no time and is noted."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.total = 0.0
        self.clock = Clock(monotonic=self.monotonic, now=lambda: NOW, sleep=self.sleep)

    def monotonic(self) -> float:
        return time.monotonic() + self.total

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.total += seconds


def fetcher(waits: Waits | None = None, limits: FetchLimits | None = None, **options: Any) -> Fetcher:
    given: dict[str, Any] = {
        "allow_loopback": True,
        "ports": range(1, 65_536),
        "politeness": Politeness(interval_seconds=0),
        "clock": (waits or Waits()).clock,
        "limits": limits or FetchLimits(),
    }
    return Fetcher(**(given | options))


def answer(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    fields = {"content_length": str(len(body))} | headers
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items() if value)
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode("latin-1") + body


def says(data: bytes) -> Callable[[str, socket.socket], None]:
    return lambda head, connection: connection.sendall(data)


def in_turn(*answers: bytes) -> Callable[[str, socket.socket], None]:
    left = iter(answers)
    return lambda head, connection: connection.sendall(next(left))


def reset(connection: socket.socket) -> None:
    """Close with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
