"""A server of one large file, and downloads from it that were cut."""

from __future__ import annotations

import hashlib
import random
import socket
from pathlib import Path
from typing import Any

import pytest

from veduta.errors import FetchFailed
from veduta.images.fetch import Clock, Fetcher, FetchLimits, Politeness

from .fetching import Serve

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
