"""A large file on disk: whole under its name, or not there."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from veduta.errors import (
    FetchAltered,
    FetchError,
    FetchFailed,
    FetchLater,
    FetchTooLarge,
    FetchTooSlow,
    OutputError,
    UsageError,
)
from veduta.images import part_file
from veduta.images.fetch import Clock, Fetcher, FetchLimits, Politeness

Serve = Callable[..., Any]

MODEL = random.Random(7).randbytes(300_000)
SHA256 = hashlib.sha256(MODEL).hexdigest()
FILE = FetchLimits(received_bytes=2**30, total_seconds=60.0)


def fetcher(limits: FetchLimits = FILE, **options: Any) -> Fetcher:
    given: dict[str, Any] = {
        "allow_loopback": True,
        "ports": range(1, 65_536),
        "politeness": Politeness(interval_seconds=0),
        "clock": Clock(sleep=lambda seconds: None),
        "file_limits": limits,
    }
    return Fetcher(**(given | options))


class FileServer:
    """Serves bytes with Range and If-Range, as RFC 9110 says, and misbehaves as the test says.

    ``cuts``: after how many bytes of body each answer breaks off; None, or the end of the list, for never.
    """

    def __init__(self, content: bytes = MODEL, etag: str = '"one"', **habits: Any) -> None:
        self.content = content
        self.etag = etag
        self.modified = habits.get("modified", "")
        self.cuts: list[int | None] = habits.get("cuts", [])
        self.ranges = habits.get("ranges", True)
        self.refuses = habits.get("refuses", False)
        self.asked: list[tuple[str, str]] = []

    def __call__(self, head: str, connection: socket.socket) -> None:
        sent = {name.lower(): value for name, _, value in (line.partition(": ") for line in head.splitlines()[1:])}
        wanted, condition = sent.get("range", ""), sent.get("if-range", "")
        self.asked.append((wanted, condition))
        start, status, fields = 0, "200 OK", [f"ETag: {self.etag}" if self.etag else ""]
        if self.modified:
            fields.append(f"Last-Modified: {self.modified}")
        if wanted and self.ranges and condition in (self.etag, self.modified):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            status = "206 Partial Content"
            fields.append(f"Content-Range: bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        if wanted and (self.refuses or start >= len(self.content)):
            start, status = len(self.content), "416 Range Not Satisfiable"
            fields = [f"Content-Range: bytes */{len(self.content)}"]
        body = self.content[start:]
        fields += [f"Content-Length: {len(body)}", "Connection: close"]
        connection.sendall("\r\n".join([f"HTTP/1.1 {status}", *filter(None, fields), "", ""]).encode())
        connection.sendall(body[: self.cuts.pop(0) if self.cuts else None])


def nothing_is_left(folder: Path) -> bool:
    return not list(folder.iterdir())


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


def left_by_a_cut(serve: Serve, tmp_path: Path, **habits: Any) -> tuple[FileServer, Any]:
    """A folder in which 100,000 bytes of model.pt wait to be continued."""
    files = FileServer(cuts=[100_000], **habits)
    server = serve(files)
    with fetcher(FetchLimits(received_bytes=2**30, retries=0)) as fetch, pytest.raises(FetchFailed):
        fetch.download(server.url, tmp_path / "model.pt")
    return files, server


def goes_on(server: Any, tmp_path: Path, content: bytes = MODEL, **options: Any) -> None:
    with fetcher() as fetch:
        fetch.download(server.url, tmp_path / "model.pt", **options)
    assert (tmp_path / "model.pt").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]


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
        "bytes */300000",
        "items 1-2/3",
        "",
    ],
    ids=["other-start", "other-length", "backwards", "no-part", "items", "none"],
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


# What is not what it should be


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


def test_more_than_the_told_length_is_an_error(serve: Serve, tmp_path: Path) -> None:
    _, server = left_by_a_cut(serve, tmp_path)

    def more(head: str, connection: socket.socket) -> None:
        fields = "Content-Range: bytes 100000-299999/300000\r\nTransfer-Encoding: chunked\r\n"
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


# The disk


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with fetcher() as fetch, pytest.raises(OutputError, match="folder does not exist"):
        fetch.download("http://127.0.0.1:1/", tmp_path / "none" / "model.pt")


def test_a_folder_in_the_place_of_the_file_is_an_error(tmp_path: Path) -> None:
    with fetcher() as fetch, pytest.raises(OutputError, match="is a folder"):
        fetch.download("http://127.0.0.1:1/", tmp_path)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="this user may write everywhere")
def test_a_folder_that_is_read_only_is_an_error(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with fetcher() as fetch, pytest.raises(OutputError, match="read-only"):
        fetch.download("http://127.0.0.1:1/", tmp_path / "model.pt")


@pytest.mark.parametrize(
    ("number", "sentence"), [(errno.EACCES, "read-only"), (errno.EROFS, "read-only"), (errno.EIO, "the system says")]
)
def test_a_part_that_can_not_be_opened_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, sentence: str
) -> None:
    def fail(*arguments: Any) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(part_file.os, "open", fail)
    with fetcher() as fetch, pytest.raises(OutputError, match=sentence):
        fetch.download("http://127.0.0.1:1/", tmp_path / "model.pt")


def test_no_room_is_known_before_the_bytes_come(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1_000))
    server = serve(FileServer())
    with fetcher() as fetch, pytest.raises(OutputError, match="1,000 are free"):
        fetch.download(server.url, tmp_path / "model.pt")
    assert nothing_is_left(tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_disk_that_fills_up_is_an_error(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(FileServer())
    part = part_file.PartFile._open
    monkeypatch.setattr(part_file.PartFile, "_resume", lambda self: None)
    monkeypatch.setattr(part_file.PartFile, "discard", lambda self: None)
    monkeypatch.setattr(part_file.PartFile, "_open", lambda self: (part(self).close(), open("/dev/full", "r+b"))[1])  # noqa: PTH123, SIM115
    with fetcher() as fetch, pytest.raises(OutputError, match="disk is full"):
        fetch.download(server.url, tmp_path / "model.pt")
    assert not (tmp_path / "model.pt").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_in_the_place_of_the_part_is_not_followed(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "model.pt.part").symlink_to(tmp_path / "precious")
    server = serve(FileServer())
    with fetcher() as fetch, pytest.raises(OutputError, match="is a link"):
        fetch.download(server.url, tmp_path / "model.pt")
    assert (tmp_path / "precious").read_bytes() == b"precious"


@pytest.mark.skipif(sys.platform == "win32", reason="no such locks there")
def test_two_downloads_of_one_file_do_not_mix(serve: Serve, tmp_path: Path) -> None:
    server = serve(FileServer())
    taken = part_file.PartFile(tmp_path / "model.pt", server.url)
    with taken, fetcher() as fetch, pytest.raises(OutputError, match="somebody else"):
        fetch.download(server.url, tmp_path / "model.pt")
    with fetcher() as fetch:
        fetch.download(server.url, tmp_path / "model.pt")


def test_an_error_of_the_caller_keeps_what_was_received(serve: Serve, tmp_path: Path) -> None:
    server = serve(FileServer())

    def interrupt(received: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with fetcher() as fetch, pytest.raises(KeyboardInterrupt):
        fetch.download(server.url, tmp_path / "model.pt", on_progress=interrupt)
    assert not (tmp_path / "model.pt").exists()
    assert (tmp_path / "model.pt.part").stat().st_size > 0
    goes_on(server, tmp_path, sha256=SHA256)


def test_the_caller_may_fetch_while_it_is_told_of_progress(serve: Serve, tmp_path: Path) -> None:
    server, photo = serve(FileServer()), serve(FileServer(b"photo"))
    fetched: list[bytes] = []
    with fetcher() as fetch:
        fetch.download(
            server.url, tmp_path / "model.pt", on_progress=lambda *step: fetched.append(fetch.get(photo.url).content)
        )
    assert set(fetched) == {b"photo"}
    assert (tmp_path / "model.pt").read_bytes() == MODEL


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
