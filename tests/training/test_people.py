"""People pasted into photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from veduta.errors import UsageError
from veduta.training.augment import Augmentation, augment
from veduta.training.people import People, paste_all, split_people


def cutout(width: int = 30, height: int = 80) -> Image.Image:
    image = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    image.paste((255, 0, 0, 255), (2, 2, width - 2, height - 2))
    return image


MADE = People((cutout(), cutout(40, 40)))


@given(seed=st.integers(0, 2**32 - 1), low=st.floats(0.05, 0.4))
def test_a_person_covers_no_more_than_asked_and_stays_inside(seed: int, low: float) -> None:
    photo = Image.new("RGB", (120, 90), (0, 0, 255))
    pasted = np.asarray(MADE.paste(photo, np.random.default_rng(seed), (low, low)))
    assert pasted.shape == (90, 120, 3)
    share = (pasted[:, :, 0] > 127).mean()
    # Who is taller than the photo is cut off.
    assert 0.3 * low <= share <= 1.15 * low


def test_one_seed_is_one_picture() -> None:
    photos = [np.zeros((50, 50, 3), np.uint8)] * 3
    first, again = paste_all(photos, MADE, 3, (0.2, 0.4)), paste_all(photos, MADE, 3, (0.2, 0.4))
    np.testing.assert_array_equal(first, again)
    assert any(not np.array_equal(first[0], each) for each in first[1:])


def test_only_cut_out_pictures_are_read(tmp_path: Path) -> None:
    cutout().save(tmp_path / "a.png")
    Image.new("RGBA", (20, 20), (9, 9, 9, 255)).save(tmp_path / "opaque.png")
    Image.new("RGBA", (20, 20), (9, 9, 9, 0)).save(tmp_path / "empty.png")
    Image.new("RGB", (20, 20)).save(tmp_path / "photo.jpg")
    (tmp_path / "text.png").write_text("no picture")
    people = People.read(tmp_path)
    assert len(people.cutouts) == 1
    assert people.cutouts[0].size == (26, 76)
    with pytest.raises(UsageError, match="no cut-out people"):
        People.read(tmp_path / "none")


def test_whom_a_training_saw_no_judging_sees() -> None:
    people = People(tuple(cutout(10 + number) for number in range(10)))
    train, judge = split_people(people, 0.3)
    assert (len(train.cutouts), len(judge.cutouts)) == (7, 3)
    assert not {each.size for each in train.cutouts} & {each.size for each in judge.cutouts}


def test_augmentation_pastes_as_often_as_it_says_and_leaves_other_draws_alone() -> None:
    photo = np.full((64, 64, 3), 10, np.uint8)
    plain = Augmentation(min_area=1.0, max_aspect=1.0, jitter=0.0, flip=False)
    with_people = Augmentation(min_area=1.0, max_aspect=1.0, jitter=0.0, flip=False, people=0.5)
    assert np.array_equal(augment(photo, 64, plain, (0, 0, 1), MADE), augment(photo, 64, plain, (0, 0, 1)))
    pasted = [bool((augment(photo, 64, with_people, (0, 0, index), MADE) > 100).any()) for index in range(60)]
    assert 18 <= sum(pasted) <= 42


def test_a_degraded_photo_keeps_its_side_and_loses_detail() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    how = Augmentation(min_area=1.0, max_aspect=1.0, jitter=0.0, flip=False, degrade=1.0)
    found = [augment(photo, 96, how, (0, 0, index)) for index in range(10)]
    assert all(each.shape == (96, 96, 3) for each in found)
    detail = [np.abs(np.diff(each.astype(int), axis=1)).mean() for each in found]
    assert np.mean(detail) < 0.8 * np.abs(np.diff(photo.astype(int), axis=1)).mean()
