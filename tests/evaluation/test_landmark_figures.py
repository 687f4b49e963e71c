"""Figures of answers about landmarks, against sums by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veduta.errors import UsageError
from veduta.evaluation.landmark_figures import (
    NONE,
    Answers,
    by_landmark,
    global_average_precision,
    some_of_each,
)


def answers(*rows: tuple[int, int, float]) -> Answers:
    truths, said, scores = zip(*rows, strict=True)
    return Answers(np.array(truths), np.array(said), np.array(scores))


# True landmark, answered one, score.
FEW = answers((0, 0, 0.9), (0, 1, 0.5), (1, 1, 0.3), (1, 1, -0.2), (NONE, 0, 0.4), (NONE, 1, -0.5))


def test_shares_count_what_is_named_and_what_is_refused() -> None:
    assert (FEW.found().right, FEW.found().count) == (2, 4)
    assert (FEW.refused().right, FEW.refused().count) == (1, 2)
    assert FEW.closed_set().value == 0.75
    assert FEW.found(0.6).right == 1
    low, high = FEW.found().interval
    assert 0 <= low < 0.5 < high <= 1


def test_gap_is_that_of_the_challenges() -> None:
    # By score: right, wrong, other, right, wrong order ... right at 1, 4 and 5 of 6.
    assert global_average_precision(FEW) == pytest.approx((1 + 2 / 4 + 3 / 5) / 4)
    assert global_average_precision(answers((NONE, 0, 1.0))) == 0


def test_precision_and_recall_are_means_over_landmarks() -> None:
    means = by_landmark(FEW)
    # Landmark 0: named twice, once rightly; of two photos one. Landmark 1: named twice, once rightly; one of two.
    assert (means.precision, means.recall, means.landmarks) == (0.5, 0.5, 2)
    assert by_landmark(answers((0, 0, -1.0))).precision == 0


def test_an_oracle_lets_no_more_through_than_asked() -> None:
    many = answers((0, 0, 2.0), *((NONE, 0, value / 100) for value in range(100)))
    for rate in (0.0, 0.01, 0.1, 0.5):
        passing = 1 - many.refused(many.threshold_at(rate)).value
        assert passing == pytest.approx(rate)
    with pytest.raises(UsageError, match="--others"):
        answers((0, 0, 1.0)).threshold_at(0.01)


@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 3), st.floats(-1, 1)), min_size=1, max_size=40))
def test_all_figures_are_shares(rows: list[tuple[int, int, float]]) -> None:
    some = answers(*rows)
    assert 0 <= global_average_precision(some) <= 1
    means = by_landmark(some)
    assert 0 <= means.precision <= 1
    assert 0 <= means.recall <= 1
    assert some.found().right <= some.closed_set().right


def test_some_of_each_landmark_are_drawn_and_none_of_the_others() -> None:
    truths = [0] * 20 + [NONE] * 5 + [1] * 4
    chosen = some_of_each(truths, 10, 0)
    assert len(chosen) == 14
    assert not set(range(20, 25)) & set(chosen.tolist())
    np.testing.assert_array_equal(chosen, some_of_each(truths, 10, 0))


def test_photos_without_a_truth_are_refused() -> None:
    with pytest.raises(UsageError):
        Answers(np.array([0]), np.array([0, 1]), np.array([0.0]))
