"""Servers that are busy are asked again, politely, and by many threads at once."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from veduta.errors import FetchFailed, FetchLater
from veduta.images.fetch import FetchLimits, Politeness
from veduta.images.fetch_limits import POLITE
from veduta.images.turns import HostTurns
from veduta.retry_after import retry_after

from .fetching import NOW, Serve, Waits, answer, fetcher, in_turn, reset, says


def test_a_busy_server_is_asked_again_after_the_time_that_it_names(serve: Serve, waits: Waits) -> None:
    server = serve(
        in_turn(
            answer(status="429 Too Many", retry_after="17"),
            answer(status="503 Busy", retry_after="Sun, 04 May 2031 12:00:30 GMT"),
            answer(b"ok"),
        )
    )
    with fetcher(waits) as fetch:
        assert fetch.get(server.url).content == b"ok"
    assert sum(waits.slept) == pytest.approx(17 + 30, abs=0.5)


def test_a_server_that_fails_is_asked_again_after_growing_pauses(serve: Serve, waits: Waits) -> None:
    server = serve(says(answer(status="500 Ill")))
    with fetcher(waits) as fetch, pytest.raises(FetchFailed) as failed:
        fetch.get(server.url)
    assert failed.value.status == 500
    assert failed.value.passing
    assert waits.slept == [0.5, 1.0, 2.0]
    assert len(server.heads) == 4


def test_a_connection_that_breaks_is_made_again(serve: Serve) -> None:
    tries = iter([True, True, False])

    def script(head: str, connection: socket.socket) -> None:
        if next(tries):
            connection.sendall(answer(b"par", content_length="9999"))
            reset(connection)
        else:
            connection.sendall(answer(b"whole"))

    server = serve(script)
    with fetcher() as fetch:
        assert fetch.get(server.url).content == b"whole"


def test_no_server_is_an_error(waits: Waits) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with fetcher(waits) as fetch, pytest.raises(FetchFailed, match=r"refused"):
        fetch.get(f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize("wait", ["61", "Sun, 04 May 2031 12:01:01 GMT", "9" * 30, "99999999999"])
def test_a_wait_that_is_too_long_says_when_to_come_back(serve: Serve, waits: Waits, wait: str) -> None:
    server = serve(says(answer(status="429 Too Many", retry_after=wait)))
    with fetcher(waits) as fetch, pytest.raises(FetchLater, match="asks to come back") as later:
        fetch.get(server.url)
    assert later.value.seconds >= 61
    assert not waits.slept
    if len(wait) == 2:
        assert "not before 2031-05-04 12:01:01 UTC" in str(later.value)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("Sun, 04 May 2031 12:00:10 GMT", 10.0),
        ("Sun, 04 May 2031 13:00:00 +0100", 0.0),
        ("Sun, 04 May 2031 12:00:10 -0000", 10.0),
        ("Mon, 01 Jan 1990 00:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("Sun, 99 May 2031 12:00:10 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds


def test_waiting_for_the_server_does_not_count_as_its_slowness(serve: Serve, waits: Waits) -> None:
    server = serve(in_turn(answer(status="429 Too Many", retry_after="60"), answer(b"ok")))
    with fetcher(waits, FetchLimits(total_seconds=30.0)) as fetch:
        assert fetch.get(server.url).content == b"ok"


def test_an_error_does_not_repeat_what_the_server_sent(serve: Serve) -> None:
    server = serve(says(b"HTTP/1.1 " + b"\x1b[31m" * 3_000 + b"\r\n\r\n"))
    with fetcher() as fetch, pytest.raises(FetchFailed) as failed:
        fetch.get(server.url)
    assert str(failed.value).isprintable()
    assert len(str(failed.value)) < 400


def test_requests_to_one_host_begin_an_interval_apart(serve: Serve, waits: Waits) -> None:
    server = serve(says(answer(b"ok", connection="close")))
    with fetcher(waits, politeness=Politeness(interval_seconds=100.0)) as fetch:
        for _ in range(3):
            fetch.get(server.url)
    assert waits.slept == pytest.approx([100.0, 100.0], abs=5.0)


def test_another_host_has_its_own_turns(waits: Waits) -> None:
    turns = HostTurns(Politeness(interval_seconds=100.0), waits.clock)
    for host in ("a.example", "b.example", "c.example"):
        with turns.turn(host):
            pass
    assert not waits.slept


def test_a_hold_keeps_everybody_away_from_the_host(waits: Waits) -> None:
    turns = HostTurns(Politeness(interval_seconds=0.0), waits.clock)
    turns.hold("a.example", 30.0)
    with turns.turn("b.example"):
        assert not waits.slept
    with turns.turn("a.example"):
        assert waits.slept == pytest.approx([30.0], abs=1.0)


def test_hosts_at_rest_are_forgotten(waits: Waits) -> None:
    turns = HostTurns(POLITE, waits.clock)
    with turns.turn("kept.example"):
        for number in range(10_000):
            with turns.turn(f"{number}.example"):
                waits.total += 0.3
        assert len(turns._hosts) <= 4_096
        assert "kept.example" in turns._hosts


def test_many_threads_share_few_connections_to_a_host(serve: Serve) -> None:
    lock, at_once, most = threading.Lock(), 0, 0

    def script(head: str, connection: socket.socket) -> bool:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.01)
        with lock:
            at_once -= 1
        path = head.split()[1].encode()
        connection.sendall(answer(path * 1_000))
        return True

    server = serve(script)
    with (
        fetcher(politeness=Politeness(connections_per_host=3, interval_seconds=0)) as fetch,
        ThreadPoolExecutor(12) as pool,
    ):
        photos = list(pool.map(lambda number: fetch.get(f"{server.url}/{number}").content, range(60)))
    assert photos == [f"/{number}".encode() * 1_000 for number in range(60)]
    assert most <= 3
    assert server.connections <= 12
