from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from veduta.errors import UsageError
from veduta.evaluation.thresholds import (
    GRID,
    fewest_photos,
    lower_bound,
    threshold_for_precision,
    threshold_table,
)

shares = st.integers(1, 3000).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count)))


def _made(
    photos: int, random: np.random.Generator, shift: float = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """A calibrated model: as often right as its probability says."""
    confidence = 1 / (1 + np.exp(-random.normal(shift, 1.5, photos)))
    return confidence, random.random(photos) < confidence


def test_a_table_counts_photos_above_and_below_right_and_wrong() -> None:
    confidence = np.array([0.95, 0.9, 0.6, 0.6, 0.2])
    right = np.array([True, False, True, True, False])
    (row,) = threshold_table(confidence, right, (0.6,))
    assert (row.above, row.above_right, row.above_wrong) == (4, 3, 1)
    assert (row.below, row.below_right, row.below_wrong) == (1, 0, 1)
    assert row.accuracy_over_all == pytest.approx(3 / 5)
    assert row.accuracy_above == pytest.approx(3 / 4)
    assert row.interval_above[0] < 3 / 4 < row.interval_above[1]
    (none,) = threshold_table(confidence, right, (0.99,))
    assert none.accuracy_above is None
    assert none.accuracy_over_all == 0.0


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_every_row_holds_every_photo_and_a_higher_threshold_never_answers_more(
    photos: list[tuple[float, bool]],
) -> None:
    confidence, right = (np.array(each) for each in zip(*photos, strict=True))
    rows = threshold_table(confidence, right)
    assert [row.threshold for row in rows] == list(GRID)
    assert rows[0].above == len(photos)
    assert rows[0].accuracy_over_all == rows[0].accuracy_above
    for lower, higher in pairwise(rows):
        assert lower.above + lower.below == higher.above + higher.below == len(photos)
        assert lower.above_right + lower.below_right == right.sum()
        assert higher.above <= lower.above
        assert higher.accuracy_over_all <= lower.accuracy_over_all


@settings(deadline=None)
@given(shares, st.floats(0.5, 0.999))
def test_the_bound_is_clopper_and_pearsons(hits_of: tuple[int, int], level: float) -> None:
    hits, count = hits_of
    exact = stats.binomtest(hits, count, alternative="greater").proportion_ci(level, "exact").low
    assert lower_bound(hits, count, level) == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize("mistakes", [0, 1, 3])
@pytest.mark.parametrize("precision", [0.5, 0.9, 0.99])
def test_the_fewest_photos_reach_a_precision_and_one_fewer_do_not(precision: float, mistakes: int) -> None:
    count = fewest_photos(precision, 0.95, mistakes)
    assert lower_bound(count - mistakes, count) >= precision - 1e-9
    assert lower_bound(count - 1 - mistakes, count - 1) < precision


def test_ninety_nine_percent_takes_299_photos_that_are_all_right() -> None:
    assert fewest_photos(0.99) == 299
    few = threshold_for_precision(np.full(298, 0.9), np.ones(298, bool), 0.99)
    assert few.threshold is None
    assert few.coverage == 0.0
    assert few.sentence.startswith("Too few photos to promise this: 99 % takes at least 299")
    enough = threshold_for_precision(np.full(299, 0.9), np.ones(299, bool), 0.99)
    assert (enough.threshold, enough.above, enough.right, enough.coverage) == (0.9, 299, 299, 1.0)
    assert enough.bound >= 0.99
    assert "299" in enough.sentence


def test_too_many_mistakes_among_the_surest_are_told_as_too_few_photos_as_well() -> None:
    confidence = np.linspace(0.5, 1.0, 400)
    found = threshold_for_precision(confidence, np.arange(400) % 4 != 0, 0.95)
    assert found.threshold is None
    assert found.sentence.startswith("Too few photos to promise this: 95 % takes at least 59 above a threshold")


def test_photos_of_one_probability_are_above_a_threshold_together() -> None:
    confidence = np.r_[np.full(100, 0.9), np.full(900, 0.5)]
    right = np.r_[np.ones(100, bool), np.arange(900) % 2 == 0]
    found = threshold_for_precision(confidence, right, 0.9)
    assert (found.threshold, found.above, found.right) == (0.9, 100, 100)
    # One mistake in ten at the same probability spoils all of it, wherever it stands.
    right[:100] = np.arange(100) >= 10
    assert threshold_for_precision(confidence, right, 0.9).threshold is None


@settings(deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([0.7, 0.8, 0.9, 0.95]))
def test_a_promise_is_what_the_photos_show_and_the_order_of_photos_changes_nothing(seed: int, precision: float) -> None:
    random = np.random.default_rng(seed)
    confidence, right = _made(800, random)
    found = threshold_for_precision(confidence, right, precision)
    shuffled = random.permutation(800)
    assert threshold_for_precision(confidence[shuffled], right[shuffled], precision) == found
    if found.threshold is not None:
        above = confidence >= found.threshold
        assert (found.above, found.right) == (above.sum(), right[above].sum())
        assert found.bound == lower_bound(found.right, found.above) >= precision
        assert found.coverage_interval[0] <= found.coverage <= found.coverage_interval[1]


def test_at_most_one_in_twenty_promises_is_wrong() -> None:
    """Above a threshold t a calibrated model is right as often as its mean probability there."""
    random = np.random.default_rng(11)
    many = np.sort(_made(200_000, random)[0])[::-1]
    precision_from = np.cumsum(many) / np.arange(1, len(many) + 1)
    wrong = promised = 0
    for _ in range(300):
        found = threshold_for_precision(*_made(1000, random), 0.85)
        if found.threshold is not None:
            promised += 1
            place = np.searchsorted(-many, -found.threshold, side="right") - 1
            wrong += precision_from[max(place, 0)] < 0.85
    assert promised > 250
    # Nominally 15; more than 26 would happen in one of 300 runs.
    assert wrong <= 26


@pytest.mark.parametrize(
    ("confidence", "right", "precision", "told"),
    [
        ([], [], 0.9, "at least one"),
        ([0.5], [True, False], 0.9, "tell no threshold"),
        ([3.2], [True], 0.9, "softmax"),
        ([np.nan], [True], 0.9, "softmax"),
        ([0.5], [True], 1.0, "can't be promised"),
        ([0.5], [True], 0.0, "can't be promised"),
    ],
)
def test_what_tells_no_threshold_is_refused(
    confidence: list[float], right: list[bool], precision: float, told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        threshold_for_precision(np.array(confidence), np.array(right, bool), precision)


@pytest.mark.parametrize("grid", [(), (0.5, 0.5), (0.9, 0.1), (0.5, 1.5)])
def test_a_grid_that_does_not_rise_from_0_to_1_is_refused(grid: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="rise"):
        threshold_table(np.array([0.5]), np.array([True]), grid)
