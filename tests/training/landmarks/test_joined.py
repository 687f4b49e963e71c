"""Principal components of what both branches say."""

from __future__ import annotations

import numpy as np
import pytest

from veduta.errors import TrainingError
from veduta.training.landmarks.joined import principal_components


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
