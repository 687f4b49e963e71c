"""Which photos the inputs name, and in what order."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from veduta.errors import UsageError
from veduta.images.sources import expand

needs_links = pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need a privilege on Windows")


def names(inputs: list[str], root: Path, **options: object) -> list[str]:
    return [os.path.relpath(sample.path, root) for sample in expand(inputs, **options)]  # type: ignore[arg-type]


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"")


def stream(data: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")


def test_a_folder_gives_its_photos_by_name_and_nothing_hidden(tmp_path: Path) -> None:
    touch(tmp_path, "b.jpg", "a/z.PNG", "a/b/c.cr3", "c.txt", ".hidden.jpg", ".git/x.jpg", "d.heic", "e.JPEG")
    assert names([str(tmp_path)], tmp_path) == ["a/b/c.cr3", "a/z.PNG", "b.jpg", "d.heic", "e.JPEG"]
    assert names([str(tmp_path)], tmp_path, recursive=False) == ["b.jpg", "d.heic", "e.JPEG"]


@needs_links
def test_symlink_loops_end_and_each_folder_comes_once(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    (tmp_path / "a/loop").symlink_to(tmp_path)
    (tmp_path / "b/again").symlink_to(tmp_path / "a")
    (tmp_path / "b/file.jpg").symlink_to(tmp_path / "a/1.jpg")
    (tmp_path / "self").symlink_to(tmp_path / "self")
    assert names([str(tmp_path)], tmp_path) == ["a/1.jpg", "b/2.jpg", "b/file.jpg"]


def test_a_named_file_is_tried_whatever_its_name_and_a_missing_one_stays(tmp_path: Path) -> None:
    touch(tmp_path, "photo.bin", ".hidden.jpg", "[1].jpg")
    inputs = [str(tmp_path / name) for name in ("photo.bin", "missing.jpg", ".hidden.jpg", "[1].jpg")]
    assert [sample.path for sample in expand(inputs)] == inputs


def test_globs_reach_into_folders_and_keep_to_photos(tmp_path: Path) -> None:
    touch(tmp_path, "x/1.jpg", "x/y/2.jpg", "x/note.txt", "x/odd.bin", "z.jpg")
    assert names([str(tmp_path / "*/*.jpg")], tmp_path) == ["x/1.jpg"]
    assert names([str(tmp_path / "x/*")], tmp_path) == ["x/1.jpg", "x/y/2.jpg"]
    assert names([str(tmp_path / "**/*.jpg")], tmp_path) == ["x/1.jpg", "x/y/2.jpg", "z.jpg"]
    assert names([str(tmp_path / "x/*.bin")], tmp_path) == ["x/odd.bin"]


@pytest.mark.parametrize("item", ["empty", "empty/*.jpg", "-"])
def test_an_input_that_names_nothing_is_an_error_with_a_sentence(tmp_path: Path, item: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"^(The folder|Nothing matches|The list) .*\.$"):
        list(expand([item if item == "-" else str(tmp_path / item)], stdin=stream(b"\n\n")))


def test_a_list_is_ended_by_newlines_or_by_nul_and_names_may_hold_newlines(tmp_path: Path) -> None:
    touch(tmp_path, "folder/1.jpg")
    folder = os.fsencode(tmp_path / "folder")
    lines = b"a.jpg\r\n\n" + folder + b"\n-\nlast.jpg"
    assert [sample.path for sample in expand(["-"], stdin=stream(lines))] == [
        "a.jpg",
        str(tmp_path / "folder/1.jpg"),
        "-",
        "last.jpg",
    ]
    zeros = b"two\nlines.jpg\0<b>.jpg\0\xff.jpg\0"
    assert [sample.path for sample in expand(["-"], stdin=stream(zeros))] == [
        "two\nlines.jpg",
        "<b>.jpg",
        os.fsdecode(b"\xff.jpg"),
    ]


def test_a_list_may_come_as_text_and_be_longer_than_one_piece() -> None:
    paths = [f"photo-{index:06}.jpg" for index in range(20_000)]
    assert [sample.path for sample in expand(["-"], stdin=io.StringIO("\n".join(paths)))] == paths


def test_a_list_that_is_none_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(UsageError, match="longer than any path"):
        list(expand(["-"], stdin=stream(b"x" * 2**20)))


def test_names_with_odd_characters_are_found_in_folders(tmp_path: Path) -> None:
    odd = ["two\nlines.jpg", "<b>bold</b>.jpg".replace("/", ""), "=1+1.jpg", os.fsdecode(b"\xff\xfe.jpg")]
    for name in odd:
        try:
            (tmp_path / name).write_bytes(b"")
        except OSError:
            pytest.skip("this file system takes no such names")
    assert {Path(sample.path).name for sample in expand([str(tmp_path)])} == set(odd)


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    touch(tmp_path, "1.jpg")
    samples = expand([str(tmp_path), str(tmp_path / "gone/*.jpg")])
    assert next(samples).path.endswith("1.jpg")
    with pytest.raises(UsageError):
        next(samples)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="needs permissions that hold for this user")
def test_a_folder_that_can_not_be_listed_becomes_a_sample(tmp_path: Path) -> None:
    touch(tmp_path, "closed/1.jpg", "2.jpg")
    (tmp_path / "closed").chmod(0)
    try:
        assert names([str(tmp_path)], tmp_path) == ["2.jpg", "closed"]
    finally:
        (tmp_path / "closed").chmod(0o700)


def test_an_empty_input_is_no_photo() -> None:
    with pytest.raises(UsageError, match="empty"):
        list(expand([""]))
