"""Bytes or an error, whatever the server does."""

from __future__ import annotations

import gzip
import hashlib
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
import trustme

from veduta.errors import (
    FetchError,
    FetchFailed,
    FetchLater,
    FetchRefused,
    FetchTooLarge,
    FetchTooSlow,
    UsageError,
)
from veduta.images.exchange import retry_after
from veduta.images.fetch import Clock, Fetcher, FetchLimits, Politeness
from veduta.images.fetch_limits import POLITE
from veduta.images.network import system_dial
from veduta.images.turns import HostTurns

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


@pytest.fixture
def waits() -> Waits:
    return Waits()


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


# What a good server gets and gives


def test_a_photo_comes_with_its_facts(serve: Serve) -> None:
    server = serve(says(answer(b"photo", content_type="image/jpeg")))
    with fetcher() as fetch:
        photo = fetch.get(server.url + "/a.jpg?b=c")
    assert photo.content == b"photo"
    assert photo.url == server.url + "/a.jpg?b=c"
    assert photo.content_type == "image/jpeg"
    assert photo.sha256 == hashlib.sha256(b"photo").hexdigest()


def test_a_request_tells_who_asks_and_nothing_else(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    server = serve(
        in_turn(
            answer(status="302 Found", location="/there", set_cookie="a=b"),
            answer(b"ok"),
        )
    )
    with fetcher() as fetch:
        fetch.get(server.url + "/here")
    for head in server.heads:
        names = {line.partition(":")[0].lower() for line in head.splitlines()[1:] if line}
        assert names == {"host", "user-agent", "accept", "accept-encoding"}
        assert "User-Agent: Veduta/0." in head
        assert "Accept-Encoding: identity" in head


def test_the_user_agent_is_the_callers_where_given(serve: Serve) -> None:
    server = serve(says(answer(b"ok")))
    with fetcher(user_agent="Album/1 (+mailto:me@example.org)") as fetch:
        fetch.get(server.url)
    assert "User-Agent: Album/1 (+mailto:me@example.org)\r\n" in server.heads[0]


@pytest.mark.parametrize("agent", ["", " ", "a\r\nCookie: b", "Bücher/1", "\x1b"])
def test_a_user_agent_that_can_not_be_sent_is_refused(agent: str) -> None:
    with pytest.raises(UsageError):
        Fetcher(user_agent=agent)


def test_redirects_are_followed_to_the_third(serve: Serve) -> None:
    hops = [answer(status=f"{status} Moved", location=f"/{status}") for status in (301, 307, 308)]
    server = serve(in_turn(*hops, answer(b"there")))
    with fetcher() as fetch:
        found = fetch.get(server.url)
    assert found.content == b"there"
    assert found.url == server.url + "/308"


def test_a_connection_is_kept_for_the_next_photo(serve: Serve) -> None:
    def again(head: str, connection: socket.socket) -> bool:
        connection.sendall(answer(b"ok"))
        return True

    server = serve(again)
    with fetcher() as fetch:
        for _ in range(5):
            fetch.get(server.url)
    assert server.connections == 1


def test_a_connection_that_the_server_closed_meanwhile_is_made_again(serve: Serve) -> None:
    server = serve(says(answer(b"ok")))
    with fetcher() as fetch:
        assert [fetch.get(server.url).content for _ in range(3)] == [b"ok"] * 3


def test_a_chunked_answer_is_put_together(serve: Serve) -> None:
    chunked = answer(content_length="", transfer_encoding="chunked") + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    server = serve(says(chunked))
    with fetcher() as fetch:
        assert fetch.get(server.url).content == b"abcde"


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress(b"scenery" * 9_999)),
        ("x-gzip", gzip.compress(b"scenery" * 9_999)),
        ("deflate", zlib.compress(b"scenery" * 9_999)),
        ("deflate", zlib.compress(b"scenery" * 9_999)[2:-4]),
        ("identity", b"scenery" * 9_999),
    ],
)
def test_what_comes_packed_all_the_same_is_unpacked(serve: Serve, coding: str, packed: bytes) -> None:
    server = serve(says(answer(packed, content_encoding=coding)))
    with fetcher() as fetch:
        assert fetch.get(server.url).content == b"scenery" * 9_999


