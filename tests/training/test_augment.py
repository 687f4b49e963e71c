from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from veduta.errors import TrainingError
from veduta.training.augment import (
    Augmentation,
    Mixture,
    _recolour,
    augment,
    draw_mixture,
    with_changes,
)

PIXELS = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)
EVERYTHING = Augmentation(
    sharpness=0.8, rotation=15, grey=0.5, erase=0.5, brightness=0.3, shift=0.1, zoom=0.2, shear=10
)
STILL = Augmentation(min_area=1.0, max_aspect=1.0, jitter=0.0, flip=False)
SQUARE = np.ascontiguousarray(PIXELS[:, :40])


@pytest.mark.parametrize("how", [Augmentation(), EVERYTHING], ids=["default", "everything"])
def test_the_same_seed_epoch_and_index_change_a_photo_in_the_same_way(how: Augmentation) -> None:
    once, again = (augment(PIXELS, 32, how, (1, 2, 3)) for _ in range(2))
    assert (once == again).all()
    assert once.shape == (32, 32, 3)
    assert once.dtype == np.uint8


@pytest.mark.parametrize("other", [(2, 2, 3), (1, 3, 3), (1, 2, 4)], ids=["seed", "epoch", "index"])
def test_another_seed_epoch_or_index_changes_it_in_another(other: tuple[int, int, int]) -> None:
    assert (augment(PIXELS, 32, Augmentation(), (1, 2, 3)) != augment(PIXELS, 32, Augmentation(), other)).any()


def test_with_nothing_allowed_a_photo_is_only_resized() -> None:
    assert (augment(SQUARE, 40, STILL, (0, 0, 0)) == SQUARE).all()


def test_a_photo_that_loses_its_colour_has_three_equal_channels() -> None:
    grey = augment(SQUARE, 40, replace(STILL, grey=1.0), (0, 0, 0)).astype(int)
    assert np.ptp(grey, axis=2).max() <= 1
    expected = np.asarray(Image.fromarray(SQUARE).convert("L"), int)
    assert np.abs(grey[..., 0] - expected).max() <= 1


