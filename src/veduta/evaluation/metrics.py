"""Figures of merit: shares with their intervals, and who is taken for whom.

What scikit-learn and SciPy have is theirs; both come with the extra ``evaluate``.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from veduta.errors import MissingExtra, UsageError
from veduta.records import Label

#: (low, high); the true value lies between them in 95 of 100 such measurements.
Interval = tuple[float, float]

#: The normal quantile of a two-sided 95 % interval.
Z95 = 1.959964

ROUNDS = 2000
# Each draw counts three times over all photos.
_CLASS_ROUNDS = 1000


@dataclass(frozen=True, slots=True)
class Confusion:
    """``photos`` of the class ``true``, a ``share`` of them all, were called ``predicted``."""

    true: Label
    predicted: Label
    share: float
    photos: int


@dataclass(frozen=True, slots=True)
class ClassFigure:
    """One class: of its ``photos``, the share found (recall), and of all that were called so, the share that was right.

    ``precision`` is None where no photo was called so; ``f1`` is the harmonic mean of both. The intervals of shares are
    Wilson's, that of ``f1`` is the bootstrap's.
    """

    label: Label
    photos: int
    recall: float
    recall_interval: Interval
    said: int
    precision: float | None
    precision_interval: Interval
    f1: float
    f1_interval: Interval


@dataclass(frozen=True, slots=True, eq=False)
class ClassFigures:
    """All ``classes`` that have photos, and the means of their precision and F1, each class weighing the same.

    A class that no photo was called counts with a precision of 0. Both intervals are the bootstrap's.
    """

    classes: tuple[ClassFigure, ...]
    precision: float
    precision_interval: Interval
    f1: float
    f1_interval: Interval


def sklearn_metrics() -> ModuleType:
    """The module ``sklearn.metrics``. Raises MissingExtra where it is not installed: ask for it before long work."""
    try:
        from sklearn import metrics
    except ModuleNotFoundError as error:
        raise MissingExtra('figures need scikit-learn; install it with: pip install "veduta[evaluate]"') from error
    module: ModuleType = metrics
    return module


def top_k_hits(scores: NDArray[np.floating], targets: NDArray[np.int64], k: int) -> NDArray[np.bool_]:
    """For each row of ``scores`` ``[n, classes]``, whether its target is among the ``k`` highest."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    hits: NDArray[np.bool_] = (order == targets[:, None]).any(axis=1)
    return hits


def wilson_interval(hits: int, count: int, z: float = Z95) -> Interval:
    """The 95 % interval of a share (Wilson 1927), as (low, high)."""
    if count == 0:
        return 0.0, 1.0
    share, square = hits / count, z * z
    centre = (share + square / (2 * count)) / (1 + square / count)
    half = z * math.sqrt(share * (1 - share) / count + square / (4 * count * count)) / (1 + square / count)
    # At the ends the bound is the share itself, which rounding may miss by a hair.
    return min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half))


def bootstrap_interval(
    statistic: Callable[..., float], *samples: NDArray[np.generic], rounds: int = ROUNDS, seed: int = 0
) -> Interval:
    """The 95 % percentile interval of any statistic of photos (Efron 1979), drawn as by ``bootstrap_values``.

    Not for the calibration error, whose resampled values are biased: see ``calibration.calibration_error``.

    Raises UsageError for no photos or samples of different lengths.
    """
    low, high = np.quantile(bootstrap_values(statistic, *samples, rounds=rounds, seed=seed), (0.025, 0.975))
    return float(low), float(high)


def bootstrap_values(
    statistic: Callable[..., float | NDArray[np.float64]],
    *samples: NDArray[np.generic],
    rounds: int = ROUNDS,
    seed: int = 0,
) -> NDArray[np.float64]:
    """A statistic of photos, or an array of them, of ``rounds`` draws of as many photos: ``[rounds, ...]``.

    Each of ``samples`` is ``[n, ...]``, and all samples keep the same photos, so that a statistic of two models on the
    same photos is judged as paired. Raises UsageError for no photos or samples of different lengths.
    """
    lengths = {len(sample) for sample in samples}
    if len(lengths) != 1 or lengths == {0}:
        raise UsageError("an interval needs samples of the same photos, at least one of them.")
    (count,) = lengths
    random = np.random.default_rng(seed)
    drawn = (random.integers(0, count, count) for _ in range(rounds))
    return np.array([statistic(*(sample[chosen] for sample in samples)) for chosen in drawn])


def paired_difference(
    first: NDArray[np.bool_], second: NDArray[np.bool_], *, rounds: int = ROUNDS, seed: int = 0
) -> tuple[float, Interval]:
    """How much larger the share of hits in ``second`` ``[n]`` is than in ``first`` ``[n]``, and its interval.

    Both are of the same photos. Two models are right about many of them, so this interval is narrower than
    the two shares' own suggest.
    """
    gain = second.astype(np.float64) - first.astype(np.float64)
    return float(gain.mean()), bootstrap_interval(lambda drawn: float(drawn.mean()), gain, rounds=rounds, seed=seed)


def newcombe_interval(first: tuple[int, int], second: tuple[int, int]) -> Interval:
    """The 95 % interval of how much larger the first share is than the second, each (hits, count), of different photos.

    Newcombe's hybrid of two Wilson intervals (1998, "Interval estimation for the difference between independent
    proportions", method 10), which holds what it says for few photos and shares near 0 and 1 as well.
    """
    (low, high), (other_low, other_high) = wilson_interval(*first), wilson_interval(*second)
    share, other = (hits / count if count else 0.5 for hits, count in (first, second))
    below = math.hypot(share - low, other_high - other)
    above = math.hypot(high - share, other - other_low)
    return max(-1.0, share - other - below), min(1.0, share - other + above)


