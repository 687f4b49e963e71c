from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veduta.datasets.manifest import Entry, Manifest
from veduta.datasets.split import folds_of, hold_out_share, read_shares, split_manifest
from veduta.errors import UsageError

SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}


def of_classes(**counts: int) -> Manifest:
    return Manifest(
        "single_label",
        tuple(Entry(f"{name}/{index}", (name,)) for name, most in counts.items() for index in range(most)),
    )


def parts(manifest: Manifest, label: str) -> Counter[str]:
    return Counter(entry.split for entry in manifest.kept if label in entry.labels)


@pytest.mark.parametrize("shares", ["80/20", "60/20/20", "80/10/10"])
def test_each_class_has_its_share_in_each_part(shares: str) -> None:
    wanted = read_shares(shares)
    found = split_manifest(of_classes(sea=100, trees=50, desert=10), wanted)
    for label, count in found.counts().items():
        for split, share in wanted.items():
            assert parts(found, label)[split] == pytest.approx(share * count, abs=1)


def test_a_class_with_as_many_photos_as_parts_is_in_all_of_them() -> None:
    found = split_manifest(of_classes(sea=100, rare=3), SHARES)
    assert parts(found, "rare") == {"train": 1, "validation": 1, "test": 1}


@given(
    st.lists(st.tuples(st.sampled_from(["sea", "trees"]), st.integers(0, 12)), min_size=30, max_size=80),
    st.integers(0, 9),
)
def test_no_group_lies_across_two_parts(photos: list[tuple[str, int]], seed: int) -> None:
    entries = tuple(Entry(str(place), (label,), group=f"g{group}") for place, (label, group) in enumerate(photos))
    if len({entry.group for entry in entries}) < 9:
        return
    found = split_manifest(Manifest("single_label", entries), SHARES, seed)
    splits: dict[str, set[str]] = {}
    for entry in found.entries:
        splits.setdefault(entry.group, set()).add(entry.split)
    assert all(len(each) == 1 for each in splits.values())


def test_the_same_seed_gives_the_same_split_and_another_another() -> None:
    photos = of_classes(sea=60, trees=40)
    assert split_manifest(photos, SHARES, 1) == split_manifest(photos, SHARES, 1)
    assert split_manifest(photos, SHARES, 1) != split_manifest(photos, SHARES, 2)


def test_many_labels_keep_their_shares_the_rarest_too() -> None:
    entries = tuple(Entry(str(place), ("common",) + (("rare",) if place % 20 == 0 else ())) for place in range(200))
    found = split_manifest(Manifest("multi_label", entries), SHARES)
    assert parts(found, "rare") == {"train": 6, "validation": 2, "test": 2}
    assert parts(found, "common")["train"] == pytest.approx(120, abs=2)


def test_a_split_that_is_given_stays_and_its_group_follows() -> None:
    entries = [
        replace(entry, group="film" if entry.path in ("sea/0", "sea/1") else "") for entry in of_classes(sea=30).entries
    ]
    entries[0], entries[9] = replace(entries[0], split="test"), replace(entries[9], split="test")
    found = split_manifest(Manifest("single_label", tuple(entries)), SHARES)
    assert [entry.split for entry in found.entries[:2]] == ["test", "test"]
    assert parts(found, "sea") == {"train": 18, "validation": 6, "test": 6}
    anew = {
        split_manifest(Manifest("single_label", tuple(entries)), SHARES, seed, anew=True).entries[9].split
        for seed in range(9)
    }
    assert len(anew) > 1


def test_what_was_dropped_has_no_part() -> None:
    found = split_manifest(of_classes(sea=30).dropping({3: "black: 2"}), SHARES)
    assert found.entries[3].split == ""


@pytest.mark.parametrize("text", ["80", "80/10", "100/0", "a/b", "50/30/10/10", "80/20/0", ""])
def test_shares_that_can_not_be_meant_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="add up to 100"):
        read_shares(text)


def test_parts_that_would_stay_empty_or_contradict_are_refused() -> None:
    with pytest.raises(UsageError, match="no photo is left for"):
        split_manifest(of_classes(sea=2), SHARES)
    entries = tuple(replace(entry, split="valid") for entry in of_classes(sea=20).entries)
    with pytest.raises(UsageError, match="'valid', expected one of train, validation, test"):
        split_manifest(Manifest("single_label", entries), SHARES)
    across = (Entry("a", ("sea",), "train", "film"), Entry("b", ("sea",), "test", "film"))
    with pytest.raises(UsageError, match="lies in test and train"):
        split_manifest(Manifest("single_label", across), SHARES)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 20)), min_size=60, max_size=120),
    st.sampled_from([0.15, 0.3]),
    st.integers(0, 9),
)
def test_a_held_out_share_never_parts_a_group(photos: list[tuple[int, int]], share: float, seed: int) -> None:
    targets = np.array([target for target, _group in photos])
    groups = [f"g{group}" if group else "" for _target, group in photos]
    for target in range(3):
        # A class of one group alone can't be on both sides.
        if len({group for each, group in zip(targets, groups, strict=True) if each == target}) < 3:
            return
    held = hold_out_share(targets, share, seed, groups)
    parts = folds_of(targets, 3, seed, groups)
    for group in set(groups) - {""}:
        members = [place for place, each in enumerate(groups) if each == group]
        assert len({bool(held[place]) for place in members}) == 1
        assert len({int(parts[place]) for place in members}) == 1
    assert 0 < held.mean() < 0.6
    for target in range(3):
        assert not held[targets == target].all()


def test_without_groups_the_photos_that_are_held_out_are_those_of_before() -> None:
    targets = np.repeat(np.arange(4), 25)
    assert (hold_out_share(targets, 0.2, 3, [""] * 100) == hold_out_share(targets, 0.2, 3)).all()
    assert (folds_of(targets, 5, 3, [""] * 100) == folds_of(targets, 5, 3)).all()


def test_a_label_whose_photos_stay_together_can_not_be_judged() -> None:
    targets = np.array([0] * 12 + [1] * 12)
    groups = [f"film {place // 3}" for place in range(12)] + ["one film"] * 12
    with pytest.raises(UsageError, match="12 photos of one label can't be parted"):
        folds_of(targets, 3, 0, groups)
    parts = folds_of(targets, 3, 0, groups, learnt_besides=True)
    assert len(set(parts[12:])) == 1


@pytest.mark.parametrize(("classes", "photos", "folds"), [(27, 4, 5), (3, 2, 5), (40, 3, 10), (2, 7, 5)])
def test_parts_are_of_one_size_also_where_a_class_has_fewer_photos_than_there_are_parts(
    classes: int, photos: int, folds: int
) -> None:
    parts = folds_of(np.arange(classes * photos) % classes, folds, seed=0)
    sizes = np.bincount(parts, minlength=folds)
    assert sizes.max() - sizes.min() <= 1
