"""Bytes or an error: what a good server gets and gives."""

from __future__ import annotations

import gzip
import hashlib
import socket
import subprocess
import sys
import zlib
from typing import Any

import pytest

from veduta.errors import UsageError
from veduta.images.fetch import Fetcher, FetchLimits

from .fetching import Serve, answer, fetcher, in_turn, says


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
