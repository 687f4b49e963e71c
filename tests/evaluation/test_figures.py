from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from veduta.errors import UsageError
from veduta.evaluation.figures import judge
from veduta.records import Label

LABELS = tuple(Label(name, name) for name in "abcdef")


def _made(photos: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    said = random.dirichlet(np.ones(6), photos).astype(np.float32)
    return said, (said.cumsum(axis=1) > random.random((photos, 1))).argmax(axis=1)


def test_further_figures_are_scikit_learns_and_errors_are_what_is_left_to_accuracy() -> None:
    from sklearn.metrics import brier_score_loss, f1_score, log_loss, precision_score, top_k_accuracy_score

    said, targets = _made(400)
    found = judge(LABELS, said, targets, "made")
    figures = {each.name: each for each in (*found.metrics, *found.further)}
    whole = said.astype(np.float64) / said.astype(np.float64).sum(axis=1, keepdims=True)
    places, first = np.arange(6), said.argmax(axis=1)
    expected = {
        "top1_error": 1 - top_k_accuracy_score(targets, said, k=1),
        "top5_error": 1 - top_k_accuracy_score(targets, said, k=5),
        "mean_precision": precision_score(targets, first, average="macro"),
        "mean_f1": f1_score(targets, first, average="macro"),
        "log_loss": log_loss(targets, whole, labels=places),
        "brier_score": brier_score_loss(targets, whole, labels=places, scale_by_half=False),
    }
    for name, value in expected.items():
        assert figures[name].value == pytest.approx(value, abs=1e-4), name
        low, high = figures[name].interval or (1.0, 0.0)
        assert low < figures[name].value < high
    assert found.right.tolist() == (first == targets).tolist()
    assert found.confidence.tolist() == said.max(axis=1).tolist()


def test_a_true_class_of_no_probability_costs_much_and_not_infinitely_much() -> None:
    said = np.array([[1.0, 0, 0, 0, 0, 0]] * 3, np.float32)
    loss = next(each for each in judge(LABELS, said, np.array([0, 0, 1]), "made").further if each.name == "log_loss")
    assert 5.0 < loss.value < 6.0


def test_other_shapes_or_no_photos_are_refused() -> None:
    said, targets = _made(4)
    with pytest.raises(UsageError, match="can't be judged"):
        judge(LABELS[:5], said, targets, "made")
    with pytest.raises(UsageError, match="at least one"):
        judge(LABELS, said[:0], targets[:0], "made")
