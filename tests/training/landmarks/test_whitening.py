"""Principal components, and the directions in which a place looks like itself."""

from __future__ import annotations

import numpy as np
import pytest

from veduta.errors import TrainingError
from veduta.training.landmarks.whitening import learned_whitening, principal_components


def test_components_are_those_of_the_covariance_and_always_the_same() -> None:
    random = np.random.default_rng(0)
    values = (random.normal(size=(200, 6)) * [5, 3, 2, 1, 0.5, 0.1]).astype(np.float32)
    mean, components = principal_components(values, 3, whitening=0.0)
    np.testing.assert_allclose(mean, values.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(components @ components.T, np.eye(3), atol=1e-4)
    spread = ((values - mean) @ components.T).std(axis=0)
    assert (np.diff(spread) < 0).all()
    np.testing.assert_array_equal(components, principal_components(values, 3, whitening=0.0)[1])


def test_whitening_makes_all_as_loud() -> None:
    values = (np.random.default_rng(0).normal(size=(200, 6)) * [5, 3, 2, 1, 0.5, 0.1]).astype(np.float32)
    mean, components = principal_components(values, 6, whitening=1.0)
    spread = ((values - mean) @ components.T).std(axis=0)
    np.testing.assert_allclose(spread, spread[0], rtol=1e-3)


def test_fewer_photos_than_numbers_are_refused() -> None:
    with pytest.raises(TrainingError, match="shorter"):
        principal_components(np.zeros((5, 8), np.float32), 6)


def test_what_changes_between_views_counts_for_little_and_what_parts_landmarks_for_much() -> None:
    random = np.random.default_rng(0)
    targets = np.repeat([0, 1, 2], 60)
    middles = np.array([[4, 0, 0, 0], [-4, 0, 0, 0], [0, 0, 4, 0]], np.float32)
    # Two landmarks apart along the first number; the second changes with the view, the fourth within a landmark.
    values = middles[targets] + random.normal(0, [0.1, 3, 0.1, 3], (180, 4)).astype(np.float32)
    views = [values + random.normal(0, [0.01, 3, 0.01, 0.01], values.shape).astype(np.float32) for _ in range(2)]
    origin, projection = learned_whitening(values, targets, views, 2)
    np.testing.assert_allclose(origin, values[targets == 2].mean(axis=0))
    found = (values - origin) @ projection.T
    own = np.linalg.norm(found[targets == 0] - found[targets == 0].mean(axis=0), axis=1).mean()
    apart = np.linalg.norm(found[targets == 0].mean(axis=0) - found[targets == 1].mean(axis=0))
    before = np.linalg.norm(values[targets == 0] - values[targets == 0].mean(axis=0), axis=1).mean() / 8
    assert own / apart < 0.5 * before


def test_the_origin_is_no_landmark_whatever_the_landmarks_are() -> None:
    random = np.random.default_rng(1)
    values = random.normal(size=(90, 5)).astype(np.float32)
    targets = np.repeat([0, 1, 2], 30)
    first, _ = learned_whitening(values, targets, [values], 3)
    values[targets < 2] += 5
    again, _ = learned_whitening(values, targets, [values], 3)
    np.testing.assert_array_equal(first, again)
