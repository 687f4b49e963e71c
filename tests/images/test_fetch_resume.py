"""A download that was cut goes on where it ended, if that is surely the same file; else it starts over."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from veduta.errors import FetchError, FetchFailed
from veduta.images.fetch import FetchLimits

from .fetching import Serve
from .file_server import MODEL, SHA256, FileServer, fetcher, goes_on, left_by_a_cut


def test_what_the_call_cut_is_resumed_in_it(serve: Serve, tmp_path: Path) -> None:
    files = FileServer(cuts=[100_000, 70_000, 1, 1, 1, 1, 1])
    server = serve(files)
    with fetcher() as fetch:
        fetch.download(server.url, tmp_path / "model.pt")
    assert (tmp_path / "model.pt").read_bytes() == MODEL
    assert files.asked[0] == ("", "")
    assert files.asked[1] == ("bytes=100000-", '"one"')
    assert files.asked[-1] == ("bytes=170005-", '"one"'), "attempts that bring bytes are not counted"


def test_what_one_call_left_the_next_one_takes_over(serve: Serve, tmp_path: Path) -> None:
    files = FileServer(cuts=[100_000])
    server = serve(files)
    target = tmp_path / "model.pt"
    with fetcher(FetchLimits(received_bytes=2**30, retries=0)) as fetch:
        with pytest.raises(FetchFailed):
            fetch.download(server.url, target)
        assert not target.exists()
        assert (tmp_path / "model.pt.part").stat().st_size == 100_000
        fetch.download(server.url, target, sha256=SHA256)
    assert target.read_bytes() == MODEL
    assert files.asked[1] == ("bytes=100000-", '"one"')


def test_a_file_that_changed_meanwhile_is_fetched_from_its_start(serve: Serve, tmp_path: Path) -> None:
    files, server = left_by_a_cut(serve, tmp_path)
    files.content, files.etag = MODEL[::-1], '"two"'
    goes_on(server, tmp_path, MODEL[::-1])
    assert files.asked[1:] == [("bytes=100000-", '"one"')]


def test_a_server_that_ignores_if_range_is_caught_by_its_etag(serve: Serve, tmp_path: Path) -> None:
    _, server = left_by_a_cut(serve, tmp_path)
    other = FileServer(MODEL[::-1], '"two"')

    def careless(head: str, connection: socket.socket) -> None:
        other(head.replace('"one"', '"two"'), connection)

    server.script = careless
    goes_on(server, tmp_path, MODEL[::-1])
    assert [wanted for wanted, _ in other.asked] == ["bytes=100000-", ""]


def test_a_server_without_ranges_sends_all_again(serve: Serve, tmp_path: Path) -> None:
    _, server = left_by_a_cut(serve, tmp_path, ranges=False)
    goes_on(server, tmp_path)


def test_the_date_serves_where_there_is_no_etag(serve: Serve, tmp_path: Path) -> None:
    date = "Sun, 04 May 2031 12:00:00 GMT"
    files, server = left_by_a_cut(serve, tmp_path, etag="", modified=date)
    goes_on(server, tmp_path)
    assert files.asked[1] == ("bytes=100000-", date)


@pytest.mark.parametrize("etag", ["", 'W/"weak"', "unquoted", '"'], ids=["none", "weak", "unquoted", "half"])
def test_without_a_strong_validator_the_file_is_fetched_from_its_start(serve: Serve, tmp_path: Path, etag: str) -> None:
    files, server = left_by_a_cut(serve, tmp_path, etag=etag)
    goes_on(server, tmp_path)
    assert files.asked[1] == ("", "")


def test_a_range_that_is_refused_leads_to_a_fresh_start(serve: Serve, tmp_path: Path) -> None:
    files, server = left_by_a_cut(serve, tmp_path)
    files.refuses = True
    goes_on(server, tmp_path)
    assert [wanted for wanted, _ in files.asked[1:]] == ["bytes=100000-", ""]


@pytest.mark.parametrize(
    "told",
    [
        "bytes 5-299999/300000",
        "bytes 100000-299999/999999",
        "bytes 100000-1/300000",
        "bytes 100000-300000/300000",
        "bytes 100000-299999/*",
        "bytes */300000",
        "items 1-2/3",
        "",
    ],
    ids=["other-start", "other-length", "backwards", "beyond-the-end", "untold-length", "no-part", "items", "none"],
)
def test_a_part_that_was_not_asked_for_leads_to_a_fresh_start(serve: Serve, tmp_path: Path, told: str) -> None:
    files, server = left_by_a_cut(serve, tmp_path)

    def script(head: str, connection: socket.socket) -> None:
        if "Range:" in head:
            field = f"Content-Range: {told}\r\n" if told else ""
            connection.sendall(f"HTTP/1.1 206 Partial\r\n{field}Content-Length: 5\r\n\r\nwrong".encode())
        else:
            files(head, connection)

    server.script = script
    goes_on(server, tmp_path)


class UntoldLength:
    """A server that sends in chunks, breaks off after 5,000 bytes, and answers a range with ``told`` and 1,000 bytes.

    ``told`` may name the ``start`` that was asked for and the ``length`` of the whole file.
    """

    def __init__(self, told: str, cuts: int = 1) -> None:
        self.told = told
        self.cuts = cuts
        self.asked: list[int] = []

    def __call__(self, head: str, connection: socket.socket) -> None:
        start = int(head.partition("Range: bytes=")[2].partition("-")[0] or 0)
        self.asked.append(start)
        common = 'ETag: "one"\r\nConnection: close\r\n'
        if start:
            told = self.told.format(start=start, end=start + 999, length=len(MODEL))
            fields = f"Content-Range: bytes {told}\r\nContent-Length: 1000\r\n{common}\r\n"
            connection.sendall(f"HTTP/1.1 206 Partial\r\n{fields}".encode() + MODEL[start : start + 1_000])
            return
        connection.sendall(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{common}\r\n".encode())
        if self.cuts:
            self.cuts -= 1
            connection.sendall(b"1388\r\n" + MODEL[:5_000] + b"\r\n")
        else:
            connection.sendall(b"%x\r\n" % len(MODEL) + MODEL + b"\r\n0\r\n\r\n")


@pytest.mark.parametrize("options", [{}, {"sha256": SHA256}], ids=["no-hash", "hash"])
def test_a_part_of_a_file_of_untold_length_is_never_taken_for_its_rest(
    serve: Serve, tmp_path: Path, options: dict[str, Any]
) -> None:
    server = serve(UntoldLength("{start}-{end}/*"))
    goes_on(server, tmp_path, **options)
    assert server.script.asked == [0, 5_000, 0]


def test_parts_that_tell_the_length_are_put_together_though_the_first_answer_did_not(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(UntoldLength("{start}-{end}/{length}"))
    goes_on(server, tmp_path, sha256=SHA256)
    assert server.script.asked == [0, *range(5_000, len(MODEL), 1_000)]


def test_a_server_whose_parts_never_fit_is_left_after_its_retries(serve: Serve, tmp_path: Path) -> None:
    server = serve(UntoldLength("{start}-{end}/*", cuts=999))
    with fetcher(FetchLimits(received_bytes=2**30, total_seconds=5.0)) as fetch, pytest.raises(FetchFailed):
        fetch.download(server.url, tmp_path / "model.pt")
    assert server.script.asked == [0, 5_000, 0, 5_000]
    assert not (tmp_path / "model.pt").exists()


def test_a_whole_part_is_confirmed_by_its_last_byte(serve: Serve, tmp_path: Path) -> None:
    """A run that was killed between the last byte and the renaming."""
    files, server = left_by_a_cut(serve, tmp_path)
    (tmp_path / "model.pt.part").write_bytes(MODEL)
    note = json.loads((tmp_path / "model.pt.part.json").read_text())
    (tmp_path / "model.pt.part.json").write_text(json.dumps(note | {"size": len(MODEL), "sha256": SHA256}))
    goes_on(server, tmp_path)
    assert files.asked[1:] == [(f"bytes={len(MODEL) - 1}-", '"one"')]


@pytest.mark.parametrize(
    "damage",
    {
        "cut": lambda part: part.write_bytes(MODEL[:50_000]),
        "zeroed": lambda part: part.write_bytes(bytes(100_000)),
        "tail-zeroed": lambda part: part.write_bytes(MODEL[:99_000] + bytes(1_000)),
        "empty": lambda part: part.write_bytes(b""),
        "gone": lambda part: part.unlink(),
    }.items(),
    ids=lambda case: case[0],
)
def test_a_part_that_was_damaged_is_not_built_on(
    serve: Serve, tmp_path: Path, damage: tuple[str, Callable[[Path], Any]]
) -> None:
    _, server = left_by_a_cut(serve, tmp_path)
    damage[1](tmp_path / "model.pt.part")
    goes_on(server, tmp_path)


def test_bytes_behind_the_last_checkpoint_are_not_trusted(serve: Serve, tmp_path: Path) -> None:
    files, server = left_by_a_cut(serve, tmp_path)
    with (tmp_path / "model.pt.part").open("ab") as part:
        part.write(bytes(5_000))
    goes_on(server, tmp_path)
    assert files.asked[1] == ("bytes=100000-", '"one"')


@pytest.mark.parametrize(
    "note",
    [b"", b"{", b"[]", b"null", b"\xff", b"[" * 4_000, b'{"size": 1}', b'{"size": -1, "sha256": 3}', b"x" * 99_999],
    ids=["empty", "open", "list", "null", "not-text", "deep", "short", "wrong", "long"],
)
def test_a_note_that_makes_no_sense_is_ignored(serve: Serve, tmp_path: Path, note: bytes) -> None:
    _, server = left_by_a_cut(serve, tmp_path)
    (tmp_path / "model.pt.part.json").write_bytes(note)
    goes_on(server, tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"validator": "a\r\nCookie: b"},
        {"validator": 'W/"\u00e4"'},
        {"size": True},
        {"size": 10**30},
        {"size": -5},
        {"total": 5},
        {"total": "many"},
        {"sha256": ""},
        {"url_sha256": "0" * 64},
    ],
    ids=str,
)
def test_a_note_that_was_changed_does_no_harm(serve: Serve, tmp_path: Path, change: dict[str, Any]) -> None:
    files, server = left_by_a_cut(serve, tmp_path)
    path = tmp_path / "model.pt.part.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    goes_on(server, tmp_path)
    assert files.asked[1] == ("", "")


def test_the_note_does_not_hold_the_url(serve: Serve, tmp_path: Path) -> None:
    server = serve(FileServer(cuts=[100_000]))
    with fetcher(FetchLimits(retries=0)) as fetch, pytest.raises(FetchFailed):
        fetch.download(server.url + "/?key=secret", tmp_path / "model.pt")
    assert "secret" not in (tmp_path / "model.pt.part.json").read_text()


def test_another_url_does_not_continue_the_part(serve: Serve, tmp_path: Path) -> None:
    files, server = left_by_a_cut(serve, tmp_path)
    with fetcher() as fetch:
        fetch.download(server.url + "/other", tmp_path / "model.pt")
    assert files.asked[1] == ("", "")
    assert (tmp_path / "model.pt").read_bytes() == MODEL


def test_an_error_of_the_caller_keeps_what_was_received(serve: Serve, tmp_path: Path) -> None:
    server = serve(FileServer())

    def interrupt(received: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with fetcher() as fetch, pytest.raises(KeyboardInterrupt):
        fetch.download(server.url, tmp_path / "model.pt", on_progress=interrupt)
    assert not (tmp_path / "model.pt").exists()
    assert (tmp_path / "model.pt.part").stat().st_size > 0
    goes_on(server, tmp_path, sha256=SHA256)


PROGRAM = """
import os, signal, sys
from pathlib import Path
from veduta.images import part_file
from veduta.images.fetch import Fetcher
part_file._CHECKPOINT_BYTES = 50_000
def kill(received, total):
    if received >= 120_000:
        os.kill(os.getpid(), signal.SIGKILL)
