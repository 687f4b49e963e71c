"""How much one download may cost, and how politely servers are asked."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import UTC, datetime

from veduta.errors import UsageError


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """The most that one download may cost; what goes over is an error that names the limit.

    ``received_bytes``: the body as it comes over the wire; ``decoded_bytes``: the same after gzip or deflate.
    ``header_bytes``: status line and headers of one answer, interim answers included.
    ``connect_seconds``: resolving the name, and connecting to one address, TLS included. ``read_seconds``: silence in
    the midst of an answer. ``total_seconds``: all the time spent with servers for one call, redirects and retries
    included; waiting for a turn or for Retry-After is not counted.
    ``redirects`` and ``retries``: how many. ``longest_wait``: the longest Retry-After, in seconds, that is waited for.
    """

    received_bytes: int = 50 * 2**20
    decoded_bytes: int = 50 * 2**20
    header_bytes: int = 32 * 2**10
    connect_seconds: float = 10.0
    read_seconds: float = 20.0
    total_seconds: float = 60.0
    redirects: int = 3
    retries: int = 3
    longest_wait: float = 60.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            least_allowed = field.name in ("redirects", "retries", "longest_wait")
            if not (math.isfinite(value) and (value > 0 or (least_allowed and value == 0))):
                raise UsageError(f"The limit {field.name} is {value}, but it must be a number above zero.")


#: For one photo.
PHOTO_LIMITS = FetchLimits()

#: For a large file that is written to disk as it comes, such as a model.
FILE_LIMITS = FetchLimits(received_bytes=4 * 2**30, decoded_bytes=4 * 2**30, total_seconds=6 * 3600.0)


@dataclass(frozen=True, slots=True)
class Politeness:
    """For each host: connections at a time, and seconds between the beginnings of two requests."""

    connections_per_host: int = 4
    interval_seconds: float = 0.25

    def __post_init__(self) -> None:
        if self.connections_per_host < 1 or not (math.isfinite(self.interval_seconds) and self.interval_seconds >= 0):
            raise UsageError(
                f"{self.connections_per_host} connections per host, {self.interval_seconds} seconds apart, can't be"
                " meant: at least one connection, and no negative time."
            )


POLITE = Politeness()


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """Where time comes from, so that a test need not wait."""

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = _utc_now
    sleep: Callable[[float], None] = time.sleep


CLOCK = Clock()