# Hostile ones


def test_an_endless_body_ends_at_the_limit(serve: Serve) -> None:
    def endless(head: str, connection: socket.socket) -> None:
        connection.sendall(answer(content_length=""))
        while True:
            connection.sendall(b"x" * 65_536)

    server = serve(endless)
    with fetcher(limits=FetchLimits(received_bytes=200_000)) as fetch, pytest.raises(FetchTooLarge, match="200,000"):
        fetch.get(server.url)
    assert server.connections == 1, "too much is not asked for again"


def test_an_endless_chunked_body_ends_at_the_limit_whatever_the_framing(serve: Serve) -> None:
    def endless(head: str, connection: socket.socket) -> None:
        connection.sendall(answer(content_length="", transfer_encoding="chunked"))
        while True:
            connection.sendall(b"1;" + b"e" * 8_000 + b"\r\nx\r\n")

    server = serve(endless)
    with fetcher(limits=FetchLimits(received_bytes=200_000)) as fetch, pytest.raises(FetchTooLarge):
        fetch.get(server.url)


def test_a_body_that_says_it_is_too_long_is_not_read(serve: Serve) -> None:
    server = serve(says(answer(content_length="99999999999")))
    with fetcher() as fetch, pytest.raises(FetchTooLarge, match="99,999,999,999"):
        fetch.get(server.url)


def test_a_body_of_exactly_the_limit_is_allowed(serve: Serve) -> None:
    server = serve(says(answer(b"x" * 1_000)))
    with fetcher(limits=FetchLimits(received_bytes=1_000)) as fetch:
        assert len(fetch.get(server.url).content) == 1_000


@pytest.mark.parametrize("length", ["7", "100000"])
def test_a_body_shorter_than_it_says_is_an_error(serve: Serve, length: str) -> None:
    server = serve(says(answer(b"short", content_length=length)))
    with fetcher() as fetch, pytest.raises(FetchFailed):
        fetch.get(server.url)
    assert server.connections == 4, "it is asked for three times more"


def test_a_body_longer_than_it_says_ends_where_it_said(serve: Serve) -> None:
    server = serve(says(answer(b"long and longer", content_length="4")))
    with fetcher() as fetch:
        assert fetch.get(server.url).content == b"long"


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0x3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffffffff\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 999999 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"\x00\x01\x02\x03\r\n\r\n",
        b"",
    ],
    ids=[
        "two-lengths",
        "negative",
        "hex",
        "huge-chunk",
        "negative-chunk",
        "cut-chunk",
        "status",
        "ssh",
        "nul",
        "nothing",
    ],
)
def test_what_is_no_http_is_an_error(serve: Serve, raw: bytes) -> None:
    server = serve(says(raw))
    with fetcher() as fetch, pytest.raises(FetchFailed):
        fetch.get(server.url)


def drip(connection: socket.socket, data: bytes) -> None:
    for position in range(len(data)):
        connection.sendall(data[position : position + 1])
        time.sleep(0.05)


@pytest.mark.parametrize("start", [answer(content_length="100000"), b"HTTP/1.1 200 OK\r\nX: "], ids=["body", "headers"])
def test_a_slow_drip_ends_at_the_total_deadline(serve: Serve, start: bytes) -> None:
    def script(head: str, connection: socket.socket) -> None:
        connection.sendall(start)
        drip(connection, b"x" * 100_000)

    server = serve(script)
    limits = FetchLimits(total_seconds=0.4, read_seconds=10.0)
    with fetcher(limits=limits) as fetch, pytest.raises(FetchTooSlow, match=r"0\.4 seconds in all|0\.4 seconds"):
        fetch.get(server.url)
    assert server.connections == 1


def test_silence_ends_at_the_read_deadline(serve: Serve, waits: Waits) -> None:
    released = threading.Event()
    server = serve(lambda head, connection: released.wait(20))
    limits = FetchLimits(read_seconds=0.2, retries=1)
    with fetcher(waits, limits) as fetch, pytest.raises(FetchTooSlow, match=r"0\.2 seconds between"):
        fetch.get(server.url)
    released.set()
    assert waits.slept == [0.5]


