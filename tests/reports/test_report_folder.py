from __future__ import annotations

import os
from pathlib import Path

import pytest

from veduta.errors import OutputError, UsageError
from veduta.reports.report_folder import PICTURE, ReportFolder
from veduta.reports.words import page_words

MADE = ReportFolder("Veduta made", ("assets", "thumbs"))


@pytest.mark.parametrize("name", ["assets", "thumbs"])
@pytest.mark.parametrize("kind", ["folder", "file", "broken link"])
def test_a_folder_where_somebody_has_the_names_of_a_report_is_refused(tmp_path: Path, name: str, kind: str) -> None:
    match kind:
        case "folder":
            (tmp_path / name).mkdir()
        case "file":
            (tmp_path / name).write_text("mine")
        case _:
            (tmp_path / name).symlink_to(tmp_path / "gone")
    with pytest.raises(UsageError, match=f"{name}.* did not write"):
        MADE.claim(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_a_folder_with_other_things_in_it_is_taken_and_they_stay(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    MADE.claim(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "kept"


def test_a_killed_report_has_marked_its_folder_and_can_be_written_again(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "report"
    MADE.check_free(folder)
    assert not folder.exists()
    MADE.claim(folder, "de")
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert page_words("de")["unfinished"] in page
    assert '<html lang="de">' in page
    assert "<script" not in page
    (folder / "thumbs").mkdir()
    MADE.check_free(folder)
    MADE.claim(folder)


def test_a_page_of_before_stays_until_the_new_one_takes_its_place(tmp_path: Path) -> None:
    page = f"<html>{MADE.marker} and figures"
    (tmp_path / "index.html").write_text(page)
    MADE.claim(tmp_path)
    assert (tmp_path / "index.html").read_text() == page


@pytest.mark.parametrize("kind", ["another report", "a folder", "a pipe", "a broken link"])
def test_another_page_is_never_replaced(tmp_path: Path, kind: str) -> None:
    page = tmp_path / "index.html"
    match kind:
        case "another report":
            page.write_text(ReportFolder("Veduta", ()).marker)
        case "a folder":
            page.mkdir()
        case "a pipe":
            os.mkfifo(page)
        case _:
            page.symlink_to(tmp_path / "gone")
    with pytest.raises(UsageError, match=r"index\.html.* did not write"):
        MADE.check_free(tmp_path)


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        MADE.check_free(tmp_path / "file")
    with pytest.raises(OutputError, match="can't be written"):
        MADE.claim(tmp_path / "file" / "report")


def test_the_pictures_of_a_report_are_known_by_their_names() -> None:
    for name in ("0123456789abcdef.jpg", f"{'a' * 32}.webp", f".{'a' * 32}.png.part"):
        assert PICTURE.fullmatch(name)
    for name in ("000.jpg", "mine.jpg", "deadbeef.jpg.part.txt", "../00000000.jpg", "0123456789ABCDEF.jpg"):
        assert not PICTURE.fullmatch(name)