from veduta.images import download
download._SECONDS_BETWEEN_REPORTS = 0.0
with Fetcher(allow_loopback=True, ports=range(1, 65_536)) as fetch:
    fetch.download(sys.argv[1], Path(sys.argv[2]), on_progress=kill)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_a_killed_download_goes_on_from_its_last_checkpoint(serve: Serve, tmp_path: Path) -> None:
    files = FileServer()
    server = serve(files)
    target = tmp_path / "model.pt"
    command = [sys.executable, "-c", PROGRAM, server.url, str(target)]
    killed = subprocess.run(command, check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert not target.exists()
    goes_on(server, tmp_path)
    wanted, condition = files.asked[1]
    assert 50_000 <= int(wanted.removeprefix("bytes=").removesuffix("-")) < len(MODEL)
    assert condition == '"one"'


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 120_000), max_size=5), st.booleans(), st.integers(0, 4))
def test_wherever_it_is_cut_the_file_is_whole_or_not_there(
    serve: Serve, tmp_path_factory: pytest.TempPathFactory, cuts: list[int], ranges: bool, retries: int
) -> None:
    server = serve(FileServer(cuts=list(cuts), ranges=ranges))
    target = tmp_path_factory.mktemp("cuts") / "model.pt"
    with fetcher(FetchLimits(received_bytes=2**30, retries=retries)) as fetch:
        for _ in range(len(cuts) + 1):
            try:
                fetch.download(server.url, target)
            except FetchError:
                assert not target.exists()
            else:
                break
    assert target.read_bytes() == MODEL
