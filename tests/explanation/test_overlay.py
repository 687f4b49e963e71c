from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from veduta.errors import UsageError
from veduta.explanation.overlay import heat_layer, layer_bytes, overlay, resized


def ramp() -> np.ndarray:
    return np.linspace(0, 1, 25, dtype=np.float32).reshape(5, 5)


def test_the_photo_shows_through_untouched_where_the_map_is_low() -> None:
    photo = Image.effect_noise((60, 40), 80).convert("RGB")
    shown = overlay(photo, np.zeros((4, 6), np.float32))
    assert np.array_equal(np.asarray(shown), np.asarray(photo))
    assert shown.size == photo.size


def test_the_hottest_place_has_the_opacity_that_was_asked_for() -> None:
    layer = np.asarray(heat_layer(np.ones((2, 2), np.float32), (10, 10), opacity=0.4))
    assert set(layer[..., 3].ravel()) == {102}


def test_colours_grow_lighter_with_the_map() -> None:
    layer = np.asarray(heat_layer(np.linspace(0, 1, 256, dtype=np.float32)[None], (256, 1), 1.0))[0].astype(float)
    lightness = layer[:, :3] @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(lightness) >= -1.0).all()
    assert lightness[-1] - lightness[0] > 180


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 12), st.integers(1, 12))
def test_a_resized_map_stays_in_range(width: int, height: int, columns: int, rows: int) -> None:
    values = np.random.default_rng(rows * columns).random((rows, columns), dtype=np.float32)
    fine = resized(values, (width, height))
    assert fine.shape == (height, width)
    assert fine.min() >= 0.0
    assert fine.max() <= 1.0


def test_a_layer_for_a_report_is_small_and_has_the_aspect_of_the_photo() -> None:
    encoded = layer_bytes(ramp(), (320, 213))
    layer = Image.open(io.BytesIO(encoded))
    assert layer.format == "WEBP"
    assert layer.mode == "RGBA"
    assert layer.size == (96, 64)
    assert len(encoded) < 4096


def test_an_opacity_out_of_range_is_refused() -> None:
    with pytest.raises(UsageError, match=r"opacity 1\.5"):
        heat_layer(ramp(), (10, 10), 1.5)
