"""How often photos of a category have each attribute, by the annotations of SUN.

Some twenty photos of a category are annotated, so a frequency is known to no better than ten points. Attributes go
together (trees with leaves, asphalt with driving), and what 717 categories show of that mends the frequencies: each
category's are drawn towards the mean, the more the less its photos tell of a direction in which categories differ
(Efron and Morris 1972, "Empirical Bayes on vector observations").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veduta.records import Label

Numbers = NDArray[np.float64]

# So little is added to the variance of each attribute that no direction is free of it.
_LEAST_VARIANCE = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class Frequencies:
    """``counted`` and ``shrunk`` ``[classes, attributes]``, as they were counted and drawn towards the mean.

    A row is NaN where neither the class nor a kin of it was annotated. ``photos`` ``[classes]`` are how many were
    counted, and ``kin`` names for a class that was not annotated itself the categories which stand for it.
    """

    counted: Numbers
    shrunk: Numbers
    photos: NDArray[np.int64]
    kin: dict[str, tuple[str, ...]]


def count_frequencies(present: NDArray[np.bool_], categories: Sequence[str], labels: Sequence[Label]) -> Frequencies:
    """The frequencies of ``labels`` in photos that have the attributes ``present`` ``[n, attributes]``."""
    names, first, place = np.unique(sorted(categories), return_index=True, return_inverse=True)
    ordered = present[np.argsort(np.array(categories), kind="stable")].astype(np.float64)
    photos, sums = np.bincount(place), np.add.reduceat(ordered, first)
    stand_ins = [_stand_ins(label, labels, set(names.tolist())) for label in labels]
    chosen = np.array([[name in each for name in names] for each in stand_ins], float)
    counts = (chosen @ photos).astype(np.float64)
    with np.errstate(invalid="ignore"):
        counted = (chosen @ sums) / counts[:, None]
    return Frequencies(
        counted,
        _shrunk(counted, counts, ordered, sums / photos[:, None], place),
        counts.astype(np.int64),
        {label.id: each for label, each in zip(labels, stand_ins, strict=True) if label.id not in each and each},
    )


def _stand_ins(label: Label, labels: Sequence[Label], annotated: set[str]) -> tuple[str, ...]:
    """The category itself; else those of its name but for what follows a ``/``; else those of its everyday label that
    are indoors, or outdoors, as it is.
    """
    if label.id in annotated:
        return (label.id,)
    kind = label.id.split("/")[0]
    kin = sorted(name for name in annotated if name.split("/")[0] == kind)
    if not kin and label.coarse is not None:
        like = (label.coarse, label.environment)
        kin = sorted({each.id for each in labels if (each.coarse, each.environment) == like} & annotated)
    return tuple(kin)


def _shrunk(counted: Numbers, counts: Numbers, present: Numbers, means: Numbers, place: NDArray[np.intp]) -> Numbers:
    """Drawn towards the mean of all photos by the covariances within and between categories."""
    mean = present.mean(axis=0)
    apart = present - means[place]
    within = apart.T @ apart / max(1, len(present) - len(means))
    # The means of few photos vary by chance as well.
    between = _positive(np.cov(means.T) - within * (1 / np.bincount(place)).mean())
    least = _LEAST_VARIANCE * np.eye(len(mean))
    shrunk = np.full_like(counted, np.nan)
    for count in np.unique(counts[counts > 0]):
        rows = counts == count
        kept = between @ np.linalg.inv(between + within / count + least)
        shrunk[rows] = np.clip(mean + (counted[rows] - mean) @ kept.T, 0, 1)
    return shrunk


def _positive(covariance: Numbers) -> Numbers:
    """The nearest covariance: what was taken off for chance may have been too much."""
    values, vectors = np.linalg.eigh(covariance)
    positive: Numbers = (vectors * np.maximum(values, 0)) @ vectors.T
    return positive
