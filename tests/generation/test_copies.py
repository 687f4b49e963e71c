"""How near pictures are to photos: copies are found however they are changed, and mere likeness is none."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from veduta.generation.copies import CopyLimit, Originals

from .tiny import FEATURES


def _scenes(count: int, seed: int) -> NDArray[np.uint8]:
    """A bright sky above dark land, alike in all, with a few soft things at other places in each."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:64, 0:64]
    scenes = []
    for _ in range(count):
        scene = np.where(rows < 30, 200.0, 70.0)
        for _ in range(6):
            top, left, size = *random.integers(0, 64, 2), random.integers(4, 14)
            blob = np.exp(-((rows - top) ** 2 + (columns - left) ** 2) / (2 * size**2))
            scene += random.uniform(-90, 90) * blob
        scenes.append(np.clip(scene[..., np.newaxis] * (0.9, 1.0, 1.1), 0, 255))
    return np.stack(scenes).astype(np.uint8)


@pytest.fixture
def photos() -> NDArray[np.uint8]:
    return _scenes(120, 1)


@pytest.fixture
def originals(photos: NDArray[np.uint8]) -> Originals:
    return Originals(photos, FEATURES(photos))


def _blurred(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(1.5)))


def test_a_photo_is_its_own_nearest_and_mirrored_too(photos: NDArray[np.uint8], originals: Originals) -> None:
    some = photos[[7, 119, 0]]
    found = originals.nearest(some, FEATURES(some))
    assert found.place.tolist() == [7, 119, 0]
    assert found.distance == pytest.approx([0, 0, 0], abs=1e-5)
    # As a network's is, the embedding of a mirrored picture is taken to be that of the picture.
    assert originals.nearest(some[:, :, ::-1], FEATURES(some)).distance == pytest.approx([0, 0, 0], abs=1e-5)


def test_blurred_copies_are_below_the_limit_and_other_photos_are_not(
    photos: NDArray[np.uint8], originals: Originals
) -> None:
    unseen, copies, others = _scenes(200, 2), np.stack([_blurred(photo) for photo in photos]), _scenes(300, 3)
    limit = originals.limit(unseen, FEATURES(unseen))
    found = originals.nearest(copies, FEATURES(copies))
    assert (found.distance < limit.distance).all()
    assert found.place.tolist() == list(range(120))
    assert (originals.nearest(others, FEATURES(others)).distance < limit.distance).mean() < 0.04


@pytest.mark.parametrize(("held_out", "rank"), [(20, 1), (100, 1), (101, 2), (400, 4)])
def test_the_limit_is_the_photo_nearer_than_which_one_in_a_hundred_is(
    originals: Originals, held_out: int, rank: int
) -> None:
    unseen = _scenes(held_out, 2)
    limit = originals.limit(unseen, FEATURES(unseen))
    distances = originals.nearest(unseen, FEATURES(unseen)).distance
    assert (limit.rank, limit.held_out) == (rank, held_out)
    assert (distances < limit.distance).sum() == rank - 1


@pytest.mark.parametrize(("held_out", "rank"), [(20, 1), (270, 3), (400, 4)])
def test_so_many_by_chance_are_as_likely_as_is_told(held_out: int, rank: int) -> None:
    # Whatever the distances are, how many of 256 lie below the k-th of n others depends on n and k alone.
    random, limit = np.random.default_rng(5), CopyLimit(0.1, rank, held_out)
    below = np.array([
        (random.random(256) < np.sort(random.random(held_out))[rank - 1]).sum() for _ in range(4000)
    ])  # fmt: skip
    assert below.mean() == pytest.approx(256 * limit.by_chance, rel=0.1)
    for nearer in (0, 1, 5, 12):
        assert (below >= nearer).mean() == pytest.approx(limit.chance_of(nearer, 256), abs=0.03)


def test_where_the_embedding_is_always_the_same_place_and_shape_decide(photos: NDArray[np.uint8]) -> None:
    blind = np.ones((len(photos), 4), np.float32)
    originals = Originals(photos, blind)
    copies = np.stack([_blurred(photo) for photo in photos[:20]])
    assert originals.nearest(copies, blind[:20]).place.tolist() == list(range(20))


def test_pictures_of_one_colour_have_no_details_and_are_no_error(originals: Originals) -> None:
    flat = np.full((3, 64, 64, 3), 128, np.uint8)
    assert np.isfinite(originals.nearest(flat, FEATURES(flat)).distance).all()
