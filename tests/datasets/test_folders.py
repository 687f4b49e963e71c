from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veduta.datasets.folders import class_folders, list_class_folders, read_class_folders
from veduta.datasets.split import hold_out
from veduta.errors import UsageError
from veduta.evaluation.answers import list_labelled
from veduta.images.preprocess import Preprocessing

SMALL = Preprocessing(fit="crop", sizes=((8, 8),), short_side=8)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder, colour in (("red", (255, 0, 0)), ("blue", (0, 0, 255))):
        (tmp_path / folder).mkdir()
        for index in range(3):
            Image.new("RGB", (16, 16), colour).save(tmp_path / folder / f"{index}.png")
        (tmp_path / folder / "notes.txt").write_text("no photo")
    return tmp_path


def test_photos_come_in_the_order_of_the_folders_asked_for(root: Path) -> None:
    photos = read_class_folders(root, ["red", "blue"], SMALL)
    assert photos.targets.tolist() == [0, 0, 0, 1, 1, 1]
    assert photos.names[0] == "red/0.png"
    assert photos.pixels[0, 0, 0].tolist() == [255, 0, 0]
    assert [sample.label for sample in list_class_folders(root, ["blue"])] == ["blue"] * 3


def test_a_missing_or_empty_class_folder_is_named(root: Path) -> None:
    (root / "empty").mkdir()
    for name in ("empty", "green"):
        with pytest.raises(UsageError, match=name):
            list_class_folders(root, ["red", name])


def test_an_evaluation_and_a_training_see_the_same_photos(root: Path) -> None:
    (root / "red" / "._0.png").write_bytes(b"what macOS leaves beside a photo")
    (root / "red" / "deeper").mkdir()
    Image.new("RGB", (16, 16)).save(root / "red" / "deeper" / "3.png")
    (root / ".hidden").mkdir()
    listed = list_class_folders(root, class_folders(root))
    assert listed == list_labelled(root)
    found = [Path(sample.path).relative_to(root).as_posix() for sample in listed if sample.label == "red"]
    assert found == ["red/0.png", "red/1.png", "red/2.png", "red/deeper/3.png"]
    assert class_folders(root) == ["blue", "red"]


def test_a_folder_that_can_not_be_listed_is_told(root: Path) -> None:
    with pytest.raises(UsageError, match=r"0\.png can't be listed"):
        class_folders(root / "red" / "0.png")


def test_a_subset_keeps_photos_targets_and_names_together(root: Path) -> None:
    photos = read_class_folders(root, ["red", "blue"], SMALL)
    chosen = photos.subset(np.array([False, True, False, False, False, True]))
    assert chosen.names == ("red/1.png", "blue/2.png")
    assert chosen.targets.tolist() == [0, 1]
    assert len(chosen) == 2


def test_holding_out_takes_as_many_of_each_class_and_repeats() -> None:
    targets = np.repeat(np.arange(4), 20)
    held = hold_out(targets, 5, seed=3)
    assert np.bincount(targets[held]).tolist() == [5, 5, 5, 5]
    assert (held == hold_out(targets, 5, seed=3)).all()
    assert (held != hold_out(targets, 5, seed=4)).any()


def test_the_draw_of_a_class_does_not_depend_on_the_other_classes() -> None:
    few, many = np.repeat(np.arange(2), 20), np.repeat(np.arange(5), 20)
    assert (hold_out(few, 5, 1) == hold_out(many, 5, 1)[:40]).all()
