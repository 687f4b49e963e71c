from __future__ import annotations

import os
from pathlib import Path

import pytest

from veduta.errors import OutputError
from veduta.whole_file import check_place, whole_file, write_whole


def test_a_file_takes_its_place_when_it_is_whole_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "new" / "figures.json"
    write_whole(path, b"first")
    with whole_file(path) as file:
        file.write(b"second, ")
        assert path.read_bytes() == b"first"
        file.write(b"in two parts")
    assert path.read_bytes() == b"second, in two parts"
    assert [each.name for each in path.parent.iterdir()] == ["figures.json"]


@pytest.mark.parametrize("error", [ValueError("not the disk's"), KeyboardInterrupt()])
def test_what_breaks_off_leaves_the_file_of_before_and_no_part(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "x.bin"
    write_whole(path, b"before")

    def break_off() -> None:
        with whole_file(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(type(error)):
        break_off()
    assert path.read_bytes() == b"before"
    assert [each.name for each in tmp_path.iterdir()] == ["x.bin"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_disk_that_takes_no_more_leaves_the_file_of_before_and_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "x.bin"
    write_whole(path, b"before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*(os, "fsync", full) if step == "fsync" else (Path, "replace", full))
    with pytest.raises(OutputError, match=r"x\.bin: can't be written \(No space left on device\); free some\."):
        write_whole(path, b"after", advice="free some")
    monkeypatch.undo()
    assert path.read_bytes() == b"before"
    assert [each.name for each in tmp_path.iterdir()] == ["x.bin"]


def test_what_a_killed_run_left_beside_is_no_hindrance_and_a_link_there_is_not_followed(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.write_bytes(b"mine")
    (tmp_path / ".x.bin.part").symlink_to(foreign)
    write_whole(tmp_path / "x.bin", b"whole")
    assert foreign.read_bytes() == b"mine"
    assert (tmp_path / "x.bin").read_bytes() == b"whole"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["foreign", "x.bin"]


def test_a_folder_a_pipe_or_a_device_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to(os.devnull)
    for name in ("folder", "pipe", "null"):
        with pytest.raises(OutputError, match=f"{name}: is no plain file"):
            check_place(tmp_path / name)
        with pytest.raises(OutputError, match=f"{name}: is no plain file"):
            write_whole(tmp_path / name, b"x")
    check_place(tmp_path / "new" / "file")


def test_a_file_where_a_folder_is_needed_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"x\.png: can't be written"):
        write_whole(tmp_path / "file" / "x.png", b"x")


@pytest.mark.parametrize("sync", [True, False])
def test_the_disk_is_waited_for_where_that_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sync: bool
) -> None:
    waited: list[int] = []
    monkeypatch.setattr(os, "fsync", waited.append)
    write_whole(tmp_path / "x.bin", b"x", sync=sync)
    # The file's bytes, and the folder's entry.
    assert len(waited) == (2 if sync else 0)
