"""What takes memory, made when it is first used and freed when room is needed, within a budget of bytes.

A value in use is leased, and is not freed before its last lease ends. No lock is held while a value is made or freed,
so nobody waits for the making of a value that is not his own, unless the budget has no room for both.
"""

from __future__ import annotations

import copy
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from threading import Condition
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
Failure = TypeVar("Failure", bound=Exception)


class NoRoom(Exception):
    """The deadline is over: the values in use leave no room, or, where ``making`` is True, another caller makes it."""

    def __init__(self, making: bool) -> None:
        super().__init__("the value is still being made" if making else "the values in use leave no room")
        self.making = making


@dataclass(frozen=True, slots=True)
class Held(Generic[Key]):
    """A value that counts against the budget: its key, its bytes, its leases, and whether it is made already."""

    key: Key
    bytes: int
    leases: int
    ready: bool


class Lease(Generic[Key, Value]):
    """A value that is held, shared by all who lease it; ``value`` and ``error`` are None while it is being made."""

    def __init__(self, key: Key, size: int) -> None:
        self.key = key
        self.bytes = size
        self.leases = 1  # of the caller who makes it
        self.value: Value | None = None
        self.error: BaseException | None = None
        self.used = time.monotonic()  # the end of the last lease

    def get(self) -> Value:
        """The value, between ``take`` and ``end``."""
        assert self.value is not None
        return self.value


