from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veduta.models import by_classes as room
from veduta.models.bundle import Bundle
from veduta.models.by_classes import find_by_classes, plain, same_classes
from veduta.models.store import BUNDLED


@pytest.mark.parametrize(
    ("asked", "known"),
    [
        (["cat", "dog"], ["dog", "cat"]),
        (["Cats", "DOGS"], ["cat", "dog"]),
        (["subway station", "beach"], ["beaches", "subway_station"]),
        (["art-gallery", "café"], ["Art Gallery", "cafe"]),
        (["libraries", "church"], ["library", "churches"]),
        (["theatre", "harbour"], ["theater", "harbor"]),
        (["elephnt", "giraffe"], ["elephant", "girafe"]),
    ],
)
def test_classes_are_the_same_however_they_are_written(asked: list[str], known: list[str]) -> None:
    found = same_classes(asked, known)
    assert found is not None
    assert sorted(found.values()) == sorted(known)


@pytest.mark.parametrize(
    ("asked", "known"),
    [
        (["cat", "dog"], ["cat", "dog", "horse"]),
        (["cat", "dog", "horse"], ["cat", "dog"]),
        (["cat", "dog"], ["car", "dog"]),
        (["horse", "dog"], ["house", "dog"]),
        (["kitchen", "garden"], ["kitchen", "warden"]),
        (["cat", "cats"], ["cat", "dog"]),
        (["canyon", "x"], ["canton", "x"]),
    ],
)
def test_other_classes_are_not_taken_for_them(asked: list[str], known: list[str]) -> None:
    assert same_classes(asked, known) is None


def test_a_near_name_never_takes_the_place_of_an_equal_one() -> None:
    assert same_classes(["theater", "theatre hall"], ["theatre hall", "theatre"]) == {
        "theatre hall": "theatre hall",
        "theater": "theatre",
    }


@given(st.lists(st.text(), min_size=1, max_size=6, unique_by=plain))
def test_classes_are_the_same_as_themselves(classes: list[str]) -> None:
    assert same_classes(classes, classes[::-1]) == {each: each for each in classes}


def test_a_model_is_found_in_the_store_by_its_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEDUTA_HOME", str(tmp_path))
    labels = [label.name for label in Bundle.load(BUNDLED / "places100").heads[0].labels]
    found = find_by_classes([f"{name}s".upper() for name in reversed(labels)])
    assert found is not None
    assert found.name == "places100"
    assert find_by_classes(["cat", "dog"]) is None
    shutil.copytree(BUNDLED / "places100", tmp_path / "models" / "broken")
    (tmp_path / "models" / "broken" / "model.json").write_text("{")
    again = find_by_classes(labels)
    assert again is not None
    assert again.path == BUNDLED / "places100"
    assert room.available()[0].name == "broken"