def test_endless_interim_answers_end_at_the_header_limit(serve: Serve) -> None:
    def script(head: str, connection: socket.socket) -> None:
        while True:
            connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")

    server = serve(script)
    with fetcher() as fetch, pytest.raises(FetchTooLarge, match="headers"):
        fetch.get(server.url)


@pytest.mark.parametrize("piece", [b"X: " + b"x" * 999 + b"\r\n", b"x" * 1_000], ids=["many", "one"])
def test_huge_headers_are_an_error(serve: Serve, piece: bytes) -> None:
    def script(head: str, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            connection.sendall(piece)

    server = serve(script)
    with fetcher() as fetch, pytest.raises(FetchTooLarge, match="32,768 bytes of headers"):
        fetch.get(server.url)


def test_headers_below_their_limit_are_taken_with_their_body(serve: Serve) -> None:
    server = serve(says(answer(b"y" * 100_000, x="x" * 30_000)))
    with fetcher() as fetch:
        assert len(fetch.get(server.url).content) == 100_000


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_bomb_is_not_unpacked_past_its_limit(serve: Serve, coding: str) -> None:
    pack = zlib.compressobj(9, wbits=31 if coding == "gzip" else 15)
    bomb = b"".join(pack.compress(bytes(2**20)) for _ in range(64)) + pack.flush()
    assert len(bomb) < 100_000
    server = serve(says(answer(bomb, content_encoding=coding)))
    limits = FetchLimits(decoded_bytes=2_000_000)
    with fetcher(limits=limits) as fetch, pytest.raises(FetchTooLarge, match="unpacks to more than 2,000,000"):
        fetch.get(server.url)


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(b"scenery" * 99)[:-9]),
        ("gzip", b"no gzip at all"),
        ("gzip", gzip.compress(b"one") + b"rest"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"twice"))),
        ("br", b"\x0b\x02\x80scenery\x03"),
        ("deflate", b"\xff\xff"),
        ("\x7fodd", b"odd"),
    ],
    ids=["cut", "not-packed", "rest", "twice", "brotli", "not-deflate", "odd"],
)
def test_what_can_not_be_unpacked_is_an_error(serve: Serve, coding: str, body: bytes) -> None:
    server = serve(says(answer(body, content_encoding=coding)))
    with fetcher() as fetch, pytest.raises(FetchFailed):
        fetch.get(server.url)


def test_a_redirect_loop_ends(serve: Serve) -> None:
    server = serve(says(answer(status="302 Found", location="/again")))
    with fetcher() as fetch, pytest.raises(FetchRefused, match="more than 3 times"):
        fetch.get(server.url)
    assert len(server.heads) == 4


def test_a_redirect_to_nowhere_is_an_error(serve: Serve) -> None:
    server = serve(says(answer(status="302 Found")))
    with fetcher() as fetch, pytest.raises(FetchFailed, match="does not say where to"):
        fetch.get(server.url)


def test_a_message_never_carries_what_a_terminal_would_obey(serve: Serve) -> None:
    server = serve(says(answer(status="302 Found", location="http://a/\x9b31mred")))
    with fetcher() as fetch, pytest.raises(FetchError) as failed:
        fetch.get(server.url)
    assert str(failed.value).isprintable()


@pytest.mark.parametrize("status", ["204 No Content", "206 Partial Content", "304 Not Modified", "401 Who", "404 Gone"])
def test_another_status_is_an_error_that_names_it(serve: Serve, status: str) -> None:
    server = serve(says(answer(status=status)))
    with fetcher() as fetch, pytest.raises(FetchFailed, match=status[:3]) as failed:
        fetch.get(server.url)
    assert failed.value.status == int(status[:3])
    assert len(server.heads) == 1


# Trying again


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


