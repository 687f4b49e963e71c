"""Search among reference vectors is exact."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veduta.errors import UsageError
from veduta.recognition.landmarks.references import unit
from veduta.recognition.landmarks.search import ReferenceVectors


@given(
    counts=st.lists(st.integers(1, 4), min_size=1, max_size=12),
    asked=st.integers(1, 15),
    queries=st.integers(1, 5),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_nearest_landmarks_are_those_that_comparing_all_gives(
    counts: list[int], asked: int, queries: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    values = unit(random.normal(size=(sum(counts), 8)))
    embeddings = unit(random.normal(size=(queries, 8)))
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
    vectors = ReferenceVectors(values, starts)
    owner = np.repeat(np.arange(len(counts)), counts)
    by_hand = np.stack([(embeddings @ values.T)[:, owner == place].max(axis=1) for place in range(len(counts))], axis=1)
    np.testing.assert_allclose(vectors.similarities(embeddings), by_hand, atol=1e-6)
    places, cosines = vectors.nearest(embeddings, asked)
    kept = min(asked, len(counts))
    assert places.shape == cosines.shape == (queries, kept)
    np.testing.assert_allclose(cosines, -np.sort(-by_hand, axis=1)[:, :kept], atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(by_hand, places, 1), cosines, atol=1e-6)


def test_an_index_without_landmarks_finds_none() -> None:
    empty = ReferenceVectors(np.empty((0, 4), np.float32), np.empty(0, np.int64))
    places, cosines = empty.nearest(unit(np.ones((2, 4))), 3)
    assert places.shape == cosines.shape == (2, 0)
    assert empty.similarities(unit(np.ones((2, 4)))).shape == (2, 0)


@pytest.mark.parametrize("starts", [[1], [0, 0], [0, 3], [0, 2, 1]])
def test_vectors_of_one_landmark_must_lie_together(starts: list[int]) -> None:
    with pytest.raises(UsageError):
        ReferenceVectors(unit(np.ones((3, 4))), np.array(starts, np.int64))
