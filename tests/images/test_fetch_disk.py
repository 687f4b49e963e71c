"""A download on a disk that is full, read-only, linked elsewhere or used by another download."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from veduta.errors import OutputError
from veduta.images import part_file

from .fetching import Serve
from .file_server import FileServer, fetcher, nothing_is_left


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