class Leases(Generic[Key, Value]):
    """Values by key, as many as ``budget`` bytes and the number ``most`` allow; safe to share between threads.

    One value is always allowed, however large. ``free`` is called with each value that leaves. ``more`` is asked for
    bytes beyond the budget before a value has to leave; where it says True, the budget grows by them.
    """

    def __init__(
        self,
        budget: int,
        *,
        most: int | None = None,
        free: Callable[[Value], None] | None = None,
        more: Callable[[int], bool] | None = None,
    ) -> None:
        self.budget = budget
        self.more = more
        self._most = most
        self._free_value = free
        self._changed = Condition()
        #: The least recently used first; those that are being made are among them.
        self._items: OrderedDict[Key, Lease[Key, Value]] = OrderedDict()
        #: Leased, but nobody gets a new lease; each leaves when its last one ends.
        self._leaving: list[Lease[Key, Value]] = []
        #: Who waits for room, in the order of coming, so that small values do not keep a large one out for ever.
        self._queue: deque[object] = deque()

    def take(self, key: Key, size: int, make: Callable[[], Value], deadline: float | None = None) -> Lease[Key, Value]:
        """Lease the value of ``key``; where there is none yet, ``make`` makes it and it counts ``size`` bytes.

        ``make`` runs once for all who ask meanwhile, and what it raises is raised to each. ``deadline`` is a time of
        ``time.monotonic`` up to which to wait for room, or for another caller's making; None waits without end.
        Raises ``NoRoom`` after it. Each lease must be given to ``end``.
        """
        while True:
            lease, idle = self._admitted(key, size, deadline)
            if idle is not None:
                self._make(lease, make, idle)
                return lease
            if self._is_made(lease, deadline):
                return lease

    def end(self, lease: Lease[Key, Value]) -> None:
        """End a lease; a value that was to leave is freed with its last one."""
        with self._changed:
            lease.leases -= 1
            lease.used = time.monotonic()
            leaves = not lease.leases and lease in self._leaving
            if leaves:
                self._leaving.remove(lease)
            self._changed.notify_all()
        if leaves:
            self._free([lease])

    def grow(self, key: Key, more: int, unused: float) -> bool:
        """Count ``more`` bytes for a value that is held or being made, or fewer where it is negative.

        Nothing is waited for: they come out of free room, and of values that nobody has used for ``unused`` seconds.
        Returns whether there were enough.
        """
        with self._changed:
            item = self._items.get(key)
            if item is None:
                return False
            short, since = self._short(more), time.monotonic() - unused
            old = [each for each in self._idle() if each.used <= since and each is not item]
            if more > 0 and (self._queue or sum(each.bytes for each in old) < short):
                return False
            idle = self._retire(_first(old, short))
            item.bytes += more
            self._changed.notify_all()
        self._free(idle)
        return True

    def leave(self, where: Callable[[Key], bool] = lambda _: True) -> None:
        """Free the values whose key is such, those in use when their last lease ends; give no new lease of them."""
        with self._changed:
            idle = self._retire([item for key, item in self._items.items() if where(key)])
        self._free(idle)

    def held(self) -> list[Held[Key]]:
        """What counts against the budget: values that leave, then the others, the least recently used first."""
        with self._changed:
            items = [*self._leaving, *self._items.values()]
            return [Held(each.key, each.bytes, each.leases, each.value is not None) for each in items]

    def is_ready(self, key: Key) -> bool:
        """Whether the value of ``key`` is held and made."""
        with self._changed:
            item = self._items.get(key)
            return item is not None and item.value is not None

    def _admitted(
        self, key: Key, size: int, deadline: float | None
    ) -> tuple[Lease[Key, Value], list[Lease[Key, Value]] | None]:
        """A lease, and what to free before making the value; None for these where another caller makes it, or has."""
        ticket = object()
        asked = self.more is None
        try:
            while True:
                with self._changed:
                    item = self._items.get(key)
                    if item is not None:
                        item.leases += 1
                        self._items.move_to_end(key)
                        return item, None
                    idle = self._room_for(size, ticket, asked)
                    if idle is not None:
                        item = self._items[key] = Lease(key, size)
                        return item, idle
                    if asked and not self._changed.wait(_left(deadline)):
                        raise NoRoom(making=False)
                if not asked:
                    asked = True
                    self._ask_for_more(size)
        finally:
            with self._changed:
                if ticket in self._queue:
                    self._queue.remove(ticket)
                    self._changed.notify_all()

    def _ask_for_more(self, size: int) -> None:
        with self._changed:
            short = self._short(size)
        if short > 0 and self.more is not None and self.more(short):
            with self._changed:
                self.budget += short

    def _room_for(self, size: int, ticket: object, may_evict: bool) -> list[Lease[Key, Value]] | None:
        """What to free for ``size`` bytes; None where the caller has to wait for his turn, or for leases to end."""
        if ticket not in self._queue:
            self._queue.append(ticket)
        if self._queue[0] is not ticket:
            return None
        held = [*self._leaving, *self._items.values()]
        short, over = self._short(size), len(held) + 1 - (self._most or len(held) + 1)
        if not held or (short <= 0 and over <= 0):
            return []
        if over <= 0 and not may_evict:
            return None
        idle = self._idle()
        leave = _first(idle, short, over)
        if len(leave) == len(held) or (sum(each.bytes for each in leave) >= short and len(leave) >= over):
            return self._retire(leave)
        # They get no new lease, or a value that is always in use would keep this one out for ever.
        coming = [*self._leaving, *idle]
        used = [each for each in self._items.values() if each.leases]
        self._retire(_first(used, short - sum(each.bytes for each in coming), over - len(coming)))
        return None

    def _short(self, size: int) -> int:
        return size - self.budget + sum(each.bytes for each in [*self._leaving, *self._items.values()])

    def _idle(self) -> list[Lease[Key, Value]]:
        return [each for each in self._items.values() if not each.leases]

    def _retire(self, items: Iterable[Lease[Key, Value]]) -> list[Lease[Key, Value]]:
        """Give no new lease of these; returns those not in use, which the caller frees when he has no lock."""
        items = list(items)
        for item in items:
            del self._items[item.key]
        self._leaving += [item for item in items if item.leases]
        return [item for item in items if not item.leases]

    def _free(self, items: Sequence[Lease[Key, Value]]) -> None:
        for item in items:
            value, item.value = item.value, None
            if value is not None and self._free_value is not None:
                self._free_value(value)
            del value
        if items:
            with self._changed:
                self._changed.notify_all()

    def _make(self, lease: Lease[Key, Value], make: Callable[[], Value], idle: Sequence[Lease[Key, Value]]) -> None:
        try:
            self._free(idle)
            value = make()
        except BaseException as error:
            with self._changed:
                if lease in self._leaving:
                    self._leaving.remove(lease)
                else:
                    del self._items[lease.key]
                lease.error = error
                self._changed.notify_all()
            raise
        with self._changed:
            lease.value = value
            self._changed.notify_all()

    def _is_made(self, lease: Lease[Key, Value], deadline: float | None) -> bool:
        """Wait for a value that another caller makes; False where he was interrupted, and it is to be tried again."""
        try:
            with self._changed:
                while lease.value is None and lease.error is None:
                    if not self._changed.wait(_left(deadline)):
                        raise NoRoom(making=True)
        except BaseException:
            self.end(lease)
            raise
        if isinstance(lease.error, Exception):
            raise fresh(lease.error)
        return lease.error is None


def fresh(error: Failure) -> Failure:
    """The same error for another caller to raise: its traceback, with all that the frames hold, stays behind."""
    try:
        return copy.copy(error)
    except TypeError:  # an error that can't be made of its own arguments
        return error


def _first(items: Sequence[Lease[Key, Value]], short: int, over: int = 0) -> list[Lease[Key, Value]]:
    """The first of the items that together have the bytes that are short, and are as many as are over."""
    chosen: list[Lease[Key, Value]] = []
    for item in items:
        if short <= 0 and len(chosen) >= over:
            break
        chosen.append(item)
        short -= item.bytes
    return chosen


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())