def test_jitter_is_what_saturation_contrast_and_brightness_give_one_after_the_other() -> None:
    soft = (SQUARE // 2 + 64).astype(np.uint8)  # far from black and white, where each step clips
    image = Image.fromarray(soft)

    class Fixed:
        def uniform(self, _low: float, _high: float, _count: int) -> np.ndarray:
            return np.array([0.1, -0.15, 0.2])

    found = np.asarray(_recolour(image, Augmentation(jitter=0.2), Fixed()), int)  # type: ignore[arg-type]
    expected = ImageEnhance.Color(image).enhance(1.2)
    expected = ImageEnhance.Brightness(ImageEnhance.Contrast(expected).enhance(0.85)).enhance(1.1)
    assert np.abs(found - np.asarray(expected, int)).max() <= 3


def test_erasing_puts_noise_over_a_rectangle_and_leaves_the_rest() -> None:
    flat = np.full((40, 40, 3), 128, np.uint8)
    shares = []
    for index in range(30):
        erased = (augment(flat, 40, replace(STILL, erase=1.0), (0, 0, index)) != 128).any(axis=2)
        rows, columns = np.flatnonzero(erased.any(axis=1)), np.flatnonzero(erased.any(axis=0))
        inside = erased[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert inside.mean() > 0.95
        shares.append(inside.size / erased.size)
    assert min(shares) >= 0.01
    assert max(shares) <= 0.36


def test_turning_alone_is_what_it_was_before_there_was_more_to_move() -> None:
    for index in range(40):
        angle = np.random.default_rng((0, 0, index)).uniform(-75, 75)
        fill = tuple(int(level) for level in SQUARE[::8, ::8].mean((0, 1)))
        expected = Image.fromarray(SQUARE).rotate(angle, Image.Resampling.BILINEAR, fillcolor=fill)
        assert (augment(SQUARE, 40, replace(STILL, rotation=75), (0, 0, index)) == np.asarray(expected)).all()


def spot(x: int, y: int) -> np.ndarray:
    """Black with a white square of 9 pixels about a place."""
    pixels = np.zeros((101, 101, 3), np.uint8)
    pixels[y - 4 : y + 5, x - 4 : x + 5] = 255
    return pixels


def centre_of(pixels: np.ndarray) -> tuple[float, float]:
    """Where the spot is, x and y, past what it fills the outside with."""
    bright = np.where(pixels[..., 0] > 100, pixels[..., 0], 0).astype(float)
    places = np.arange(len(bright))
    return float((bright.sum(0) * places).sum() / bright.sum()), float((bright.sum(1) * places).sum() / bright.sum())


def moved(how: Augmentation, x: int, y: int) -> list[tuple[float, float]]:
    return [centre_of(augment(spot(x, y), 101, how, (0, 0, index))) for index in range(30)]


def test_a_shift_is_by_up_to_its_share_of_width_and_height_to_either_side() -> None:
    found = np.array(moved(replace(STILL, shift=0.2), 50, 50)) - 50
    assert np.abs(found).max() <= 20.5
    assert (found.max(axis=0) > 10).all()
    assert (found.min(axis=0) < -10).all()


def test_a_zoom_is_about_the_middle_and_by_up_to_its_factor() -> None:
    found = np.array(moved(replace(STILL, zoom=0.5), 70, 50)) - 50
    assert np.abs(found[:, 1]).max() < 0.5
    assert 20 / 1.55 < found[:, 0].min() < 15
    assert 26 < found[:, 0].max() < 20 * 1.55


def test_a_shear_moves_rows_and_leaves_their_height() -> None:
    found = np.array(moved(replace(STILL, shear=30), 50, 80)) - 50
    assert np.abs(found[:, 1] - 30).max() < 0.5
    assert np.abs(found[:, 0]).max() <= 30 * np.tan(np.radians(30)) + 0.5
    assert found[:, 0].max() > 8
    assert found[:, 0].min() < -8


def test_all_movements_together_are_one_map() -> None:
    """Sheared and turned about the middle, then zoomed, then shifted, with the draws in the order of their list."""
    how = replace(STILL, rotation=40, shift=0.1, zoom=0.2, shear=15)
    for index in range(10):
        random = np.random.default_rng((0, 0, index))
        turn = np.radians(random.uniform(-40, 40))
        shift = random.uniform(-0.1, 0.1, 2) * 101
        larger, slant = 1.2 ** random.uniform(-1, 1), np.tan(np.radians(random.uniform(-15, 15)))
        # Angles count against the clock, and y downwards.
        turned = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        expected = larger * turned @ np.array([[1, slant], [0, 1]]) @ np.array([20, 10]) + shift + 50
        found = centre_of(augment(spot(70, 60), 101, how, (0, 0, index)))
        assert found == pytest.approx(tuple(expected), abs=0.7)


def test_what_comes_from_outside_has_the_mean_colour() -> None:
    half = np.zeros((40, 40, 3), np.uint8)
    half[:20] = 200
    corners = [augment(half, 40, replace(STILL, rotation=45), (0, 0, index))[0, 0] for index in range(20)]
    assert any((corner == half[::8, ::8].mean()).all() for corner in corners)


def test_brightness_alone_makes_all_pixels_lighter_or_darker_by_one_factor() -> None:
    soft = (SQUARE // 2).astype(np.uint8)
    factors = []
    for index in range(30):
        found = augment(soft, 40, replace(STILL, brightness=0.4), (0, 0, index)).astype(float)
        factors.append(found.sum() / soft.sum())
        assert np.abs(found - soft * factors[-1]).max() <= 1.5
    assert 0.59 < min(factors) < 0.75
    assert 1.25 < max(factors) < 1.41


@pytest.mark.parametrize(
    "values",
    [
        {"shift": 1.5},
        {"zoom": -0.1},
        {"zoom": float("inf")},
        {"shear": 61.0},
        {"rotation": 181.0},
        {"brightness": -1.0},
        {"min_area": 0.0},
        {"grey": 1.5},
        {"erase": -0.1},
        {"jitter": float("nan")},
        {"mixup": -1.0},
        {"max_aspect": 0.5},
        {"filter": "nearest"},
    ],
    ids=str,
)
def test_an_augmentation_that_can_not_be_meant_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(TrainingError, match=next(iter(values))):
        Augmentation(**values)  # type: ignore[arg-type]


def test_changes_that_are_asked_for_by_name_come_over_the_usual_ones() -> None:
    usual = Augmentation(min_area=0.25, jitter=0.1)
    assert with_changes(usual, {}) == usual
    assert with_changes(usual, {"rotation": 10.0, "flip": False}) == replace(usual, rotation=10.0, flip=False)
    assert with_changes(usual, {"crop": 0.7}) == replace(usual, min_area=0.7)
    photo = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    whole = with_changes(usual, {"crop": 1, "jitter": 0, "flip": False})
    shrunk = np.array(Image.fromarray(photo).resize((16, 16), Image.Resampling.BICUBIC))
    assert np.array_equal(augment(photo, 16, whole, (0, 0, 0)), shrunk)
    with pytest.raises(TrainingError, match="rotation is 200"):
        with_changes(usual, {"rotation": 200})


def test_the_draw_of_a_mixture_follows_from_seed_epoch_and_step() -> None:
    how = Augmentation(mixup=0.4, cutmix=1.0)

    def drawn(seed: tuple[int, int, int]) -> Mixture:
        found = draw_mixture(how, 4, 16, seed)
        assert found is not None
        return found

    assert (drawn((0, 0, 0)).kept == drawn((0, 0, 0)).kept).all()
    assert (drawn((0, 0, 0)).kept != drawn((0, 0, 1)).kept).any()
    kinds = {drawn((0, 0, step)).boxes is None for step in range(20)}
    assert kinds == {True, False}, "both have their batches"


def test_a_share_of_the_batches_is_left_unmixed() -> None:
    how = Augmentation(mixup=0.4, mix_share=0.5)
    mixed = sum(draw_mixture(how, 4, 16, (0, 0, step)) is not None for step in range(400))
    assert 150 < mixed < 250
    assert draw_mixture(Augmentation(), 4, 16, (0, 0, 0)) is None
