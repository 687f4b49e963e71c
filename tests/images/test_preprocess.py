"""The one resize and crop: its box lies in the photo and its output has the shape asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from veduta.errors import UsageError
from veduta.images.preprocess import FILTERS, Preprocessing, prepare

SIDES = st.integers(1, 300)


@settings(deadline=None, max_examples=60)
@given(
    width=SIDES, height=SIDES, side=st.integers(1, 64), shrink=st.integers(1, 8), kind=st.sampled_from(sorted(FILTERS))
)
def test_a_crop_has_its_shape_and_shows_the_middle(width: int, height: int, side: int, shrink: int, kind: str) -> None:
    full = width * shrink, height * shrink
    pixels, box = prepare(Image.new("RGB", (width, height)), Preprocessing("crop", ((side, side),), kind, side), full)
    assert pixels.shape == (side, side, 3)
    assert pixels.dtype == np.uint8
    left, top, right, bottom = box
    assert -1e-6 <= left < right <= full[0] + 1e-6
    assert -1e-6 <= top < bottom <= full[1] + 1e-6
    assert left + right == pytest.approx(full[0])
    assert top + bottom == pytest.approx(full[1])
    assert right - left == pytest.approx(bottom - top)


@settings(deadline=None, max_examples=60)
@given(width=SIDES, height=SIDES, shrink=st.integers(1, 8))
def test_a_stretch_shows_the_whole_photo_at_the_nearest_aspect(width: int, height: int, shrink: int) -> None:
    full = width * shrink, height * shrink
    wanted = Preprocessing("stretch", ((32, 32), (24, 40), (40, 24)), "bilinear")
    pixels, box = prepare(Image.new("RGB", (width, height)), wanted, full)
    assert pixels.shape[:2] in wanted.sizes
    assert box == pytest.approx((0, 0, *full))
    distances = [abs(np.log(w / h) - np.log(width / height)) for h, w in wanted.sizes]
    assert wanted.sizes.index(pixels.shape[:2]) == int(np.argmin(distances))


@pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1)], ids=["thread", "hair"])
@pytest.mark.parametrize("fit", ["crop", "stretch"])
def test_the_thinnest_photos_are_prepared(size: tuple[int, int], fit: str) -> None:
    wanted = Preprocessing(fit, ((16, 16),), "bicubic", 16 if fit == "crop" else 0)  # type: ignore[arg-type]
    pixels, _ = prepare(Image.new("RGB", size, (10, 20, 30)), wanted, size)
    assert pixels.shape == (16, 16, 3)
    assert (pixels == (10, 20, 30)).all()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("squash", ((8, 8),), "bicubic", 8), "squash"),
        (("crop", ((8, 8),), "nearest", 8), "nearest"),
        (("crop", (), "bicubic", 8), "sizes"),
        (("crop", ((8, 8),), "bicubic", 7), "short side"),
        (("stretch", ((8, 0),), "bicubic", 0), "sizes"),
    ],
)
def test_what_can_not_be_meant_is_refused(arguments: tuple[object, ...], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        Preprocessing(*arguments)  # type: ignore[arg-type]


@given(side=st.integers(32, 1024), own=st.integers(32, 512), extra=st.integers(0, 64))
def test_another_size_keeps_the_proportions_of_the_crop(side: int, own: int, extra: int) -> None:
    resized = Preprocessing("crop", ((own, own),), "bilinear", own + extra).resized(side)
    assert resized.sizes == ((side, side),)
    assert resized.short_side / side == pytest.approx((own + extra) / own, abs=1 / side)
    assert resized.filter == "bilinear"


@pytest.mark.parametrize("side", [0, 31, 1025, -128])
def test_a_size_that_no_network_takes_is_refused_with_what_is_possible(side: int) -> None:
    with pytest.raises(UsageError, match="from 32 to 1024"):
        Preprocessing("crop", ((128, 128),), "bilinear", 128).resized(side)
