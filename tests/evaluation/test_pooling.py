"""The laws of learnt weights, and what their gain is told as."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as made
from numpy.typing import NDArray

from veduta.errors import UsageError
from veduta.evaluation.pooling import Pooling, judge_pool, pool_gain, pool_weights

Truth = NDArray[np.float64]

#: What models say of the truth, [models, photos].
truths = made.arrays(
    np.float64, st.tuples(st.integers(1, 5), st.integers(1, 40)), elements=st.floats(0.0, 1.0, width=32)
)


def likelihood(weights: Truth, truth: Truth) -> float:
    return float(np.log(weights @ np.maximum(truth, np.finfo(np.float32).eps)).mean())


@settings(deadline=None)
@given(truths)
def test_weights_are_a_mean_and_never_less_likely_than_equal_ones_or_one_model(truth: Truth) -> None:
    weights = pool_weights(truth)
    assert weights.min() >= 0.0
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    models = len(truth)
    best = likelihood(weights, truth)
    assert best >= likelihood(np.full(models, 1 / models), truth) - 1e-12
    # The bound of Cover 1984 that it stops at.
    assert all(best >= likelihood(alone, truth) - 1e-5 for alone in np.eye(models))


@settings(deadline=None, max_examples=40)
@given(truths, st.integers(0, 2**32 - 1))
def test_no_other_weights_are_more_likely(truth: Truth, seed: int) -> None:
    best = likelihood(pool_weights(truth), truth)
    others = np.random.default_rng(seed).dirichlet(np.ones(len(truth)), 50)
    assert all(best >= likelihood(each, truth) - 1e-5 for each in others)


@settings(deadline=None, max_examples=40)
@given(truths, st.randoms(use_true_random=False))
def test_weights_follow_the_order_of_the_models_and_not_that_of_the_photos(truth: Truth, random: object) -> None:
    weights = pool_weights(truth)
    draw = np.random.default_rng(random.randint(0, 2**31))  # type: ignore[attr-defined]
    order = draw.permutation(len(truth))
    assert pool_weights(truth[order]) == pytest.approx(weights[order], abs=1e-9)
    photos = draw.permutation(truth.shape[1])
    assert likelihood(pool_weights(truth[:, photos]), truth) == pytest.approx(likelihood(weights, truth), abs=1e-5)


@settings(deadline=None, max_examples=40)
@given(truths)
def test_a_model_that_is_there_twice_shares_its_weight(truth: Truth) -> None:
    weights = pool_weights(np.vstack([truth, truth[:1]]))
    assert weights[0] == pytest.approx(weights[-1], abs=1e-12)


def test_two_experts_get_what_their_photos_are() -> None:
    # Either is sure of its own photos and says nothing of the others': weights are the shares of photos.
    truth = np.zeros((2, 100))
    truth[0, :30] = truth[1, 30:] = 1.0
    assert pool_weights(truth) == pytest.approx([0.3, 0.7], abs=1e-3)


def test_the_mean_of_two_is_found_where_the_slope_is_zero() -> None:
    # The sum of log(0.8 w + 0.1 (1 - w)) and log(0.2 w + 0.5 (1 - w)) is flat at w = 16 / 21.
    assert pool_weights(np.array([[0.8, 0.2], [0.1, 0.5]])) == pytest.approx([16 / 21, 5 / 21], abs=2e-3)


def test_a_useless_model_gets_next_to_nothing_and_one_that_says_nothing_more_as_well() -> None:
    random = np.random.default_rng(3)
    good = random.beta(4, 2, 400)
    weights = pool_weights(np.stack([good, np.full(400, 0.001), good / 2]))
    assert weights[0] > 0.999
    assert weights[1:].max() < 1e-3


@pytest.mark.parametrize(
    "truth", [np.empty((0, 5)), np.empty((2, 0)), np.ones(5), [[0.5, np.nan]], [[1.5, 0.5]], [[-0.1, 0.5]]]
)
def test_what_are_no_probabilities_is_refused(truth: object) -> None:
    with pytest.raises(UsageError):
        pool_weights(np.array(truth, np.float64))


def made_models(photos: int, seed: int = 5) -> Truth:
    """A good model, and one that is right about some photos that the first is wrong about."""
    random = np.random.default_rng(seed)
    return np.stack([random.beta(3, 1, photos), random.beta(1, 2, photos)])


def test_learnt_weights_are_judged_on_photos_that_they_were_not_learnt_on() -> None:
    truth = made_models(600)
    found = judge_pool(truth)
    assert found.photos == 600
    assert found.weights == pytest.approx(pool_weights(truth).tolist())
    assert [each.value for each in found.alone] == pytest.approx((-np.log(truth).mean(axis=1)).tolist())
    assert found.equal.value == pytest.approx(-np.log(truth.mean(axis=0)).mean())
    # Held out it can't be better than in hindsight.
    assert found.weighted.value >= -likelihood(np.array(found.weights), truth) - 1e-6
    assert found.gain.value == pytest.approx(found.equal.value - found.weighted.value)
    low, high = found.gain.interval
    assert 0.0 < low < found.gain.value < high
    assert found.better
    assert judge_pool(truth) == found


def test_equal_models_gain_nothing_and_so_weights_are_not_better() -> None:
    random = np.random.default_rng(1)
    truth = random.beta(2, 2, (4, 60))
    found = judge_pool(truth)
    assert not found.better
    assert found.gain.value < 0.0


def test_the_interval_holds_the_gain_on_endless_photos_most_of_the_time() -> None:
    endless = made_models(200_000, seed=11)
    held = 0
    for seed in range(25):
        found: Pooling = judge_pool(made_models(300, seed))
        true = pool_gain(found.weights, endless)
        held += found.gain.interval[0] <= true <= found.gain.interval[1]
    assert held >= 21


def test_the_gain_of_given_weights_is_that_over_equal_ones() -> None:
    truth = np.array([[0.8, 0.2], [0.4, 0.4]])
    by_hand = (np.log(0.7 / 0.6) + np.log(0.25 / 0.3)) / 2
    assert pool_gain((0.75, 0.25), truth) == pytest.approx(by_hand)
    assert pool_gain((0.5, 0.5), truth) == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("models", "photos", "folds", "told"),
    [(1, 100, 10, "two or more"), (2, 49, 10, "too few to weigh"), (2, 60, 1, "parts"), (2, 60, 61, "parts")],
)
def test_too_little_to_weigh_by_is_refused(models: int, photos: int, folds: int, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        judge_pool(np.full((models, photos), 0.5), folds=folds)
