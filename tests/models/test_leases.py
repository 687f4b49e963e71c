"""Values are made once, are not freed in use, and the least recently used leaves; nobody waits without a reason."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from veduta.models.leases import Lease, Leases, NoRoom

SECONDS = 20.0


class Store:
    """Leases of made values, with a record of what was made and freed."""

    def __init__(self, budget: int, *, most: int | None = None, more: Callable[[int], bool] | None = None) -> None:
        self.made: list[str] = []
        self.freed: list[str] = []
        self.leases: Leases[str, str] = Leases(budget, most=most, free=self.freed.append, more=more)

    def take(self, key: str, size: int = 1, seconds: float | None = SECONDS) -> Lease[str, str]:
        def make() -> str:
            self.made.append(key)
            return key

        return self.leases.take(key, size, make, None if seconds is None else time.monotonic() + seconds)

    def use(self, key: str, size: int = 1) -> None:
        lease = self.take(key, size)
        assert lease.get() == key
        self.leases.end(lease)

    @property
    def keys(self) -> list[str]:
        return [held.key for held in self.leases.held()]

    @property
    def waiting(self) -> int:
        return len(self.leases._queue)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(32) as pool:
        yield pool


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline, "it did not come to pass"
        threading.Event().wait(0.001)


def test_a_value_is_made_at_its_first_use_and_kept() -> None:
    store = Store(10)
    store.use("a")
    store.use("a")
    assert store.made == ["a"]
    assert store.leases.is_ready("a")
    assert not store.leases.is_ready("b")
    assert [(each.key, each.bytes, each.leases, each.ready) for each in store.leases.held()] == [("a", 1, 0, True)]


def test_the_least_recently_used_leave_until_there_is_room() -> None:
    store = Store(4)
    for key in "abcd":
        store.use(key)
    store.use("a")
    store.use("e", 2)
    assert store.freed == ["b", "c"]
    assert store.keys == ["d", "a", "e"]


def test_what_is_in_use_stays() -> None:
    store = Store(2)
    lease = store.take("a")
    store.use("b")
    store.use("c")
    assert store.freed == ["b"]
    store.leases.end(lease)
    store.use("d")
    store.use("e")
    assert store.freed == ["b", "a", "c"]


def test_who_finds_no_room_waits_for_a_lease_to_end(threads: ThreadPoolExecutor) -> None:
    store = Store(2)
    lease = store.take("a", 2)
    waits = threads.submit(store.take, "b")
    until(lambda: store.waiting == 1)
    assert not waits.done()
    store.leases.end(lease)
    assert waits.result(SECONDS).get() == "b"
    assert store.freed == ["a"]


def test_waiting_has_an_end_where_one_was_given(threads: ThreadPoolExecutor) -> None:
    store = Store(1)
    lease = store.take("a")
    with pytest.raises(NoRoom) as caught:
        store.take("b", seconds=0.0)
    assert not caught.value.making
    store.leases.end(lease)
    store.use("b")
    assert store.keys == ["b"]


def test_many_who_ask_at_once_share_one_making(threads: ThreadPoolExecutor) -> None:
    store, go, begun = Store(10), threading.Event(), threading.Event()

    def make() -> str:
        store.made.append("a")
        begun.set()
        assert go.wait(SECONDS)
        return "a"

    taken = [threads.submit(store.leases.take, "a", 1, make) for _ in range(20)]
    until(lambda: sum(each.leases for each in store.leases.held()) == 20)
    assert begun.is_set()
    with pytest.raises(NoRoom) as caught:
        store.take("a", seconds=0.0)
    assert caught.value.making
    go.set()
    assert {each.result(SECONDS).get() for each in taken} == {"a"}
    assert store.made == ["a"]
    for each in taken:
        store.leases.end(each.result())
    assert [each.leases for each in store.leases.held()] == [0]


def test_nobody_waits_for_a_making_that_is_not_his(threads: ThreadPoolExecutor) -> None:
    store, go, begun = Store(3), threading.Event(), threading.Event()
    store.use("a")

    def make() -> str:
        begun.set()
        assert go.wait(SECONDS)
        return "slow"

    slow = threads.submit(store.leases.take, "slow", 1, make)
    assert begun.wait(SECONDS)
    store.use("a")
    store.use("b")
    store.use("c")
    assert not slow.done()
    assert store.freed == ["a"]
    go.set()
    assert slow.result(SECONDS).get() == "slow"


def test_nobody_waits_for_a_freeing(threads: ThreadPoolExecutor) -> None:
    go, begun = threading.Event(), threading.Event()

    def free(value: str) -> None:
        begun.set()
        assert go.wait(SECONDS)

    leases: Leases[str, str] = Leases(2, free=free)
    for key in "ab":
        leases.end(leases.take(key, 1, lambda key=key: key))  # type: ignore[misc]
    evicts = threads.submit(leases.take, "c", 1, lambda: "c")
    assert begun.wait(SECONDS)
    leases.end(leases.take("b", 1, lambda: "never made"))
    assert not evicts.done()
    go.set()
    assert evicts.result(SECONDS).get() == "c"


def test_what_goes_wrong_is_told_to_each_and_tried_again_by_the_next(threads: ThreadPoolExecutor) -> None:
    store, go = Store(10), threading.Event()

    def fail() -> str:
        store.made.append("failed")
        assert go.wait(SECONDS)
        raise ValueError("broken")

    taken = [threads.submit(store.leases.take, "a", 1, fail) for _ in range(5)]
    until(lambda: sum(each.leases for each in store.leases.held()) == 5)
    go.set()
    errors = [each.exception(SECONDS) for each in taken]
    assert [str(error) for error in errors] == ["broken"] * 5
    assert len({id(error) for error in errors}) == 5
    assert store.made == ["failed"]
    assert store.keys == []
    store.use("a")
    assert store.made == ["failed", "a"]


def test_an_interrupted_making_is_taken_over(threads: ThreadPoolExecutor) -> None:
    store, go = Store(10), threading.Event()

    def interrupted() -> str:
        assert go.wait(SECONDS)
        raise KeyboardInterrupt

    first = threads.submit(store.leases.take, "a", 1, interrupted)
    until(lambda: store.keys == ["a"])
    second = threads.submit(store.take, "a")
    until(lambda: sum(each.leases for each in store.leases.held()) == 2)
    go.set()
    assert isinstance(first.exception(SECONDS), KeyboardInterrupt)
    assert second.result(SECONDS).get() == "a"
    assert store.made == ["a"]


def test_small_values_and_busy_ones_do_not_keep_a_large_one_out(threads: ThreadPoolExecutor) -> None:
    store = Store(4)
    busy, other = store.take("busy"), store.take("other")
    large = threads.submit(store.take, "large", 4)
    until(lambda: store.waiting == 1)
    # Both were to leave from then on: who asks for one again comes after the large one, and so does who needs little.
    later: list[Future[Lease[str, str]]] = [threads.submit(store.take, "small"), threads.submit(store.take, "busy")]
    until(lambda: store.waiting == 3)
    store.leases.end(busy)
    assert not large.done()
    store.leases.end(other)
    lease = large.result(SECONDS)
    assert not any(each.done() for each in later)
    store.leases.end(lease)
    assert [each.result(SECONDS).get() for each in later] == ["small", "busy"]
    assert store.freed == ["busy", "other", "large"]


def test_one_value_is_always_allowed() -> None:
    store = Store(2)
    store.use("a")
    store.use("huge", 100)
    assert store.keys == ["huge"]
    store.use("b")
    assert store.keys == ["b"]


def test_no_more_than_so_many() -> None:
    store = Store(100, most=2)
    for key in "abc":
        store.use(key)
    assert store.keys == ["b", "c"]


def test_values_that_are_to_leave_do_so_with_their_last_lease() -> None:
    store = Store(10)
    lease, again = store.take("a"), store.take("a")
    store.use("b")
    store.use("c")
    store.leases.leave(lambda key: key in "ab")
    assert store.freed == ["b"]
    assert store.keys == ["a", "c"]
    assert not store.leases.is_ready("a")
    store.use("a")
    assert store.made == ["a", "b", "c", "a"]
    store.leases.end(lease)
    assert store.freed == ["b"]
    store.leases.end(again)
    assert store.freed == ["b", "a"]
    store.leases.leave()
    assert store.keys == []


def test_a_value_grows_into_free_room_and_into_what_was_long_unused() -> None:
    store = Store(6)
    for key in "abc":
        store.use(key)
    assert store.leases.grow("c", 3, unused=60.0)
    assert [each.bytes for each in store.leases.held()] == [1, 1, 4]
    assert not store.leases.grow("c", 1, unused=60.0), "the others were just used"
    assert store.leases.grow("c", 1, unused=0.0)
    assert store.keys == ["b", "c"]
    assert not store.leases.grow("c", 2, unused=0.0)
    assert store.leases.grow("c", -4, unused=60.0)
    assert [each.bytes for each in store.leases.held()] == [1, 1]
    assert not store.leases.grow("a", 1, unused=0.0), "it is not there any more"


def test_a_value_does_not_grow_past_those_who_wait(threads: ThreadPoolExecutor) -> None:
    store = Store(3)
    lease = store.take("a")
    waits = threads.submit(store.take, "b", 3)
    until(lambda: store.waiting == 1)
    assert not store.leases.grow("a", 1, unused=0.0)
    store.leases.end(lease)
    assert waits.result(SECONDS).get() == "b"


def test_more_is_asked_for_before_anything_leaves() -> None:
    asked: list[int] = []

    def more(size: int) -> bool:
        asked.append(size)
        return len(asked) == 1

    store = Store(2, more=more)
    store.use("a")
    store.use("b", 3)
    assert store.freed == []
    assert store.leases.budget == 4
    store.use("c", 2)
    assert asked == [2, 2]
    assert store.freed == ["a", "b"]
    assert store.leases.budget == 4
