from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veduta.datasets.manifest import Entry, Manifest, read_data
from veduta.datasets.reading import read_photo
from veduta.errors import UsageError
from veduta.images.preprocess import Preprocessing
from veduta.reports.dataset import changes_sheet
from veduta.training.augment import Augmentation, augment
from veduta.training.preview import STILL, changes_of, preview

EVERYTHING = Augmentation(
    rotation=15, shift=0.1, zoom=0.2, shear=10, brightness=0.3, sharpness=0.5, grey=0.2, erase=0.3
)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """Ten photos of each of three classes; one in five for test, one for validation."""
    entries = []
    for place in range(30):
        pixels = np.random.default_rng(place).integers(0, 256, (60, 80, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{place}.png")
        split = {0: "test", 1: "validation"}.get(place % 5, "train")
        entries.append(Entry(str(tmp_path / f"{place}.png"), (("sea", "trees", "sky")[place % 3],), split))
    return Manifest("single_label", tuple(entries))


def test_only_photos_for_training_are_shown_of_as_many_classes_as_can_be(manifest: Manifest) -> None:
    for seed in range(8):
        found = preview(manifest, Augmentation(), photos=3, size=32, seed=seed)
        assert {label for (label, _), _ in found.rows} == {"sea", "trees", "sky"}
        shown = {name for (_, name), _ in found.rows}
        assert shown <= {Path(entry.path).name for entry in manifest.entries if entry.split == "train"}
    assert len(preview(manifest, Augmentation(), photos=24, size=32).rows) == 18


def test_what_is_shown_is_what_a_training_would_make(manifest: Manifest) -> None:
    found = preview(manifest, EVERYTHING, photos=2, size=48, seed=5)
    training = [entry for entry in manifest.entries if entry.split == "train"]
    changes = changes_of(EVERYTHING)
    assert len(changes) == 11
    for (_, name), pictures in found.rows:
        place = [Path(entry.path).name for entry in training].index(name)
        pixels = read_photo(training[place].path, Preprocessing.squeezed(48))
        expected = [
            pixels,
            *(augment(pixels, 48, change, (5, 0, place)) for _, change in changes),
            *(augment(pixels, 48, EVERYTHING, (5, epoch, place)) for epoch in range(3)),
        ]
        assert len(pictures) == len(found.headings) == len(expected)
        assert all((picture == one).all() for picture, one in zip(pictures, expected, strict=True))


def test_each_change_is_shown_alone_and_one_that_is_not_allowed_not_at_all() -> None:
    for name, change in changes_of(EVERYTHING):
        differing = [field for field in Augmentation.__slots__ if getattr(change, field) != getattr(STILL, field)]
        assert len(set(differing) - {"max_aspect"}) == 1, name
    assert changes_of(STILL) == []
    assert [name for name, _ in changes_of(replace(STILL, rotation=7.5))] == ["rotation ±7.5°"]


def test_photos_that_can_not_be_decoded_are_passed_over(manifest: Manifest) -> None:
    for entry in manifest.entries[::2]:
        Path(entry.path).write_text("no photo")
    assert len(preview(manifest, Augmentation(), photos=4, size=32).rows) == 4
    for entry in manifest.entries:
        Path(entry.path).write_text("no photo")
    with pytest.raises(UsageError, match="no photo for training can be decoded; the first"):
        preview(manifest, Augmentation(), size=32)


def test_a_set_without_photos_for_training_is_refused(manifest: Manifest) -> None:
    tested = manifest.changed(lambda _place, entry: replace(entry, split="test"))
    with pytest.raises(UsageError, match="no photo of the set is for training"):
        preview(tested, Augmentation())


def test_the_sheet_holds_the_pictures_as_they_are_whatever_the_names(manifest: Manifest) -> None:
    named = manifest.changed(lambda _place, entry: replace(entry, labels=("\x1b[31m\n漢字" * 40,)))
    found = preview(named, Augmentation(rotation=20), photos=2, size=64)
    with Image.open(io.BytesIO(changes_sheet(found.headings, found.rows))) as sheet:
        assert sheet.format == "PNG"
        pixels = np.asarray(sheet.convert("RGB"))
    for picture in found.rows[0][1]:
        places = np.argwhere((pixels[:-63, :-63] == picture[0, 0]).all(axis=2))
        assert any((pixels[top : top + 64, left : left + 64] == picture).all() for top, left in places)


def test_real_photos_can_be_shown(shared_data: Path) -> None:
    found = preview(read_data(shared_data / "sun27"), Augmentation(rotation=15), photos=2)
    assert all(np.asarray(picture).shape == (128, 128, 3) for _, pictures in found.rows for picture in pictures)


def test_neither_a_preview_nor_what_inspect_asks_a_training_needs_torch() -> None:
    code = "import sys, veduta.training.preview, veduta.training.dataset; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
