"""Bytes or an error, whatever a hostile or broken server does."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import zlib

import pytest

from veduta.errors import FetchError, FetchFailed, FetchRefused, FetchTooLarge, FetchTooSlow
from veduta.images.fetch import FetchLimits

from .fetching import Serve, Waits, answer, fetcher, says


def test_an_endless_body_ends_at_the_limit(serve: Serve) -> None:
    def endless(head: str, connection: socket.socket) -> None:
        connection.sendall(answer(content_length="", transfer_encoding="chunked"))
        while True:
            connection.sendall(b"10000\r\n" + b"x" * 65_536 + b"\r\n")

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


@pytest.mark.parametrize("whole", [True, False])
def test_a_body_whose_cut_would_not_be_noticed_is_refused(serve: Serve, whole: bool) -> None:
    body = b"photo" if whole else b"pho"
    server = serve(says(answer(content_length="", connection="close") + body))
    with fetcher() as fetch, pytest.raises(FetchFailed, match="does not tell how long it is"):
        fetch.get(server.url)
    assert server.connections == 1


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
