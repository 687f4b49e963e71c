"""Folders, tables and manifests as what a training is made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from veduta.datasets.manifest import Entry, Manifest, write_manifest
from veduta.datasets.split import hold_out_share, read_shares, split_manifest
from veduta.errors import UsageError
from veduta.training.dataset import read_dataset


def made(folder: Path, *entries: Entry) -> tuple[Entry, ...]:
    """The entries with files below ``folder``; nothing here decodes them."""
    found = tuple(replace(entry, path=str(folder / entry.path)) for entry in entries)
    for entry in found:
        Path(entry.path).parent.mkdir(parents=True, exist_ok=True)
        Path(entry.path).write_text(entry.path)
    return found


def of_classes(folder: Path, **counts: int) -> Manifest:
    entries = [Entry(f"{name}/{each}.jpg", (name,)) for name, most in counts.items() for each in range(most)]
    return Manifest("single_label", made(folder, *entries))


def written(folder: Path, manifest: Manifest) -> Path:
    write_manifest(folder / "set.csv", manifest)
    return folder / "set.csv"


def test_photos_for_validation_are_held_out_and_those_for_test_not_looked_at(tmp_path: Path) -> None:
    manifest = split_manifest(of_classes(tmp_path, sea=20, trees=10), read_shares("60/20/20"))
    manifest = manifest.dropping({0: "black: 3"})
    found = read_dataset(written(tmp_path, manifest))
    assert found.labels == ("sea", "trees")
    assert found.task == "single_label"
    used = [entry for entry in manifest.kept if entry.split != "test"]
    assert found.paths == tuple(entry.path for entry in used)
    assert found.held_out is not None
    assert found.held_out.tolist() == [entry.split == "validation" for entry in used]
    assert found.targets.tolist() == [found.labels.index(entry.labels[0]) for entry in used]


def test_without_a_split_nothing_says_what_is_held_out(tmp_path: Path) -> None:
    entries = (Entry("a.jpg", ("sea", "sky")), Entry("b.jpg", ()), Entry("c.jpg", ("sky", "sea")))
    found = read_dataset(written(tmp_path, Manifest("multi_label", made(tmp_path, *entries))))
    assert found.held_out is None
    assert found.groups is None
    assert found.targets.tolist() == [[1, 1], [0, 0], [1, 1]]


def test_groups_come_along_and_go_with_their_photos(tmp_path: Path) -> None:
    manifest = of_classes(tmp_path, sea=4, trees=4)
    manifest = manifest.changed(lambda place, entry: replace(entry, group=f"film {place // 2}" if place < 6 else ""))
    found = read_dataset(written(tmp_path, manifest))
    assert found.groups == ("film 0", "film 0", "film 1", "film 1", "film 2", "film 2", "", "")
    part = found.subset(np.arange(8) % 3 == 0)
    assert part.groups == ("film 0", "film 1", "")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda entry: replace(entry, labels=("sea",)), "photos of 'sea' alone"),
        (lambda entry: replace(entry, split="dev"), "the split 'dev'"),
        (lambda entry: replace(entry, split="validation" if entry.labels == ("sea",) else "train"), "no photo"),
        (lambda entry: replace(entry, split="test"), "no photo with a label to learn from"),
        (lambda entry: replace(entry, labels=(entry.labels[0] + "\x07",)), "no model can carry"),
        (lambda entry: replace(entry, group="one film" if entry.labels == ("sea",) else ""), "of the group 'one film'"),
        (lambda entry: replace(entry, split="test" if entry.path[-5] in "123456789" else "train"), "1 photo that is"),
        (lambda entry: replace(entry, labels=("SEA",) if entry.path[-5] in "024" else entry.labels), "case"),
    ],
    ids=[
        "one class",
        "unknown split",
        "a class for validation alone",
        "all for test",
        "a name that does not print",
        "a class of one group",
        "one photo of a class",
        "names that differ by case",
    ],
)
def test_a_manifest_that_can_not_be_trained_on_is_refused(
    tmp_path: Path, change: Callable[[Entry], Entry], said: str
) -> None:
    manifest = of_classes(tmp_path, sea=10, trees=10)
    changed = manifest.changed(lambda _place, entry: change(entry))
    with pytest.raises(UsageError, match=said):
        read_dataset(written(tmp_path, changed))


def test_copies_are_never_parted(tmp_path: Path) -> None:
    manifest = of_classes(tmp_path, sea=20, trees=20)
    for place in range(0, 20, 2):
        one, other = (Path(manifest.entries[each].path) for each in (place, place + 1))
        one.write_text(f"GIF89a, {place}")
        other.write_bytes(one.read_bytes())
    found = read_dataset(written(tmp_path, manifest))
    assert found.groups is not None
    assert all(found.groups[place] == found.groups[place + 1] != "" for place in range(0, 20, 2))
    assert set(found.groups[20:]) == {""}
    held = hold_out_share(found.targets, 0.3, 0, found.groups)
    assert (held[0:20:2] == held[1:20:2]).all()


def test_a_class_of_one_group_may_be_where_the_data_say_what_is_held_out(tmp_path: Path) -> None:
    manifest = split_manifest(of_classes(tmp_path, sea=20, trees=20), read_shares("60/20/20"))
    manifest = manifest.changed(
        lambda _place, entry: replace(entry, group="film" if (entry.split, *entry.labels) == ("train", "sea") else "")
    )
    assert read_dataset(written(tmp_path, manifest)).held_out is not None


def test_a_photo_in_two_classes_is_refused_by_its_name(tmp_path: Path) -> None:
    of_classes(tmp_path / "data", sea=3, trees=3)
    (tmp_path / "data" / "trees" / "again.jpg").symlink_to(tmp_path / "data" / "sea" / "1.jpg")
    with pytest.raises(UsageError, match=r"1\.jpg and .*again\.jpg are one photo, under 'sea' and 'trees'"):
        read_dataset(tmp_path / "data")


@pytest.mark.parametrize(
    ("header", "said"), [("path,split", "needs a column path and a column label"), ("file,sea", "0 or 1 for each")]
)
def test_a_table_without_labels_is_refused(tmp_path: Path, header: str, said: str) -> None:
    made(tmp_path, Entry("a.jpg", ()))
    (tmp_path / "set.csv").write_text(f"{header}\na.jpg,train\n")
    with pytest.raises(UsageError, match=said):
        read_dataset(tmp_path / "set.csv")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    made(tmp_path, *(Entry(f"{name}.jpg", ()) for name in "abcd"))
    (tmp_path / "tags.csv").write_text("file,sea,trees\na.jpg,1,0\nb.jpg,0,1\nc.jpg,1,0\nd.jpg,0,1\n")
    return tmp_path / "tags.csv"


def test_a_table_in_which_each_photo_has_one_label_can_be_for_one_label(table: Path) -> None:
    assert read_dataset(table).task == "multi_label"
    found = read_dataset(table, "single_label")
    assert found.task == "single_label"
    assert found.targets.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(("row", "has"), [("b.jpg,1,1", "sea and trees"), ("b.jpg,0,0", "none")])
def test_photos_of_many_labels_can_not_teach_one_label(table: Path, row: str, has: str) -> None:
    table.write_text(table.read_text().replace("b.jpg,0,1", row).replace("c.jpg,1,0", "c.jpg,1,1"))
    with pytest.raises(UsageError, match=rf"2 of 4 photos have several labels or none.*b\.jpg, which has {has}\."):
        read_dataset(table, "single_label")


def test_classes_can_be_labels_of_which_any_number_may_be_present(tmp_path: Path) -> None:
    of_classes(tmp_path / "data", sea=2, trees=2)
    found = read_dataset(tmp_path / "data", "multi_label")
    assert found.task == "multi_label"
    assert found.targets.tolist() == [[1, 0], [1, 0], [0, 1], [0, 1]]


def test_a_label_of_a_table_that_no_photo_has_is_refused(table: Path) -> None:
    lines = table.read_text().splitlines()
    table.write_text("\n".join([f"{lines[0]},rocks", *(f"{line},0" for line in lines[1:])]))
    with pytest.raises(UsageError, match="no photo of rocks to train on"):
        read_dataset(table)


def test_generated_pictures_are_learnt_from_and_never_held_out(tmp_path: Path) -> None:
    photos = of_classes(tmp_path, sea=20, trees=20)
    generated = made(
        tmp_path,
        *(
            Entry(f"made/{name}/{each}.png", (name,), synthetic="9cf1")
            for name in ("sea", "trees")
            for each in range(30)
        ),
    )
    both = replace(photos, entries=(*photos.entries, *generated))
    found = read_dataset(written(tmp_path, both))
    assert found.synthetic is not None
    assert found.synthetic.tolist() == [False] * 40 + [True] * 60
    assert found.subset(found.synthetic).synthetic is not None
    held = found.hold_out(0.25, 0)
    assert int(held.sum()) == 10
    assert not held[found.synthetic].any()
    # The same photos as without them: what is compared is judged alike.
    assert np.array_equal(held[:40], read_dataset(written(tmp_path, photos)).hold_out(0.25, 0))


def test_a_split_puts_generated_pictures_into_train_and_counts_photos_alone(tmp_path: Path) -> None:
    photos = of_classes(tmp_path, sea=10, trees=10)
    generated = made(tmp_path, *(Entry(f"made/{each}.png", ("sea",), synthetic="9cf1") for each in range(50)))
    parted = split_manifest(replace(photos, entries=(*photos.entries, *generated)), read_shares("60/20/20"))
    assert {entry.split for entry in parted.entries[20:]} == {"train"}
    assert parted.entries[:20] == split_manifest(photos, read_shares("60/20/20")).entries