def confusion_matrix(targets: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Photos by true class (row) and predicted class (column), ``[classes, classes]``.

    Raises MissingExtra without scikit-learn.
    """
    count = sklearn_metrics().confusion_matrix
    if not len(targets):
        return np.zeros((classes, classes), np.int64)
    matrix: NDArray[np.int64] = count(targets, predicted, labels=np.arange(classes)).astype(np.int64)
    return matrix


def class_figures(
    targets: NDArray[np.int64], predicted: NDArray[np.int64], labels: Sequence[Label], *, seed: int = 0
) -> ClassFigures:
    """Recall, precision and F1 of each class that has photos, in the order of ``labels``.

    ``targets`` and ``predicted`` ``[n]`` are places in ``labels``, or just past them for what is none of them. Raises
    UsageError for no photos, MissingExtra without scikit-learn.
    """
    if not len(targets):
        raise UsageError("figures of classes need photos; there are none.")
    there = np.unique(targets[targets < len(labels)])
    score = sklearn_metrics().precision_recall_fscore_support
    precision, recall, f1, photos = score(targets, predicted, labels=there, average=None, zero_division=0)
    said = np.bincount(predicted, minlength=len(labels) + 1)[there]
    drawn_precision, drawn_f1 = _drawn_figures(targets, predicted, len(labels), seed)
    with warnings.catch_warnings():
        # A draw may have no photo of a class, and then says nothing about it.
        warnings.simplefilter("ignore", RuntimeWarning)
        ends = np.nanquantile(drawn_f1[:, there], (0.025, 0.975), axis=0).T
        means = [_ends(np.nanmean(drawn[:, there], axis=1)) for drawn in (drawn_precision, drawn_f1)]
    classes = tuple(
        ClassFigure(
            label=labels[index],
            photos=int(photos[place]),
            recall=float(recall[place]),
            recall_interval=wilson_interval(round(float(recall[place] * photos[place])), int(photos[place])),
            said=int(said[place]),
            precision=float(precision[place]) if said[place] else None,
            precision_interval=wilson_interval(round(float(precision[place] * said[place])), int(said[place])),
            f1=float(f1[place]),
            f1_interval=(float(ends[place, 0]), float(ends[place, 1])),
        )
        for place, index in enumerate(there.tolist())
    )
    return ClassFigures(classes, float(precision.mean()), means[0], float(f1.mean()), means[1])


def _drawn_figures(
    targets: NDArray[np.int64], predicted: NDArray[np.int64], classes: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision and F1 of each class in draws of as many photos, ``[rounds, classes]``; NaN where a draw has none.

    By counting, for scikit-learn's function takes milliseconds, a thousand times.
    """

    def figures(true: NDArray[np.int64], said: NDArray[np.int64]) -> NDArray[np.float64]:
        right, photos, called = (
            np.bincount(places, minlength=classes + 1)[:classes].astype(np.float64)
            for places in (true[true == said], true, said)
        )
        there = photos > 0
        found = np.full((2, classes), np.nan)
        found[0, there] = right[there] / np.maximum(called[there], 1)
        found[1, there] = 2 * right[there] / (photos[there] + called[there])
        return found

    drawn = bootstrap_values(figures, targets, predicted, rounds=_CLASS_ROUNDS, seed=seed)
    return drawn[:, 0], drawn[:, 1]


def _ends(drawn: NDArray[np.float64]) -> Interval:
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)


def mean_recall(matrix: NDArray[np.int64]) -> tuple[float, Interval]:
    """The mean over the classes with photos of the share found, each class weighing the same, and its interval.

    The interval is normal, each class's variance estimated as Agresti and Coull (1998) do, so that a class of few
    photos that were all found does not count as certain.
    """
    photos = matrix.sum(axis=1)
    there = photos > 0
    if not there.any():
        return 0.0, (0.0, 1.0)
    right, photos = np.diag(matrix)[there], photos[there]
    mean = float((right / photos).mean())
    smoothed = (right + 2) / (photos + 4)
    half = Z95 * math.sqrt(float((smoothed * (1 - smoothed) / (photos + 4)).sum())) / len(photos)
    return mean, (max(0.0, mean - half), min(1.0, mean + half))


def most_confused(matrix: NDArray[np.int64], labels: Sequence[Label], most: int = 20) -> tuple[Confusion, ...]:
    """The ``most`` frequent mistakes of a confusion matrix, by their share of the true class, the largest first."""
    photos = matrix.sum(axis=1, keepdims=True)
    wrong = matrix * ~np.eye(len(matrix), dtype=bool)
    shares = wrong / np.maximum(photos, 1)
    # Equal shares: the one of more photos first, then in the order of the labels.
    order = np.lexsort((np.arange(wrong.size), -wrong.ravel(), -shares.ravel()))[:most]
    pairs = (np.unravel_index(place, wrong.shape) for place in order if wrong.ravel()[place])
    return tuple(
        Confusion(labels[true], labels[said], float(shares[true, said]), int(wrong[true, said])) for true, said in pairs
    )


def condensed(matrix: NDArray[np.int64], labels: Sequence[Label]) -> tuple[tuple[Label, ...], NDArray[np.int64]]:
    """The classes that have photos, ``k`` of them, and their rows ``[k, k + 1]``; the last column counts all others.

    So a matrix over many classes of which few were tried fits on a page, and its rows still sum to the photos.
    """
    there = np.flatnonzero(matrix.sum(axis=1))
    rows = matrix[there]
    within = rows[:, there]
    others = rows.sum(axis=1, keepdims=True) - within.sum(axis=1, keepdims=True)
    return tuple(labels[int(index)] for index in there), np.concatenate([within, others], axis=1)
