"""Wrong photos among those of a landmark."""

from __future__ import annotations

import numpy as np

from veduta.recognition.landmarks.references import unit
from veduta.training.landmarks.outliers import outliers


def made(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Three landmarks of 40 photos, 10 wrong ones in the first; photos of nothing; which are wrong."""
    random = np.random.default_rng(seed)
    middles = unit(random.normal(size=(3, 16)))
    good = unit(np.repeat(middles, 40, axis=0) + 0.15 * random.normal(size=(120, 16)))
    wrong = unit(random.normal(size=(10, 16)))
    targets = np.concatenate([np.repeat(np.arange(3), 40), np.zeros(10, np.int64)])
    return np.concatenate([good, wrong]), targets, unit(random.normal(size=(60, 16))), np.arange(130) >= 120


def test_photos_of_something_else_are_found_and_good_ones_stay() -> None:
    embeddings, targets, others, wrong = made()
    found = outliers(embeddings, targets, others, 10 / 130)
    assert found[wrong].mean() >= 0.9
    assert found[~wrong].mean() <= 0.02


def test_of_no_landmark_more_than_half_goes() -> None:
    embeddings, targets, others, _ = made()
    found = outliers(embeddings, targets, others, 0.9)
    for landmark in range(3):
        assert found[targets == landmark].mean() <= 0.5


def test_none_is_dropped_where_nobody_asked() -> None:
    embeddings, targets, others, _ = made()
    assert not outliers(embeddings, targets, others, 0.0).any()
