from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veduta.datasets.manifest import Entry, Manifest, write_manifest
from veduta.errors import UsageError
from veduta.generation.photos import read_photos
from veduta.records import Failure

from .tiny import write_photos


def test_photos_are_read_as_squares_with_every_tenth_held_out(photos: Path) -> None:
    found = read_photos(photos, 32)
    assert found.pixels.shape == (48, 32, 32, 3)
    assert found.labels == ("sea", "wood")
    assert np.bincount(found.targets[found.held_out]).tolist() == [2, 2]
    assert len(found.training) == 44


def test_the_middle_of_a_wide_photo_is_seen_not_squeezed(tmp_path: Path) -> None:
    wide = np.zeros((32, 96, 3), np.uint8)
    wide[:, 32:64] = 255
    (tmp_path / "a").mkdir()
    for name in ("1.png", "2.png"):
        Image.fromarray(wide).save(tmp_path / "a" / name)
    assert read_photos(tmp_path, 32).pixels.min() > 200


def test_a_limit_draws_by_the_seed_and_holds_out_others(photos: Path) -> None:
    found, again, other = (read_photos(photos, 32, per_class=5, seed=seed) for seed in (1, 1, 2))
    assert np.bincount(found.targets[found.training]).tolist() == [5, 5]
    assert int(found.held_out.sum()) == 2 * 19
    assert np.bincount(found.targets[found.in_turn(found.training, 7)]).tolist() == [4, 3]
    assert found.paths == again.paths
    assert {found.paths[place] for place in found.training} != {other.paths[place] for place in other.training}
    assert len(set(found.paths)) == len(found.paths)


def test_classes_are_chosen_by_name_in_any_spelling(tmp_path: Path) -> None:
    write_photos(tmp_path, {"sea": 2, "desert/sand": 2, "wood": 2})
    found = read_photos(tmp_path, 32, classes=["Desert Sand", "sea"])
    assert found.labels == ("desert-sand", "sea")
    with pytest.raises(UsageError, match=r"no class 'woods'; did you mean 'wood'\?"):
        read_photos(tmp_path, 32, classes=["woods"])


def test_grey_photos_have_one_channel_and_look_grey_in_three(photos: Path) -> None:
    found, colour = read_photos(photos, 32, grayscale=True), read_photos(photos, 32)
    assert found.pixels.shape == (48, 32, 32, 1)
    ours = np.asarray(Image.fromarray(colour.pixels[0]).convert("L"), int)
    assert np.abs(found.pixels[0, ..., 0].astype(int) - ours).max() <= 1
    assert found.rgb(np.array([0, 3])).shape == (2, 32, 32, 3)


def test_a_manifest_says_what_is_held_out_and_what_is_never_read(photos: Path, tmp_path: Path) -> None:
    splits = ["train"] * 6 + ["validation"] * 2 + ["test"] * 2
    entries = [Entry(str(photos / "sea" / f"{place:02}.png"), ("sea",), split) for place, split in enumerate(splits)]
    write_manifest(tmp_path / "set.csv", Manifest("single_label", tuple(entries)))
    found = read_photos(tmp_path / "set.csv", 32)
    assert (len(found), int(found.held_out.sum())) == (8, 2)


def test_one_photo_is_refused_unless_it_is_meant(tmp_path: Path) -> None:
    write_photos(tmp_path, {"sea": 1})
    with pytest.raises(UsageError, match=r"has one photo.*--preset one-photo"):
        read_photos(tmp_path, 32)
    assert len(read_photos(tmp_path, 32, per_class=1)) == 1


def test_a_class_without_photos_is_named(tmp_path: Path) -> None:
    write_photos(tmp_path, {"sea": 3})
    (tmp_path / "wood").mkdir()
    with pytest.raises(UsageError, match="no photo of wood"):
        read_photos(tmp_path, 32)
    (tmp_path / "wood" / "a.png").write_bytes(b"no picture")
    told: list[Failure] = []
    with pytest.raises(UsageError, match="no photo of wood is left to train on, for 1 of 4 photos can't be decoded"):
        read_photos(tmp_path, 32, on_failures=told.extend)
    assert len(told) == 1


def test_photos_with_several_labels_are_refused(tmp_path: Path, photos: Path) -> None:
    entry = Entry(str(photos / "sea" / "00.png"), ("sea", "sky"))
    write_manifest(tmp_path / "set.csv", Manifest("multi_label", (entry,)))
    with pytest.raises(UsageError, match="several labels"):
        read_photos(tmp_path / "set.csv", 32)


def test_copies_and_photos_of_one_group_stay_together(tmp_path: Path) -> None:
    write_photos(tmp_path, {"sea": 20})
    for number in range(20):  # each photo twice
        (tmp_path / "sea" / f"copy-{number:02}.png").write_bytes((tmp_path / "sea" / f"{number:02}.png").read_bytes())
    found = read_photos(tmp_path, 32)
    held = {Path(found.paths[place]).name[-6:] for place in np.flatnonzero(found.held_out)}
    assert held
    assert not held & {Path(found.paths[place]).name[-6:] for place in found.training}


def test_an_unknown_split_and_a_name_that_no_model_can_carry_are_refused(tmp_path: Path, photos: Path) -> None:
    entry = Entry(str(photos / "sea" / "00.png"), ("sea",), "val")
    write_manifest(tmp_path / "set.csv", Manifest("single_label", (entry,)))
    with pytest.raises(UsageError, match="the split 'val' is unknown"):
        read_photos(tmp_path / "set.csv", 32)
    write_photos(tmp_path / "odd", {"se\na": 3})
    with pytest.raises(UsageError, match="no model can carry the class name"):
        read_photos(tmp_path / "odd", 32)


def test_where_a_manifest_says_what_is_for_training_nothing_else_is_held_out(tmp_path: Path, photos: Path) -> None:
    entries = [Entry(str(photos / "sea" / f"{place:02}.png"), ("sea",), "train") for place in range(24)]
    write_manifest(tmp_path / "set.csv", Manifest("single_label", tuple(entries)))
    assert len(read_photos(tmp_path / "set.csv", 32).training) == 24


def test_a_photo_that_is_learnt_in_one_class_is_not_held_out_in_another(tmp_path: Path) -> None:
    write_photos(tmp_path, {"sea": 30, "wood": 30})
    for number in range(30):  # each of the sea is in the wood, too
        content = (tmp_path / "sea" / f"{number:02}.png").read_bytes()
        (tmp_path / "wood" / f"sea-{number:02}.png").write_bytes(content)
    found = read_photos(tmp_path, 32)
    names = [Path(path).read_bytes() for path in found.paths]
    learnt = {names[place] for place in found.training}
    assert found.held_out.any()
    assert not any(names[place] in learnt for place in np.flatnonzero(found.held_out))


def test_splits_of_one_class_say_it_for_all(tmp_path: Path, photos: Path) -> None:
    entries = [
        Entry(str(photos / name / f"{place:02}.png"), (name,), "validation" if name == "sea" and place < 3 else "")
        for name in ("sea", "wood")
        for place in range(24)
    ]
    write_manifest(tmp_path / "set.csv", Manifest("single_label", tuple(entries)))
    found = read_photos(tmp_path / "set.csv", 32)
    assert int(found.held_out.sum()) == 3
