"""What a landmark is known by."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from veduta.recognition.landmarks.references import reference_vectors, unit


@given(count=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_they_have_length_one_and_are_few_and_always_the_same(count: int, seed: int) -> None:
    embeddings = unit(np.random.default_rng(seed).normal(size=(count, 6)))
    vectors = reference_vectors(embeddings)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert len(vectors) == (count if count < 8 else min(3, count // 8))
    np.testing.assert_array_equal(vectors, reference_vectors(embeddings))


def test_of_one_photo_it_is_the_photo() -> None:
    photo = unit(np.array([[1.0, 2.0, 3.0]]))
    np.testing.assert_allclose(reference_vectors(photo), photo, atol=1e-6)


def test_each_of_three_views_gets_a_vector() -> None:
    random = np.random.default_rng(0)
    views = np.eye(3)
    embeddings = unit(np.concatenate([view + 0.05 * random.normal(size=(10, 3)) for view in views]))
    nearest = views @ reference_vectors(embeddings).T
    assert sorted(nearest.argmax(axis=1)) == [0, 1, 2]
    assert nearest.max(axis=1).min() > 0.99


def test_a_vector_of_zeros_stays_one() -> None:
    assert not unit(np.zeros((1, 3))).any()
