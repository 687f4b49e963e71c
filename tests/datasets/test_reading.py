from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veduta.datasets.reading import read_photo, read_pixels, read_readable
from veduta.errors import CorruptPhoto, PhotoNotFound
from veduta.images.preprocess import Preprocessing

SMALL = Preprocessing(fit="crop", sizes=((8, 8),), short_side=8)


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    """Two photos, one that was cut off, one more, and one that is gone."""
    for index in (0, 1, 3):
        Image.new("RGB", (16, 16), (60 * index, 0, 0)).save(tmp_path / f"{index}.png")
    (tmp_path / "2.png").write_bytes((tmp_path / "1.png").read_bytes()[:40])
    return [str(tmp_path / f"{index}.png") for index in range(5)]


def test_what_can_be_decoded_is_kept_in_order_and_the_rest_is_told(paths: list[str]) -> None:
    told: list[tuple[int, int]] = []
    found = read_readable(paths, SMALL, on_photo=lambda done, total: told.append((done, total)))
    assert found.kept.tolist() == [True, True, False, True, False]
    assert found.pixels is not None
    assert found.pixels[:, 0, 0, 0].tolist() == [0, 60, 180]
    assert [(each.path, each.error) for each in found.failures] == [
        (paths[2], "CorruptPhoto"),
        (paths[4], "PhotoNotFound"),
    ]
    assert "2.png" in found.failures[0].message
    assert told == [(index + 1, 5) for index in range(5)]


def test_photos_can_be_tried_without_being_kept(paths: list[str]) -> None:
    found = read_readable(paths, SMALL, keep_pixels=False)
    assert found.pixels is None
    assert found.kept.tolist() == [True, True, False, True, False]


def test_all_or_the_first_that_can_not_be_decoded(paths: list[str]) -> None:
    whole = read_pixels([paths[0], paths[3]], SMALL)
    assert (whole[1] == read_photo(paths[3], SMALL)).all()
    assert whole.dtype == np.uint8
    with pytest.raises(CorruptPhoto, match=r"2\.png"):
        read_pixels(paths, SMALL)
    with pytest.raises(PhotoNotFound, match=r"4\.png"):
        read_photo(paths[4], SMALL)
