from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra train is not installed")

from veduta.images.preprocess import Preprocessing
from veduta.training.fingerprints import fingerprints
from veduta.training.photo_sets import PhotoFiles, PhotoSet

WANTED = Preprocessing("crop", ((8, 8),), "bilinear", 8)


def _files(root: Path, sizes: dict[str, int]) -> PhotoSet:
    for name, size in sizes.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"0" * size)
    return PhotoSet(PhotoFiles(tuple(str(root / name) for name in sizes), WANTED), np.zeros(len(sizes), np.int64))


def test_files_count_by_their_paths_below_their_folder_and_by_their_sizes(tmp_path: Path) -> None:
    whole = _files(tmp_path / "a", {"x/1.jpg": 10, "y/1.jpg": 20})
    shutil.copytree(tmp_path / "a", tmp_path / "moved")
    moved = _files(tmp_path / "moved", {"x/1.jpg": 10, "y/1.jpg": 20})
    assert fingerprints(whole, whole) == fingerprints(moved, moved)
    for name, other in (("size", {"x/1.jpg": 10, "y/1.jpg": 21}), ("path", {"x/1.jpg": 10, "y/2.jpg": 20})):
        changed = _files(tmp_path / name, other)
        assert fingerprints(changed, changed)["photos"] != fingerprints(whole, whole)["photos"]
        assert fingerprints(changed, changed)["labels"] == fingerprints(whole, whole)["labels"]


def test_a_name_that_is_no_text_and_a_file_that_is_gone_have_a_fingerprint(tmp_path: Path) -> None:
    odd = _files(tmp_path, {"caf\udce9/1.jpg": 3, "tea/1.jpg": 4})
    before = fingerprints(odd, odd)
    (tmp_path / "tea" / "1.jpg").unlink()
    assert fingerprints(odd, odd)["photos"] != before["photos"]


def test_photos_in_memory_count_by_their_pixels_and_only_the_chosen_ones() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (6, 4, 4, 3)).astype(np.uint8)
    photos = PhotoSet(pixels, np.arange(6))
    other = pixels.copy()
    other[5, 0, 0, 0] ^= 1
    first = np.arange(5)
    changed = PhotoSet(other, np.arange(6))
    assert fingerprints(photos, photos) != fingerprints(changed, changed)
    assert fingerprints(photos.subset(first), photos.subset(first)) == fingerprints(
        changed.subset(first), changed.subset(first)
    )


def test_a_photo_that_changes_sides_is_seen() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (6, 4, 4, 3)).astype(np.uint8)
    photos = PhotoSet(pixels, np.zeros(6, np.int64))
    one = fingerprints(photos.subset(np.array([0, 1, 2])), photos.subset(np.array([3, 4, 5])))
    other = fingerprints(photos.subset(np.array([0, 1, 3])), photos.subset(np.array([2, 4, 5])))
    assert one["photos"] != other["photos"]
