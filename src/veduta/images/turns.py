"""Turns at a host: so many connections at a time, and a pause between the beginnings of two requests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from veduta.images.fetch_limits import Clock, Politeness

#: Beyond so many known hosts, those at rest are forgotten.
_KNOWN_HOSTS = 4_096


@dataclass(slots=True)
class _Host:
    places: threading.BoundedSemaphore
    users: int = 0
    next_start: float = field(default=float("-inf"))
    held_until: float = field(default=float("-inf"))


class HostTurns:
    """Who may ask which host when; shared by all threads of a fetcher."""

    def __init__(self, politeness: Politeness, clock: Clock) -> None:
        self._politeness = politeness
        self._clock = clock
        self._lock = threading.Lock()
        self._hosts: dict[str, _Host] = {}

    @contextmanager
    def turn(self, host: str) -> Iterator[None]:
        """Wait for a place at the host, and keep it until the block ends."""
        state = self._enter(host)
        try:
            with state.places:
                self._wait(state)
                yield
        finally:
            with self._lock:
                state.users -= 1

    def hold(self, host: str, seconds: float) -> None:
        """Nobody asks the host for so many seconds: it said that it was asked too often."""
        state = self._enter(host)
        with self._lock:
            state.users -= 1
            state.held_until = max(state.held_until, self._clock.monotonic() + seconds)

    def _enter(self, host: str) -> _Host:
        with self._lock:
            if len(self._hosts) >= _KNOWN_HOSTS and host not in self._hosts:
                now = self._clock.monotonic()
                self._hosts = {
                    name: state
                    for name, state in self._hosts.items()
                    if state.users or max(state.next_start, state.held_until) > now
                }
            state = self._hosts.setdefault(
                host, _Host(threading.BoundedSemaphore(self._politeness.connections_per_host))
            )
            state.users += 1
            return state

    def _wait(self, state: _Host) -> None:
        with self._lock:
            start = max(self._clock.monotonic(), state.next_start)
            state.next_start = start + self._politeness.interval_seconds
        while True:
            # A hold may have come while this thread slept.
            with self._lock:
                wait = max(start, state.held_until) - self._clock.monotonic()
            if wait <= 0:
                return
            self._clock.sleep(wait)
