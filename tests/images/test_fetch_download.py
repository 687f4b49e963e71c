"""A large file: whole under its name and what was meant, or not there."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from veduta.errors import FetchAltered, FetchFailed, FetchLater, FetchTooLarge, FetchTooSlow, UsageError
from veduta.images.fetch import Clock, FetchLimits

from .fetching import Serve
from .file_server import MODEL, SHA256, FileServer, fetcher, left_by_a_cut, nothing_is_left


def test_a_file_comes_whole_under_its_name_and_nothing_else_is_left(serve: Serve, tmp_path: Path) -> None:
    server = serve(FileServer())
    steps: list[tuple[int, int | None]] = []
    with fetcher() as fetch:
        found = fetch.download(
            server.url, tmp_path / "model.pt", sha256=SHA256.upper(), on_progress=lambda *step: steps.append(step)
        )
    assert found == tmp_path / "model.pt"
    assert found.read_bytes() == MODEL
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]
    assert steps[-1] == (len(MODEL), len(MODEL))
    assert steps == sorted(steps)


def test_another_hash_is_an_error_and_nothing_is_left(serve: Serve, tmp_path: Path) -> None:
    server = serve(FileServer())
    with fetcher() as fetch, pytest.raises(FetchAltered, match=SHA256):
        fetch.download(server.url, tmp_path / "model.pt", sha256="0" * 64)
    assert nothing_is_left(tmp_path)


def test_a_file_that_was_there_stays_where_the_new_one_fails(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"old")
    server = serve(FileServer())
    with fetcher() as fetch, pytest.raises(FetchAltered):
        fetch.download(server.url, tmp_path / "model.pt", sha256="0" * 64)
    assert (tmp_path / "model.pt").read_bytes() == b"old"


def test_a_file_that_has_the_hash_is_not_fetched_again(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(MODEL)
    server = serve(FileServer())
    with fetcher() as fetch:
        assert fetch.download(server.url, tmp_path / "model.pt", sha256=SHA256) == tmp_path / "model.pt"
    assert not server.connections


@pytest.mark.parametrize("sha256", ["", "abc", "g" * 64, "٣" * 64, SHA256 + "\n"])
def test_a_hash_that_is_none_is_refused(tmp_path: Path, sha256: str) -> None:
    with fetcher() as fetch, pytest.raises(UsageError):
        fetch.download("http://127.0.0.1:1/", tmp_path / "model.pt", sha256=sha256)


def test_a_file_that_is_too_long_is_not_begun(serve: Serve, tmp_path: Path) -> None:
    server = serve(FileServer())
    with fetcher(FetchLimits(received_bytes=1_000)) as fetch, pytest.raises(FetchTooLarge, match="300,000"):
        fetch.download(server.url, tmp_path / "model.pt")
    assert nothing_is_left(tmp_path)


def test_an_endless_file_ends_at_the_limit_and_nothing_is_left(serve: Serve, tmp_path: Path) -> None:
    def endless(head: str, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"8000\r\n" + bytes(0x8000) + b"\r\n")

    server = serve(endless)
    with fetcher(FetchLimits(received_bytes=500_000)) as fetch, pytest.raises(FetchTooLarge):
        fetch.download(server.url, tmp_path / "model.pt")
    assert not (tmp_path / "model.pt").exists()


@pytest.mark.parametrize("last", [299_999, 100_000], ids=["whole-rest", "one-byte"])
def test_more_than_the_told_length_is_an_error(serve: Serve, tmp_path: Path, last: int) -> None:
    _, server = left_by_a_cut(serve, tmp_path)

    def more(head: str, connection: socket.socket) -> None:
        fields = f"Content-Range: bytes 100000-{last}/300000\r\nTransfer-Encoding: chunked\r\n"
        connection.sendall(f"HTTP/1.1 206 Partial\r\n{fields}\r\n".encode())
        while True:
            connection.sendall(b"8000\r\n" + bytes(0x8000) + b"\r\n")

    server.script = more
    with fetcher() as fetch, pytest.raises(FetchTooLarge):
        fetch.download(server.url, tmp_path / "model.pt")
    assert nothing_is_left(tmp_path)


def test_a_length_that_nobody_tells_needs_the_hash(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda head, connection: connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + MODEL))
    with fetcher() as fetch:
        with pytest.raises(FetchFailed, match="give its SHA-256"):
            fetch.download(server.url, tmp_path / "model.pt")
        assert nothing_is_left(tmp_path)
        fetch.download(server.url, tmp_path / "model.pt", sha256=SHA256)
    assert (tmp_path / "model.pt").read_bytes() == MODEL


def test_a_packed_file_is_refused(serve: Serve, tmp_path: Path) -> None:
    packed = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd"
    server = serve(lambda head, connection: connection.sendall(packed))
    with fetcher() as fetch, pytest.raises(FetchFailed, match="packed"):
        fetch.download(server.url, tmp_path / "model.pt")
    assert nothing_is_left(tmp_path)


def test_an_empty_file_is_a_file(serve: Serve, tmp_path: Path) -> None:
    server = serve(FileServer(b""))
    with fetcher() as fetch:
        fetch.download(server.url, tmp_path / "empty")
    assert (tmp_path / "empty").read_bytes() == b""


def test_a_server_that_only_ever_cuts_is_left(serve: Serve, tmp_path: Path) -> None:
    files = FileServer(cuts=[0] * 99)
    server = serve(files)
    with fetcher() as fetch, pytest.raises(FetchFailed):
        fetch.download(server.url, tmp_path / "model.pt")
    assert len(files.asked) == 4


def test_a_server_that_brings_a_byte_at_a_time_meets_the_deadline(serve: Serve, tmp_path: Path) -> None:
    server = serve(FileServer(cuts=[1] * 999_999))
    with fetcher(FetchLimits(total_seconds=0.5)) as fetch, pytest.raises(FetchTooSlow):
        fetch.download(server.url, tmp_path / "model.pt")
    assert not (tmp_path / "model.pt").exists()


def test_a_busy_server_is_waited_for_or_told_later(serve: Serve, tmp_path: Path) -> None:
    busy = iter(["5", "5000"])

    def script(head: str, connection: socket.socket) -> None:
        answer = f"HTTP/1.1 429 Busy\r\nRetry-After: {next(busy)}\r\nContent-Length: 0\r\n\r\n"
        connection.sendall(answer.encode())

    server = serve(script)
    passed = [0.0]
    clock = Clock(monotonic=lambda: passed[0], sleep=lambda seconds: passed.append(passed.pop() + seconds))
    with fetcher(clock=clock) as fetch, pytest.raises(FetchLater):
        fetch.download(server.url, tmp_path / "model.pt")
    assert passed[0] >= 5
    assert nothing_is_left(tmp_path)


def test_the_caller_may_fetch_while_it_is_told_of_progress(serve: Serve, tmp_path: Path) -> None:
    server, photo = serve(FileServer()), serve(FileServer(b"photo"))
    fetched: list[bytes] = []
    with fetcher() as fetch:
        fetch.download(
            server.url, tmp_path / "model.pt", on_progress=lambda *step: fetched.append(fetch.get(photo.url).content)
        )
    assert set(fetched) == {b"photo"}
    assert (tmp_path / "model.pt").read_bytes() == MODEL
