"""Learnt weights on file: what was written is read, by the models that they are of; a changed file is refused."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from veduta.errors import BundleCorrupt, BundleIncompatible, OutputError
from veduta.models.ensemble_weights import (
    MAX_BYTES,
    EnsembleWeights,
    Member,
    drop_weights,
    find_weights,
    keep_weights,
    read_weights,
    weights_file,
)

SCENES = EnsembleWeights(
    "coarse", (Member("places100", "aaa", 0.75), Member("mine", "bbb", 0.25)), "album, validation", 1234, 1.5, 1.25
)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VEDUTA_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_the_file_lies_beside_the_store_and_need_not_be_there(own_home: Path) -> None:
    assert weights_file() == own_home / "ensembles.json"
    assert read_weights() == ()
    assert find_weights(["aaa", "bbb"], "coarse") is None
    assert not drop_weights(["aaa", "bbb"], "coarse")
    assert not own_home.exists()


def test_weights_are_found_by_the_models_in_any_order_and_by_the_basis() -> None:
    assert keep_weights(SCENES) == weights_file()
    for ids, weights in ((["aaa", "bbb"], (0.75, 0.25)), (["bbb", "aaa"], (0.25, 0.75))):
        found = find_weights(ids, "coarse")
        assert found == SCENES
        assert found.weights_of(ids) == weights
        assert found.learnt_on == "album, validation, 1,234 photos"
    for ids in (["aaa"], ["aaa", "ccc"], ["aaa", "bbb", "ccc"], ["aaa", "bbb", "bbb"]):
        assert find_weights(ids, "coarse") is None
    assert find_weights(["aaa", "bbb"], "labels") is None


def test_new_weights_take_the_place_of_those_of_the_same_models_and_others_stay() -> None:
    others = replace(SCENES, basis="labels")
    newer = replace(SCENES, members=SCENES.members[::-1], data="another album")
    for each in (SCENES, others, newer):
        keep_weights(each)
    assert read_weights() == (others, newer)
    assert drop_weights(["aaa", "bbb"], "labels")
    assert read_weights() == (newer,)


def test_two_at_once_lose_nothing() -> None:
    sets = [replace(SCENES, members=(Member("a", f"{n}", 0.5), Member("b", "b", 0.5))) for n in range(12)]
    threads = [threading.Thread(target=keep_weights, args=(each,)) for each in sets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(read_weights()) == set(sets)


_TEXT = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=40)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    st.sampled_from(("labels", "coarse")),
    st.lists(st.tuples(_TEXT, _TEXT, st.floats(0.0, 1.0)), min_size=2, max_size=8, unique_by=lambda each: each[1]),
    _TEXT,
)
def test_whatever_was_kept_is_read_again(basis: Any, told: list[tuple[str, str, float]], data: str) -> None:
    whole = sum(weight for _, _, weight in told)
    parts = [weight / whole if whole else 1.0 / len(told) for _, _, weight in told]
    members = tuple(Member(name, id, part) for (name, id, _), part in zip(told, parts, strict=True))
    learnt = EnsembleWeights(basis, members, data, 50, 0.1, 0.05)
    keep_weights(learnt)
    assert find_weights([member.bundle_id for member in members], basis) == learnt


VALUES = {
    "basis": "coarse",
    "models": [{"name": "a", "bundle_id": "1", "weight": 0.5}, {"name": "b", "bundle_id": "2", "weight": 0.5}],
    "data": "album",
    "photos": 50,
    "loss_equal": 1.0,
    "loss_weighted": 0.9,
}


def write(*entries: dict[str, Any], version: int = 1) -> None:
    weights_file().parent.mkdir(parents=True, exist_ok=True)
    weights_file().write_text(json.dumps({"format_version": version, "ensembles": entries}))


def test_the_values_of_these_tests_are_read() -> None:
    write(VALUES, {**VALUES, "basis": "labels"})
    assert [each.basis for each in read_weights()] == ["coarse", "labels"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"basis": "colours"}, r"ensembles\[0\].basis' must be one of labels, coarse"),
        ({"wieght": 1}, "is not a key of this format"),
        ({"data": None}, r"data' is missing"),
        ({"data": "two\nlines"}, "printable"),
        ({"photos": 0}, "whole number"),
        ({"loss_equal": -1}, "finite number"),
        ({"models": []}, "two models or more"),
        ({"models": VALUES["models"][:1]}, "two models or more"),  # type: ignore[index]
        ({"models": [VALUES["models"][0]] * 2}, "two models or more, each once"),  # type: ignore[index]
        ({"models": [{**each, "weight": 0.4} for each in VALUES["models"]]}, "sum to one"),  # type: ignore[attr-defined]
        ({"models": [{**each, "weight": -0.5} for each in VALUES["models"]]}, "from 0 to 1"),  # type: ignore[attr-defined]
        ({"models": [{**each, "more": 1} for each in VALUES["models"]]}, "is not a key"),  # type: ignore[attr-defined]
        ({"models": [{**each, "weight": "half"} for each in VALUES["models"]]}, "number"),  # type: ignore[attr-defined]
    ],
)
def test_an_entry_that_says_something_else_is_refused_with_its_place(change: dict[str, Any], told: str) -> None:
    write({key: value for key, value in {**VALUES, **change}.items() if value is not None})
    with pytest.raises(BundleCorrupt, match=told) as caught:
        read_weights()
    assert str(caught.value).startswith(str(weights_file()))
    assert str(caught.value).endswith("correct the file or remove it; without it each model weighs the same.")


def test_two_entries_of_the_same_models_are_refused() -> None:
    write(VALUES, {**VALUES, "models": VALUES["models"][::-1]})  # type: ignore[index]
    with pytest.raises(BundleCorrupt, match="there twice"):
        read_weights()


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"[]", b'{"format_version": NaN}', b"\xff", b" " * (MAX_BYTES + 1)]
)
def test_a_file_of_another_kind_is_refused_and_stays(content: bytes) -> None:
    weights_file().parent.mkdir(parents=True)
    weights_file().write_bytes(content)
    for act in (read_weights, lambda: keep_weights(SCENES)):
        with pytest.raises(BundleCorrupt, match="remove it"):
            act()
    assert weights_file().read_bytes() == content


def test_a_newer_format_is_left_alone() -> None:
    write(VALUES, version=2)
    with pytest.raises(BundleIncompatible, match="version 2"):
        keep_weights(SCENES)


def test_what_could_not_be_read_again_is_not_written() -> None:
    keep_weights(SCENES)
    with pytest.raises(BundleCorrupt, match="sum to one"):
        keep_weights(replace(SCENES, members=(Member("a", "1", 1.0), Member("b", "2", 1.0))))
    assert read_weights() == (SCENES,)


def test_what_is_no_plain_file_is_refused() -> None:
    weights_file().parent.mkdir(parents=True)
    os.mkfifo(weights_file())
    with pytest.raises(BundleCorrupt, match="no plain file"):
        read_weights()


def test_a_folder_that_can_not_be_made_is_an_output_error(own_home: Path) -> None:
    own_home.write_text("a file where the folder must be")
    with pytest.raises(OutputError, match=r"ensembles\.json"):
        keep_weights(SCENES)
