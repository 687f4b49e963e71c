from __future__ import annotations

import numpy as np
import pytest

from veduta.errors import UsageError
from veduta.evaluation.label_figures import judge_labels
from veduta.records import Label

LABELS = tuple(Label(name, name) for name in ("sea", "trees", "desert"))


def made(photos: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Sea is told well, trees by chance; no photo has a desert."""
    random = np.random.default_rng(seed)
    present = np.zeros((photos, 3), bool)
    present[:, :2] = random.random((photos, 2)) < 0.4
    said = random.random((photos, 3)).astype(np.float32)
    said[:, 0] = np.clip(0.5 * said[:, 0] + 0.5 * present[:, 0], 0, 1)
    return said, present


def test_each_label_has_its_precision_and_support_and_the_mean_is_over_those_that_photos_have() -> None:
    from sklearn.metrics import (
        average_precision_score,
        brier_score_loss,
        f1_score,
        precision_score,
        recall_score,
    )

    said, present = made(300)
    found = judge_labels(LABELS, said, present, "made")
    assert [each.label.id for each in found.figures] == ["sea", "trees"]
    assert found.never_present == (LABELS[2],)
    sea, trees = found.figures
    assert sea.photos == present[:, 0].sum()
    assert trees.average_precision == pytest.approx(average_precision_score(present[:, 1], said[:, 1]))
    assert trees.f1 == pytest.approx(f1_score(present[:, 1], said[:, 1] >= 0.5))
    assert trees.average_precision == pytest.approx(0.4, abs=0.1)
    means = {metric.name: metric for metric in found.metrics}
    assert means["mean_average_precision"].value == pytest.approx(
        (sea.average_precision + trees.average_precision) / 2, abs=1e-4
    )
    assert means["f1"].value == pytest.approx((sea.f1 + trees.f1) / 2, abs=1e-4)
    assert {metric.count for metric in found.metrics} == {300}
    further = {metric.name: metric for metric in found.further}
    told = said[:, :2] >= 0.5
    for name, score in (("precision", precision_score), ("recall", recall_score)):
        assert further[name].value == pytest.approx(score(present[:, :2], told, average="macro"), abs=1e-4)
    brier = np.mean([brier_score_loss(present[:, column], said[:, column]) for column in (0, 1)])
    assert further["brier_score"].value == pytest.approx(brier, abs=1e-4)
    assert (trees.told, trees.recall) == (told[:, 1].sum(), recall_score(present[:, 1], told[:, 1]))
    assert trees.precision == precision_score(present[:, 1], told[:, 1])
    assert sum(each.count for each in found.bins) == 600
    assert found.calibration.photos == 300
    assert 0.0 <= found.calibration.interval[0] <= found.calibration.value <= found.calibration.interval[1]
    for value, (low, high) in (
        (trees.average_precision, trees.average_precision_interval),
        (trees.f1, trees.f1_interval),
        *((metric.value, metric.interval or (1.0, 0.0)) for metric in found.metrics),
    ):
        assert 0.0 <= low < value < high <= 1.0


def test_more_photos_narrow_the_interval() -> None:
    widths = []
    for photos in (60, 600):
        low, high = judge_labels(LABELS, *made(photos), "made").figures[1].average_precision_interval
        widths.append(high - low)
    assert widths[1] < 0.6 * widths[0]


def test_a_label_that_few_photos_have_is_judged_by_the_draws_that_hold_one() -> None:
    said, present = made(40)
    present[:, 2] = False
    present[7, 2] = True
    rare = judge_labels(LABELS, said, present, "made").figures[2]
    assert rare.photos == 1
    assert np.isfinite([*rare.average_precision_interval, *rare.f1_interval]).all()


def test_answers_without_any_label_or_of_another_shape_are_refused() -> None:
    said, present = made(10)
    with pytest.raises(UsageError, match="at least one"):
        judge_labels(LABELS, said, np.zeros_like(present), "made")
    with pytest.raises(UsageError, match="can't be judged"):
        judge_labels(LABELS, said[:, :2], present, "made")
