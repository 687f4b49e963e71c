from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from veduta.generation.latents import between, fixed_latents


@given(st.integers(0, 2**40), st.integers(0, 20), st.integers(0, 20), st.integers(1, 40))
def test_a_row_depends_on_seed_and_place_alone(seed: int, first: int, count: int, size: int) -> None:
    whole = fixed_latents(size, first + count, seed)
    assert np.array_equal(whole[first:], fixed_latents(size, count, seed, first))


def test_rows_are_of_a_standard_normal_and_differ() -> None:
    rows = fixed_latents(100, 500, 3)
    assert abs(float(rows.mean())) < 0.02
    assert abs(float(rows.std()) - 1) < 0.02
    assert len({row.tobytes() for row in rows}) == 500


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(2, 20))
def test_the_way_has_both_ends_and_lengths_between_theirs(one: int, other: int, steps: int) -> None:
    start, end = fixed_latents(64, 1, one)[0], fixed_latents(64, 1, other)[0]
    way = between(start, end, steps)
    assert way.shape == (steps, 64)
    np.testing.assert_allclose(way[[0, -1]], [start, end], atol=1e-4)
    lengths = np.linalg.norm(way, axis=1)
    shorter = min(np.linalg.norm(start), np.linalg.norm(end))
    assert lengths.min() > 0.9 * shorter  # the middle of a straight line has 0.7 of it


def test_opposite_ends_have_a_way_too() -> None:
    start = fixed_latents(8, 1, 0)[0]
    assert np.isfinite(between(start, -start, 5)).all()
