"""From long vectors to short ones: principal components, and the directions in which a place looks like itself.

What changes between two views of one photo, or between photos of one landmark, should count for little, and what tells
landmarks apart for much (Mikolajczyk and Matas 2007, "Improving Descriptors for Fast Tree Matching by Optimal Linear
Projection"; Radenović et al. 2018, "Fine-tuning CNN Image Retrieval with No Human Annotation"). ``docs/landmarks.md``
tells what that brings.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from veduta.errors import TrainingError

Floats = NDArray[np.float32]

#: The power of whitening: 0 keeps components as loud as they are, 1 makes all of them as loud.
WHITENING = 0.65
#: So much the differences within a landmark count beside those between views: those of the landmarks at hand, learnt in
#: full, cost others that are enrolled afterwards from a few photos.
WITHIN = 0.1
#: So much of the mean variance is added to each direction's, so that those in which nothing changed are not trusted.
SHRINKAGE = 0.3


def principal_components(values: Floats, size: int, whitening: float = WHITENING) -> tuple[Floats, Floats]:
    """The mean ``[d]`` of values ``[n, d]`` and their first ``size`` components ``[size, d]``, largest first.

    Each is divided by its singular value, relative to the largest, to the power of ``whitening`` (Jégou and Chum 2012,
    "Negative Evidences and Co-occurrences in Image Retrieval: The Benefit of PCA and Whitening").
    Raises TrainingError for fewer values than components.
    """
    if min(values.shape) < size:
        raise TrainingError(
            f"{len(values)} photos of {values.shape[1]} numbers have no {size} components; add photos, or make the "
            "embedding shorter."
        )
    mean = values.mean(axis=0, dtype=np.float64)
    _, strengths, components = np.linalg.svd(values - mean, full_matrices=False)
    weights = np.maximum(strengths[:size] / strengths[0], 1e-6) ** -whitening
    # The sign of a component is arbitrary: its largest number is made positive, so that photos alone decide.
    signs = np.sign(components[np.arange(size), np.abs(components[:size]).argmax(axis=1)])
    wanted = components[:size] * (signs * weights)[:, None]
    return mean.astype(np.float32), wanted.astype(np.float32)


def learned_whitening(
    values: Floats, targets: NDArray[np.int64], views: Sequence[Floats], size: int
) -> tuple[Floats, Floats]:
    """The origin ``[d]`` and the projection ``[size, d]``: a vector x becomes projection @ (x - origin).

    ``values`` are ``[n, d]``, ``views`` the same photos changed at random, as often as one likes; ``targets`` ``[n]``
    are their landmarks, the last number "no landmark". The origin is the mean of those without one, so that what looks
    like any of them has no direction of its own.
    Raises TrainingError for fewer values than ``size``.
    """
    changes = _covariance_of_changes([values, *views]) + WITHIN * _covariance_within(values, targets)
    shrunk = changes + SHRINKAGE * np.trace(changes) / len(changes) * np.eye(len(changes))
    variances, directions = np.linalg.eigh(shrunk)
    evened = (directions / np.sqrt(variances)) @ directions.T
    _, components = principal_components((values @ evened).astype(np.float32), size)
    others = values[targets == targets.max()]
    return others.mean(axis=0), (components @ evened).astype(np.float32)


def _covariance_of_changes(versions: Sequence[Floats]) -> NDArray[np.float64]:
    """Of the difference between two versions of a photo, over all photos and pairs, halved as for one version."""
    width = versions[0].shape[1]
    total, count = np.zeros((width, width)), 0
    for one, other in combinations(versions, 2):
        differences = (one - other).astype(np.float64)
        total += differences.T @ differences / 2
        count += len(differences)
    return total / max(1, count)


def _covariance_within(values: Floats, targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of photos of landmarks about the middle of their own."""
    total, count = np.zeros((values.shape[1], values.shape[1])), 0
    for landmark in np.unique(targets)[:-1]:
        own = values[targets == landmark].astype(np.float64)
        apart = own - own.mean(axis=0)
        total += apart.T @ apart
        count += len(own)
    return total / max(1, count)
