from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from veduta.datasets.manifest import Entry, Manifest
from veduta.datasets.select import balance, read_class_names, select
from veduta.errors import UsageError


def of_classes(**counts: int) -> Manifest:
    return Manifest(
        "single_label",
        tuple(Entry(f"{name}/{index}", (name,)) for name, most in counts.items() for index in range(most)),
    )


def test_unwanted_and_starved_classes_go_with_their_reason() -> None:
    photos = of_classes(sea=5, trees=4, logo=9, rare=1)
    found = select(photos, drop=["logo"], min_per_class=2)
    assert found.counts() == {"logo": 0, "rare": 0, "sea": 5, "trees": 4}
    reasons = {entry.labels[0]: entry.dropped for entry in found.entries if entry.dropped}
    assert reasons == {
        "logo": "class: logo is among those to drop",
        "rare": "class: rare is starved, 1 of at least 2 photos",
    }
    assert select(photos, keep=["sea"]).counts()["trees"] == 0


def test_photos_beyond_the_most_go_and_the_seed_says_which() -> None:
    photos = of_classes(sea=50, trees=4)
    found = select(photos, max_per_class=10, seed=1)
    assert found.counts() == {"sea": 10, "trees": 4}
    assert found == select(photos, max_per_class=10, seed=1)
    assert found != select(photos, max_per_class=10, seed=2)
    assert {entry.dropped for entry in found.entries} == {"", "many: sea keeps 10 photos"}


def test_of_many_labels_the_unwanted_go_and_the_photo_stays() -> None:
    photos = Manifest("multi_label", (Entry("a", ("sea", "sky")), Entry("b", ("sky",)), Entry("c", ("sea",))))
    found = select(photos, drop=["sky"])
    assert [entry.labels for entry in found.kept] == [("sea",), ("sea",)]
    assert found.entries[1].dropped


def test_a_class_that_there_is_not_is_named_with_its_nearest() -> None:
    with pytest.raises(UsageError, match=r"'sae'.*did you mean 'sea'"):
        select(of_classes(sea=3), drop=["sae"])
    with pytest.raises(UsageError, match="no photo is left"):
        select(of_classes(sea=3), drop=["sea"])


def test_balanced_classes_are_no_larger_than_the_ratio() -> None:
    photos = of_classes(sea=50, trees=10, desert=14)
    assert balance(photos).counts() == {"desert": 10, "sea": 10, "trees": 10}
    assert balance(photos, ratio=1.5).counts() == {"desert": 14, "sea": 15, "trees": 10}
    with pytest.raises(UsageError, match=r"ratio 0\.5"):
        balance(photos, ratio=0.5)
    assert balance(select(photos, drop=["trees"])).counts() == {"desert": 14, "sea": 14, "trees": 0}
    with pytest.raises(UsageError, match="'empty' has no photo to balance to"):
        balance(replace(photos, empty=("empty",)))
    with pytest.raises(UsageError, match="many labels"):
        balance(Manifest("multi_label", photos.entries))


def test_a_list_of_classes_may_have_comments(tmp_path: Path) -> None:
    (tmp_path / "drop.txt").write_text("\ufeff# logos\nlogo\n\n cat \n")
    assert read_class_names(tmp_path / "drop.txt") == ["logo", "cat"]
    (tmp_path / "drop.txt").write_text("# none\n")
    with pytest.raises(UsageError, match="names no class"):
        read_class_names(tmp_path / "drop.txt")
    with pytest.raises(UsageError, match="can't be read"):
        read_class_names(tmp_path / "gone.txt")
