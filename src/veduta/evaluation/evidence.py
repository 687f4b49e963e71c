"""How well a model tells photos of its scenes from strangers, by its evidence: larger means more like what it knows."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from veduta.errors import UsageError
from veduta.evaluation.figures import rounded, share_metric
from veduta.evaluation.metrics import Z95, Interval, sklearn_metrics
from veduta.models.bundle import Metric

#: The share of known scenes that a threshold is asked to keep.
KEPT = 0.95


def threshold_for(known: NDArray[np.floating], kept: float = KEPT) -> float:
    """The highest threshold that keeps at least the share ``kept`` of the ``known`` scenes' evidence ``[n]``.

    A photo is kept where its evidence is at least the threshold. Choose it on held-out photos, never on those that a
    figure is told for. Raises UsageError for no evidence, or a share outside 0 to 1.
    """
    values = _checked(known, "the known scenes")
    if not 0.0 <= kept <= 1.0:
        raise UsageError(f"a share of {kept} can't be kept; give one from 0 to 1.")
    # Rounding must not drop the one photo that the share still needs.
    below = math.floor((1.0 - kept) * len(values) + 1e-9)
    return float(np.sort(values)[min(below, len(values) - 1)])


def kept(known: NDArray[np.floating], threshold: float, data: str) -> Metric:
    """The share of known scenes, evidence ``[n]``, that a threshold keeps, with Wilson's interval."""
    return share_metric("evidence_kept", _checked(known, data) >= threshold, data)


def rejected(strangers: NDArray[np.floating], threshold: float, data: str) -> Metric:
    """The share of strangers, evidence ``[n]``, that a threshold rejects, with Wilson's interval."""
    return share_metric("evidence_rejected", _checked(strangers, data) < threshold, data)


def rejected_at(known: NDArray[np.floating], strangers: NDArray[np.floating], data: str, share: float = KEPT) -> Metric:
    """The share of strangers rejected by the threshold that keeps just ``share`` of these known scenes.

    It compares models whose thresholds keep different shares; a model in use has one threshold, chosen before.
    """
    hits = _checked(strangers, data) < threshold_for(known, share)
    return share_metric(f"evidence_rejected_at_{round(share * 100)}", hits, data)


def auroc(known: NDArray[np.floating], strangers: NDArray[np.floating], data: str) -> Metric:
    """The area under the ROC curve: how often a known scene has more evidence than a stranger, 0.5 by chance.

    The interval is DeLong's (1988), normal on the logit, so that it stays within 0 and 1. ``count`` is of both sides.

    Raises MissingExtra without scikit-learn.
    """
    roc_auc_score = sklearn_metrics().roc_auc_score
    inside, outside = _checked(known, "the known scenes"), _checked(strangers, data)
    truth = np.concatenate([np.ones(len(inside)), np.zeros(len(outside))])
    area = float(roc_auc_score(truth, np.concatenate([inside, outside])))
    interval = rounded(_delong(inside, outside, area))
    return Metric("evidence_auroc", round(area, 4), data, len(truth), interval)


def evidence_metrics(
    known: NDArray[np.floating], strangers: dict[str, NDArray[np.floating]], threshold: float, data: str
) -> tuple[Metric, ...]:
    """For a card: the share of known scenes kept, and for each set of strangers, by name, what of it is rejected."""
    metrics = [kept(known, threshold, data)]
    for name, values in strangers.items():
        metrics += [rejected(values, threshold, name), rejected_at(known, values, name), auroc(known, values, name)]
    return tuple(metrics)


def _delong(inside: NDArray[np.float64], outside: NDArray[np.float64], area: float) -> Interval:
    def above(values: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
        """For each value the share of others below it, equals counting half."""
        ordered = np.sort(others)
        counts = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
        return counts / (2 * len(others))

    if not 0.0 < area < 1.0 or min(len(inside), len(outside)) < 2:
        return 0.0, 1.0
    variance = above(inside, outside).var(ddof=1) / len(inside) + above(outside, inside).var(ddof=1) / len(outside)
    middle = math.log(area / (1 - area))
    half = Z95 * math.sqrt(float(variance)) / (area * (1 - area))
    low, high = (1 / (1 + math.exp(-min(700.0, max(-700.0, end)))) for end in (middle - half, middle + half))
    return low, high


def _checked(values: NDArray[np.floating], whose: str) -> NDArray[np.float64]:
    if not len(values) or not np.isfinite(values).all():
        raise UsageError(f"the evidence of {whose} must be numbers of at least one photo; check the model on them.")
    return values.astype(np.float64)
