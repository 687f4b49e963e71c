"""A finished model into the store, and the mark of one that learnt from photos to be forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from veduta.errors import OutputError, UsageError
from veduta.models.bundle import Bundle
from veduta.models.installing import FORGOTTEN, forgotten_photos, install, mark_forgotten
from veduta.models.store import find, home


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    monkeypatch.setenv("VEDUTA_HOME", str(tmp_path / "home"))
    return Bundle.load(find("places100"))


def test_its_name_finds_it_whole_with_what_lies_beside_it(bundle: Bundle) -> None:
    made = install(bundle, "mine", {"passport.csv": b"url\n"})
    assert made.path == home() / "mine" == find("mine")
    assert made.bundle_id == bundle.bundle_id
    assert (made.path / "passport.csv").read_bytes() == b"url\n"
    assert not [each for each in home().iterdir() if each.name.startswith(".")]


def test_it_takes_the_place_of_an_earlier_one_with_all_that_was_beside_that(bundle: Bundle) -> None:
    install(bundle, "mine", {"passport.csv": b"", "old.csv": b""})
    mark_forgotten(home() / "mine", 3)
    made = install(bundle, "mine", {"passport.csv": b"new"})
    assert (made.path / "passport.csv").read_bytes() == b"new"
    assert not (made.path / "old.csv").exists()
    assert not (made.path / FORGOTTEN).exists()


def test_what_is_no_model_is_never_replaced(bundle: Bundle) -> None:
    (home() / "mine").mkdir(parents=True)
    (home() / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(UsageError):
        install(bundle, "mine", {})
    with pytest.raises(UsageError, match=r"model\.json is a file of the model itself"):
        install(bundle, "other", {"model.json": b""})
    assert not (home() / "other").exists()


def test_a_store_that_can_not_be_written_has_its_sentence(bundle: Bundle) -> None:
    home().parent.mkdir(parents=True)
    home().write_text("a file")
    with pytest.raises(OutputError, match="can't be written"):
        install(bundle, "mine", {})


def test_marks_add_up_and_keep_their_first_day(tmp_path: Path) -> None:
    assert forgotten_photos(tmp_path) == (0, "")
    mark_forgotten(tmp_path, 2)
    first = forgotten_photos(tmp_path)
    mark_forgotten(tmp_path, 3)
    assert forgotten_photos(tmp_path) == (5, first[1])


@pytest.mark.parametrize("content", [b"", b"[]", b'{"photos": "many"}', b"\xff"])
def test_a_damaged_mark_is_still_a_mark(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FORGOTTEN).write_bytes(content)
    assert forgotten_photos(tmp_path)[0] == 1