# Politeness and threads


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


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def tls_server(authority: trustme.CA, *names: str) -> tuple[ssl.SSLContext, list[str | None]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    asked: list[str | None] = []
    context.sni_callback = lambda connection, name, context: asked.append(name)
    return context, asked


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def tls_fetcher(authority: trustme.CA, port: int, dialled: list[str] | None = None, **options: Any) -> Fetcher:
    def dial(address: str, wanted: int, seconds: float) -> Any:
        if dialled is not None:
            dialled.append(address)
        return system_dial("127.0.0.1", port, seconds)

    given: dict[str, Any] = {"tls": trusting(authority), "resolver": lambda host, port: [ADDRESS], "dial": dial}
    return fetcher(allow_loopback=False, **(given | options))


def test_the_certificate_of_the_name_is_demanded_when_the_address_is_connected_to(
    serve: Serve, authority: trustme.CA
) -> None:
    context, asked = tls_server(authority, "scenes.example")
    server = serve(says(answer(b"secret garden")), tls=context)
    dialled: list[str] = []
    with tls_fetcher(authority, server.port, dialled) as fetch:
        assert fetch.get("https://scenes.example/").content == b"secret garden"
    assert dialled == [ADDRESS]
    assert asked == ["scenes.example"], "SNI is the name, not the address"
    assert "Host: scenes.example\r\n" in server.heads[0]


@pytest.mark.parametrize("names", [("other.example",), (ADDRESS,), ("*.scenes.example",)])
def test_a_certificate_of_another_name_is_refused(serve: Serve, authority: trustme.CA, names: tuple[str, ...]) -> None:
    context, _ = tls_server(authority, *names)
    server = serve(says(answer(b"x")), tls=context)
    with (
        tls_fetcher(authority, server.port) as fetch,
        pytest.raises(FetchFailed, match="no valid cert") as failed,
    ):
        fetch.get("https://scenes.example/")
    assert not failed.value.passing
    assert not server.heads


def test_a_certificate_of_an_unknown_authority_is_refused(serve: Serve, authority: trustme.CA) -> None:
    context, _ = tls_server(trustme.CA(), "scenes.example")
    server = serve(says(answer(b"x")), tls=context)
    with tls_fetcher(authority, server.port) as fetch, pytest.raises(FetchFailed, match="no valid cert"):
        fetch.get("https://scenes.example/")
    assert not server.heads


def test_the_systems_authorities_do_not_vouch_for_a_made_certificate(
    serve: Serve, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "made.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "made.pem"))
    context, _ = tls_server(authority, "scenes.example")
    server = serve(says(answer(b"x")), tls=context)
    with (
        tls_fetcher(authority, server.port, tls=None) as fetch,
        pytest.raises(FetchFailed, match="no valid cert"),
    ):
        fetch.get("https://scenes.example/")


def test_a_kept_connection_is_not_used_for_another_name_at_the_same_address(
    serve: Serve, authority: trustme.CA
) -> None:
    def again(head: str, connection: socket.socket) -> bool:
        connection.sendall(answer(b"ok"))
        return True

    context, asked = tls_server(authority, "scenes.example")
    server = serve(again, tls=context)
    with tls_fetcher(authority, server.port) as fetch:
        fetch.get("https://scenes.example/")
        with pytest.raises(FetchFailed, match=r"no valid certificate for other\.example"):
            fetch.get("https://other.example/")
    assert asked == ["scenes.example", "other.example"]
    assert len(server.heads) == 1


def test_an_encrypted_address_does_not_lead_to_an_open_one(serve: Serve, authority: trustme.CA) -> None:
    context, _ = tls_server(authority, "scenes.example")
    server = serve(says(answer(status="302 Found", location="http://scenes.example/")), tls=context)
    with tls_fetcher(authority, server.port) as fetch, pytest.raises(FetchRefused, match="allow_downgrade"):
        fetch.get("https://scenes.example/")
    assert server.connections == 1


def test_a_handshake_that_never_ends_meets_the_deadline(serve: Serve, authority: trustme.CA) -> None:
    released = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        limits = FetchLimits(connect_seconds=0.2, retries=0)
        port = silent.getsockname()[1]
        with tls_fetcher(authority, port, limits=limits) as fetch, pytest.raises(FetchTooSlow, match="to connect"):
            fetch.get("https://scenes.example/")
    released.set()


def test_a_resolver_that_never_answers_meets_the_deadline() -> None:
    released = threading.Event()

    def stuck(host: str, port: int) -> list[str]:
        released.wait(20)
        return []

    with fetcher(limits=FetchLimits(connect_seconds=0.1), resolver=stuck) as fetch:
        with pytest.raises(FetchTooSlow, match="not resolved"):
            fetch.get("http://scenes.example/")
        released.set()


def test_the_second_address_is_tried_where_the_first_does_not_answer(serve: Serve) -> None:
    import httpcore2

    server = serve(says(answer(b"ok")))
    dialled: list[str] = []

    def dial(address: str, port: int, seconds: float) -> Any:
        dialled.append(address)
        if len(dialled) == 1:
            raise httpcore2.ConnectError("nobody there")
        return system_dial("127.0.0.1", server.port, seconds)

    with fetcher(resolver=lambda host, port: [ADDRESS, "93.184.215.15"], dial=dial) as fetch:
        assert fetch.get("http://scenes.example/").content == b"ok"
    assert dialled == [ADDRESS, "93.184.215.15"]


# A proxy, where the user names one


def test_a_proxy_is_given_the_judged_address_and_the_name_in_the_host_header(serve: Serve) -> None:
    proxy = serve(says(answer(b"by proxy")))
    with fetcher(
        allow_loopback=False, proxy=f"http://me:word@127.0.0.1:{proxy.port}", resolver=lambda host, port: [ADDRESS]
    ) as fetch:
        assert fetch.get("http://scenes.example/a").content == b"by proxy"
    assert proxy.heads[0].startswith(f"GET http://{ADDRESS}:80/a HTTP/1.1\r\n")
    assert "Host: scenes.example\r\n" in proxy.heads[0]
    assert "Proxy-Authorization: Basic bWU6d29yZA==\r\n" in proxy.heads[0]


def test_a_tunnel_goes_to_the_judged_address_and_demands_the_certificate_of_the_name(
    serve: Serve, authority: trustme.CA
) -> None:
    context, asked = tls_server(authority, "scenes.example")
    behind: list[str] = []

    def tunnel(head: str, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        with context.wrap_socket(connection, server_side=True) as wrapped:
            behind.append(wrapped.recv(4_096).decode())
            wrapped.sendall(answer(b"by tunnel"))

    proxy = serve(tunnel)
    options = {"proxy": f"http://127.0.0.1:{proxy.port}", "resolver": lambda host, port: [ADDRESS]}
    with fetcher(allow_loopback=False, tls=trusting(authority), **options) as fetch:
        assert fetch.get("https://scenes.example/").content == b"by tunnel"
        with pytest.raises(FetchFailed, match="no valid cert"):
            fetch.get("https://other.example/")
    assert proxy.heads[0].startswith(f"CONNECT {ADDRESS}:443 ")
    assert asked == ["scenes.example", "other.example"]
    assert "Host: scenes.example\r\n" in behind[0]


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://private.example/", "https://169.254.169.254/"])
def test_a_proxy_is_not_asked_for_an_address_that_is_not_public(serve: Serve, url: str) -> None:
    proxy = serve(says(answer(b"x")))
    options = {"proxy": f"http://127.0.0.1:{proxy.port}", "resolver": lambda host, port: ["10.0.0.1"]}
    with fetcher(allow_loopback=False, **options) as fetch, pytest.raises(FetchRefused):
        fetch.get(url)
    assert not proxy.connections


@pytest.mark.parametrize("proxy", ["127.0.0.1:80", "socks5://127.0.0.1:80", "http://", "http://a:b", ""])
def test_a_proxy_that_can_not_be_meant_is_refused(proxy: str) -> None:
    with pytest.raises(UsageError):
        Fetcher(proxy=proxy)


# The rest


@pytest.mark.parametrize(
    "limits",
    [{"received_bytes": 0}, {"total_seconds": float("nan")}, {"read_seconds": float("inf")}, {"retries": -1}],
)
def test_limits_that_can_not_be_meant_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        FetchLimits(**limits)


@pytest.mark.parametrize("module", ["veduta", "veduta.cli.main", "veduta.images.fetch", "veduta.images.decode"])
def test_the_http_library_waits_until_somebody_fetches(module: str) -> None:
    code = f"import {module}, sys; print([name for name in ('httpx2', 'httpcore2', 'idna') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
