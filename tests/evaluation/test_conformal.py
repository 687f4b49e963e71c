from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from veduta.errors import UsageError
from veduta.evaluation.conformal import conformal_threshold, fewest_photos, judge_label_sets, label_sets
from veduta.records import Label

LABELS = tuple(Label(name, name) for name in ("bar", "field", "kitchen", "sea", "tower"))


def _made(photos: int, random: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Probabilities of five classes, and classes drawn from others: the model is wrong about how sure it is."""
    logits = random.normal(0, 2, (photos, 5))
    said, true = (np.exp(logits * scale) for scale in (1.5, 0.7))
    said, true = (each / each.sum(axis=1, keepdims=True) for each in (said, true))
    return said, (true.cumsum(axis=1) > random.random((photos, 1))).argmax(axis=1)


def test_a_set_holds_what_is_probable_enough_and_always_the_first_label() -> None:
    said = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])
    assert label_sets(said, 0.25).tolist() == [[True, True, False], [False, False, True]]
    assert label_sets(said, 1.0).tolist() == [[True, False, False], [False, False, True]]
    assert label_sets(said, 0.0).all()


def test_the_threshold_lets_the_least_probable_true_labels_go() -> None:
    # Of 19 photos and one more, one in twenty may be missed: the least of the 19.
    own = np.linspace(0.02, 0.38, 19)
    said = np.stack([own, 0.4 + 0 * own, 0.6 - own], axis=1)
    assert conformal_threshold(said, np.zeros(19, np.int64)) == pytest.approx(0.02)
    assert conformal_threshold(said, np.zeros(19, np.int64), level=0.9) == pytest.approx(0.04)
    assert fewest_photos() == 19
    assert conformal_threshold(said[1:], np.zeros(18, np.int64)) == 0.0
    # True labels that are first count as certain.
    assert conformal_threshold(said, said.argmax(axis=1)) == 1.0


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([0.8, 0.9, 0.95]), st.integers(60, 300))
def test_sets_hold_the_true_label_as_often_as_asked_however_wrong_the_model_is(
    seed: int, level: float, photos: int
) -> None:
    """The law of split conformal prediction: level to level + 1 / (n + 1) on average, for exchangeable photos."""
    random = np.random.default_rng(seed)
    rounds, tested = 400, 50
    covered = 0
    for _ in range(rounds):
        said, true = _made(photos + tested, random)
        sets = label_sets(said[photos:], conformal_threshold(said[:photos], true[:photos], level))
        covered += int(sets[np.arange(tested), true[photos:]].sum())
    share, count = covered / (rounds * tested), rounds * tested
    # Photos that share a threshold are not independent: the share of each round varies as a beta law does.
    spared = np.floor((photos + 1) * (1 - level) + 1e-9)
    law = stats.betabinom(tested, photos + 1 - spared, spared)
    noise = 4.5 * law.std() / tested / np.sqrt(rounds)
    exact = 1 - spared / (photos + 1)
    assert exact >= level - 1e-9
    # The first label is always in the set, so a model that is right more often than asked covers more.
    assert share >= exact - noise, (share, exact, count)
    assert share <= max(exact, _accuracy(random)) + noise


def _accuracy(random: np.random.Generator) -> float:
    said, true = _made(20_000, random)
    return float((said.argmax(axis=1) == true).mean())


def test_crossed_parts_cover_as_asked_and_the_same_seed_gives_the_same() -> None:
    said, true = _made(3000, np.random.default_rng(5))
    found = judge_label_sets(LABELS, said, true)
    assert found is not None
    assert found.coverage_interval[0] < 0.95 < found.coverage_interval[1]
    assert found.mean_size == pytest.approx(found.sizes.mean())
    assert found.mean_size_interval[0] < found.mean_size < found.mean_size_interval[1]
    assert found.sizes.min() >= 1
    assert sum(each.photos for each in found.classes) == 3000
    assert sum(each.covered for each in found.classes) == round(found.coverage * 3000)
    assert list(found.classes) == sorted(found.classes, key=lambda each: each.coverage)
    assert found.threshold == conformal_threshold(said, true)
    assert f"{found.mean_size:.2f} labels on average" in found.sentence
    again = judge_label_sets(LABELS, said, true)
    assert again is not None
    assert (again.coverage, again.mean_size) == (found.coverage, found.mean_size)
    other = judge_label_sets(LABELS, said, true, seed=1)
    assert other is not None
    assert abs(other.coverage - found.coverage) < 0.01


def test_too_few_photos_give_no_sets_and_what_can_not_be_meant_is_refused() -> None:
    said, true = _made(22, np.random.default_rng(0))
    assert judge_label_sets(LABELS, said, true) is not None
    assert judge_label_sets(LABELS, said[:20], true[:20]) is None
    with pytest.raises(UsageError, match="level below 1"):
        judge_label_sets(LABELS, said, true, level=1.0)
    with pytest.raises(UsageError, match="2 parts"):
        judge_label_sets(LABELS, said, true, folds=1)
    with pytest.raises(UsageError, match="one row"):
        judge_label_sets(LABELS, said[:, :4], true)
