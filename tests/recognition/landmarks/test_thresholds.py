"""Thresholds let no more than the wanted share of other photos through."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veduta.errors import UsageError
from veduta.recognition.landmarks.thresholds import WITHOUT_OTHERS, choose_thresholds


@given(
    count=st.integers(30, 400),
    landmarks=st.integers(1, 6),
    rate=st.sampled_from([0.001, 0.01, 0.05, 0.3]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=60)
def test_of_the_photos_that_it_was_chosen_by_no_more_pass(count: int, landmarks: int, rate: float, seed: int) -> None:
    similarities = np.random.default_rng(seed).uniform(-1, 1, (count, landmarks)).astype(np.float32)
    thresholds = choose_thresholds(similarities, rate)
    passing = (similarities >= thresholds.values).any(axis=1)
    assert passing.mean() <= rate
    assert thresholds.judged_on == count


def test_of_further_photos_the_wanted_share_passes_on_average() -> None:
    random = np.random.default_rng(0)
    shares = []
    for _ in range(200):
        thresholds = choose_thresholds(random.normal(size=(199, 3)).astype(np.float32), 0.05)
        shares.append((random.normal(size=(500, 3)) >= thresholds.values).any(axis=1).mean())
    assert np.mean(shares) == pytest.approx(0.05, abs=0.006)


def test_a_landmark_that_resembles_much_has_a_higher_threshold() -> None:
    random = np.random.default_rng(1)
    # One that resembles nothing, now and then by chance; one that resembles all a little.
    similarities = random.normal([0.0, 0.3], [0.15, 0.05], (300, 2)).astype(np.float32)
    low, high = choose_thresholds(similarities).values
    assert low == pytest.approx(float(similarities.max()), abs=0.1)
    assert high > low + 0.1


def test_without_enough_photos_all_have_the_same_and_say_so() -> None:
    thresholds = choose_thresholds(np.zeros((5, 2), np.float32))
    assert list(thresholds.values) == [WITHOUT_OTHERS] * 2
    assert not thresholds.judged_on
    assert not thresholds.calibrated
    assert not choose_thresholds(np.zeros((60, 2), np.float32)).calibrated
    assert choose_thresholds(np.zeros((99, 2), np.float32)).calibrated
    assert choose_thresholds(np.zeros((40, 0), np.float32)).usual == WITHOUT_OTHERS


@pytest.mark.parametrize("rate", [0.0, 1.0, -1.0, float("nan")])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(UsageError, match="false alarms"):
        choose_thresholds(np.zeros((40, 2), np.float32), rate)
