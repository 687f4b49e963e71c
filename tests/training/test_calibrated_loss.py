from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy", reason="the extra train is not installed")

from veduta.training.calibrated_loss import calibrated_loss

RANDOM = np.random.default_rng(0)
TARGETS = RANDOM.integers(0, 4, 300)
LOGITS = (RANDOM.normal(size=(300, 4)) + 2 * np.eye(4)[TARGETS]).astype(np.float32)
PRESENT = (RANDOM.random((300, 4)) < 0.4).astype(np.float32)
MANY = (RANDOM.normal(size=(300, 4)) + 2 * PRESENT - 1).astype(np.float32)


@pytest.mark.parametrize(("logits", "targets"), [(LOGITS, TARGETS), (MANY, PRESENT)], ids=["one-label", "many-labels"])
def test_how_sure_a_classifier_sounds_does_not_count(logits: np.ndarray, targets: np.ndarray) -> None:
    at_its_own = calibrated_loss(logits, targets)
    assert calibrated_loss(3 * logits, targets) == pytest.approx(at_its_own, rel=1e-4)
    assert calibrated_loss(logits / 5, targets) == pytest.approx(at_its_own, rel=1e-4)
    noisy = logits + RANDOM.normal(size=logits.shape).astype(np.float32)
    assert calibrated_loss(noisy, targets) > at_its_own


def test_it_is_the_cross_entropy_at_the_best_temperature() -> None:
    def cross_entropy(logits: np.ndarray) -> float:
        exponents = np.exp(logits.astype(np.float64))
        return float(-np.log(exponents[np.arange(300), TARGETS] / exponents.sum(1)).mean())

    tried = [cross_entropy(LOGITS / temperature) for temperature in np.geomspace(0.2, 5, 400)]
    assert calibrated_loss(LOGITS, TARGETS) == pytest.approx(min(tried), abs=1e-4)


def test_where_all_answers_are_right_no_number_is_lost() -> None:
    right = (10 * np.eye(4)[TARGETS]).astype(np.float32)
    assert 0 <= calibrated_loss(right, TARGETS) < 1e-3


def test_of_logits_that_are_no_numbers_it_is_none() -> None:
    broken = LOGITS.copy()
    broken[3, 1] = np.nan
    assert np.isnan(calibrated_loss(broken, TARGETS))
