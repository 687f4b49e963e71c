"""Figures of merit: shares with their intervals, and who is taken for whom.

What scikit-learn and SciPy have is theirs; both come with the extra ``evaluate``.
"""

from __future__ import annotations

import math
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

    ``precision`` is None where no photo was called so. Both intervals are Wilson's.
    """

    label: Label
    photos: int
    recall: float
    recall_interval: Interval
    said: int
    precision: float | None
    precision_interval: Interval


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


def confusion_matrix(targets: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Photos by true class (row) and predicted class (column), ``[classes, classes]``.

    Raises MissingExtra without scikit-learn.
    """
    count = sklearn_metrics().confusion_matrix
    if not len(targets):
        return np.zeros((classes, classes), np.int64)
    matrix: NDArray[np.int64] = count(targets, predicted, labels=np.arange(classes)).astype(np.int64)
    return matrix


def class_figures(matrix: NDArray[np.int64], labels: Sequence[Label]) -> tuple[ClassFigure, ...]:
    """Recall and precision of each class that has photos, in the order of ``labels``, from a confusion matrix."""
    found = []
    for index, label in enumerate(labels):
        photos, said, right = int(matrix[index].sum()), int(matrix[:, index].sum()), int(matrix[index, index])
        if photos:
            recall, precision = right / photos, right / said if said else None
            found.append(
                ClassFigure(
                    label, photos, recall, wilson_interval(right, photos), said, precision, wilson_interval(right, said)
                )
            )
    return tuple(found)


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
