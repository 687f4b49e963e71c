"""A manifest as what a training is made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the extra train is not installed")

from veduta.datasets.manifest import Entry, Manifest, write_manifest
from veduta.datasets.split import read_shares, split_manifest
from veduta.errors import UsageError
from veduta.training.dataset import read_dataset


def of_classes(**counts: int) -> Manifest:
    entries = [Entry(f"/photos/{name}/{each}.jpg", (name,)) for name, most in counts.items() for each in range(most)]
    return split_manifest(Manifest("single_label", tuple(entries)), read_shares("60/20/20"))


def test_photos_for_validation_are_held_out_and_those_for_test_not_looked_at(tmp_path: Path) -> None:
    manifest = of_classes(sea=20, trees=10).dropping({0: "black: 3"})
    write_manifest(tmp_path / "set.csv", manifest)
    found = read_dataset(tmp_path / "set.csv")
    assert found.labels == ("sea", "trees")
    assert found.task == "single_label"
    used = [entry for entry in manifest.kept if entry.split != "test"]
    assert found.paths == tuple(entry.path for entry in used)
    assert found.held_out is not None
    assert found.held_out.tolist() == [entry.split == "validation" for entry in used]
    assert found.targets.tolist() == [found.labels.index(entry.labels[0]) for entry in used]


def test_without_a_split_nothing_says_what_is_held_out(tmp_path: Path) -> None:
    entries = (Entry("/a.jpg", ("sea", "sky")), Entry("/b.jpg", ()), Entry("/c.jpg", ("sky",)))
    write_manifest(tmp_path / "set.csv", Manifest("multi_label", entries))
    found = read_dataset(tmp_path / "set.csv")
    assert found.held_out is None
    assert found.targets.tolist() == [[1, 1], [0, 0], [0, 1]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda entry: replace(entry, labels=("sea",)), "photos of 1 classes"),
        (lambda entry: replace(entry, split="dev"), "the split 'dev'"),
        (
            lambda entry: replace(entry, split="validation" if entry.labels == ("sea",) else "train"),
            "sea for validation",
        ),
        (lambda entry: replace(entry, split="test"), "photos of 0 classes"),
        (lambda entry: replace(entry, labels=(entry.labels[0] + "\x07",)), "no model can carry"),
    ],
    ids=["one class", "unknown split", "a class for validation alone", "all for test", "a name that does not print"],
)
def test_a_manifest_that_can_not_be_trained_on_is_refused(
    tmp_path: Path, change: Callable[[Entry], Entry], said: str
) -> None:
    manifest = of_classes(sea=10, trees=10)
    write_manifest(tmp_path / "set.csv", manifest.changed(lambda _place, entry: change(entry)))
    with pytest.raises(UsageError, match=said):
        read_dataset(tmp_path / "set.csv")
