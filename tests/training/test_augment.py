from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra train is not installed")

from veduta.datasets.folders import LabelledPhotos
from veduta.training.augment import Augmentation, AugmentedPhotos, augment

PIXELS = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)


def test_the_same_seed_epoch_and_index_change_a_photo_in_the_same_way() -> None:
    once, again = (augment(PIXELS, 32, Augmentation(), (1, 2, 3)) for _ in range(2))
    assert (once == again).all()
    assert once.shape == (32, 32, 3)


@pytest.mark.parametrize("other", [(2, 2, 3), (1, 3, 3), (1, 2, 4)], ids=["seed", "epoch", "index"])
def test_another_seed_epoch_or_index_changes_it_in_another(other: tuple[int, int, int]) -> None:
    assert (augment(PIXELS, 32, Augmentation(), (1, 2, 3)) != augment(PIXELS, 32, Augmentation(), other)).any()


def test_with_nothing_allowed_a_photo_is_only_resized() -> None:
    still = Augmentation(min_area=1.0, max_aspect=1.0, jitter=0.0, flip=False)
    square = PIXELS[:, :40]
    assert (augment(square, 40, still, (0, 0, 0)) == square).all()


def test_an_epoch_gives_each_photo_with_its_target() -> None:
    photos = LabelledPhotos(np.stack([PIXELS, PIXELS]), np.array([3, 5]), ("a", "b"))
    epoch = AugmentedPhotos(photos, 16, Augmentation(), seed=0, epoch=0)
    assert len(epoch) == 2
    pixels, target = epoch[1]
    assert tuple(pixels.shape) == (16, 16, 3)
    assert target == 5
