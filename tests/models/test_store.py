"""Names find models in the store and beside the package; nothing else passes for one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from veduta.errors import BundleNotFound
from veduta.models import store
from veduta.models.bundle import Bundle
from veduta.models.store import available, find, find_name, home


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VEDUTA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(store, "BUNDLED", tmp_path / "bundled")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home" / "models"


Make = Callable[..., Bundle]


def test_the_store_is_in_the_user_s_data_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert home() == tmp_path / "home" / "models"
    monkeypatch.delenv("VEDUTA_HOME")
    assert home().parts[-2:] == ("veduta", "models")
    assert not (tmp_path / "home").exists()


def test_a_name_finds_the_store_before_the_bundled_model(make_bundle: Make) -> None:
    bundled = make_bundle("bundled/tiny")
    assert find("tiny") == bundled.path
    stored = make_bundle("home/models/tiny")
    assert find("tiny") == stored.path
    assert [(each.name, each.place) for each in available()] == [("tiny", "store")]


def test_a_path_finds_its_folder(make_bundle: Make, tmp_path: Path) -> None:
    elsewhere = make_bundle("elsewhere/tiny")
    assert find(elsewhere.path) == elsewhere.path
    assert find("./elsewhere/tiny").resolve() == elsewhere.path
    assert find(str(elsewhere.path)) == elsewhere.path


def test_a_folder_that_lies_here_does_not_pass_for_an_installed_model(make_bundle: Make) -> None:
    bundled, here = make_bundle("bundled/tiny"), make_bundle("tiny")
    make_bundle("mine")
    assert find("tiny") == bundled.path
    assert find("./tiny").resolve() == here.path
    assert find("mine") == Path("mine")


def test_a_name_alone_never_finds_a_path(make_bundle: Make) -> None:
    stored, bundled = make_bundle("home/models/tiny"), make_bundle("bundled/other")
    make_bundle("here")
    assert (find_name("tiny"), find_name("other")) == (stored.path, bundled.path)
    for name in ("here", "./here", "TINY", "tiny/", str(stored.path), "", "a\x00b", "x" * 5000):
        with pytest.raises(BundleNotFound, match="no model has this name"):
            find_name(name)


def test_an_unknown_name_is_answered_with_near_ones(make_bundle: Make) -> None:
    make_bundle("home/models/places100")
    make_bundle("bundled/landmarks")
    with pytest.raises(BundleNotFound, match=r"did you mean places100\?"):
        find("place100")
    with pytest.raises(BundleNotFound, match="there are landmarks, places100"):
        find("zebra")


def test_with_nothing_installed_the_sentence_says_so() -> None:
    assert available() == []
    with pytest.raises(BundleNotFound, match="there are none"):
        find("places100")


@pytest.mark.parametrize("name", ["", "..", "../secret", ".hidden", "a\x00b", "x" * 5000, "a\nb"])
def test_odd_names_are_not_found_and_do_no_harm(name: str, own_store: Path) -> None:
    own_store.mkdir(parents=True)
    with pytest.raises(BundleNotFound) as caught:
        find(name)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_model_is_told_apart_from_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BundleNotFound, match="without a model"):
        find("empty")


def test_half_written_and_foreign_folders_are_not_listed(make_bundle: Make, own_store: Path) -> None:
    make_bundle("home/models/good")
    (own_store / ".good-abc123").mkdir()
    (own_store / ".good-abc123" / "model.json").write_text("{}")
    (own_store / "notes").mkdir()
    (own_store / "readme.txt").write_text("")
    assert [each.name for each in available()] == ["good"]
