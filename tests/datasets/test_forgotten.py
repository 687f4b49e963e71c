"""What is to be forgotten, kept so that it never comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from veduta.datasets.forgotten import FILE, Forgotten
from veduta.datasets.search.found import Found
from veduta.errors import OutputError

PHOTO = Found("https://photos.example/1.jpg", "openverse", page="https://photos.example/1", author="Ada Lovelace")


def test_nothing_is_forgotten_at_first(tmp_path: Path) -> None:
    forgotten = Forgotten.read(tmp_path)
    assert PHOTO not in forgotten
    assert not forgotten.asked


@pytest.mark.parametrize("what", [PHOTO.url, PHOTO.page, "ada lovelace"])
def test_an_address_a_page_or_an_author_is_remembered_by_the_next_run(tmp_path: Path, what: str) -> None:
    Forgotten.read(tmp_path).add(what)
    assert PHOTO in Forgotten.read(tmp_path)
    assert Found("https://photos.example/2.jpg", "openverse", author="Ada") not in Forgotten.read(tmp_path)


def test_who_has_no_author_is_not_everybody(tmp_path: Path) -> None:
    forgotten = Forgotten.read(tmp_path).add("Ada Lovelace")
    assert Found("https://photos.example/3.jpg", "openverse") not in forgotten


def test_its_digest_changes_with_what_is_forgotten(tmp_path: Path) -> None:
    before = Forgotten.read(tmp_path)
    assert before.add("Ada").digest != before.digest == Forgotten.read(tmp_path / "elsewhere").digest


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b"{"])
def test_a_file_that_can_not_be_read_stops_rather_than_lets_all_come_back(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(OutputError, match="nobody knows what must not be fetched again"):
        Forgotten.read(tmp_path)
