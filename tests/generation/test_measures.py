from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veduta.generation.measures import (
    diversity,
    diversity_within,
    frechet_distance,
    kernel_distance,
    precision_and_recall,
    unit,
)


def _normal(count: int, size: int = 16, seed: int = 0, shift: float = 0.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(count, size)) + shift).astype(np.float32)


@given(st.integers(2, 30), st.integers(0, 100))
def test_diversity_is_the_mean_over_all_pairs(count: int, seed: int) -> None:
    rows = _normal(count, 8, seed)
    cosine = unit(rows).astype(np.float64) @ unit(rows).astype(np.float64).T
    pairs = 1 - cosine[~np.eye(count, dtype=bool)]
    assert diversity(rows) == pytest.approx(float(pairs.mean()), abs=1e-5)


def test_one_picture_again_and_again_has_no_diversity() -> None:
    assert diversity(np.repeat(_normal(1), 50, axis=0)) == pytest.approx(0, abs=1e-6)
    assert diversity(_normal(1)) == 0


def test_one_picture_for_each_class_has_none_within_them() -> None:
    rows, targets = np.repeat(_normal(5), 20, axis=0), np.repeat(np.arange(5), 20)
    assert diversity(rows) > 0.5
    assert diversity_within(rows, targets) == pytest.approx(0, abs=1e-6)
    assert diversity_within(_normal(3), np.arange(3)) == 0  # nothing to compare


def test_alike_sets_have_no_kernel_distance_and_others_have() -> None:
    alike, _ = kernel_distance(_normal(300), _normal(400, seed=1))
    other, deviation = kernel_distance(_normal(300), _normal(400, seed=1, shift=1.0))
    assert abs(alike) < 0.1
    assert other > 10 * abs(alike)
    assert deviation > 0
    assert kernel_distance(_normal(300), _normal(400, seed=1, shift=1.0))[0] == other  # by its seed


def test_the_frechet_distance_of_shifted_normals_is_the_shift_squared() -> None:
    real = _normal(4000, 4)
    assert frechet_distance(real, real) == pytest.approx(0, abs=1e-3)
    assert frechet_distance(real, real + np.float32(0.5)) == pytest.approx(4 * 0.25, rel=0.01)


def test_precision_falls_where_pictures_lie_elsewhere_and_recall_where_photos_are_missed() -> None:
    real, alike = _normal(400, 4), _normal(400, 4, 1)
    assert min(precision_and_recall(real, alike)) > 0.7
    one_place = real[:1] + _normal(400, 4, 2) * 0.01
    precision, recall = precision_and_recall(real, one_place)
    assert precision > 0.9
    assert recall < 0.05
