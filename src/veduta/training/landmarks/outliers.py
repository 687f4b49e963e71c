"""Photos that were found under a landmark's name and show something else: dropped before a training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from veduta.recognition.landmarks.references import unit

#: What a training dropped before it began, in its folder.
DROPPED = "dropped.csv"
#: The share of the worst photos of all landmarks that is dropped.
SHARE = 0.06

# A class's middle is that of the better part of its photos, found in so many rounds.
_ROUNDS, _BETTER = 3, 0.6
# A photo is as near to the others as the mean of so many of them.
_NEIGHBOURS = 5


def outlyingness(
    embeddings: NDArray[np.float32], targets: NDArray[np.int64], others: NDArray[np.float32]
) -> NDArray[np.float32]:
    """How little each photo ``[n]`` belongs to its landmark: larger is worse.

    ``embeddings`` ``[n, d]`` and those of ``others`` ``[m, d]``, photos without landmarks, have length one. It is half
    the similarity to the next landmark, or to others, minus that to the middle of its own; the middle is the mean of
    the photos that fit best, so that wrong photos have no say in it.
    """
    trusted = np.ones(len(targets), bool)
    classes = int(targets.max()) + 1
    nearest = np.sort(embeddings @ others.T, axis=1)[:, -_NEIGHBOURS:].mean(axis=1) if len(others) else -np.ones(1)
    rows = np.arange(len(targets))
    worse = np.zeros(len(targets), np.float32)
    for _ in range(_ROUNDS):
        middles = unit(np.stack([embeddings[trusted & (targets == each)].mean(axis=0) for each in range(classes)]))
        similarities = embeddings @ middles.T
        own = similarities[rows, targets]
        similarities[rows, targets] = -1
        rival = np.maximum(similarities.max(axis=1), nearest) if classes > 1 else nearest
        worse = (0.5 * rival - own).astype(np.float32)
        for each in range(classes):
            inside = targets == each
            trusted[inside] = worse[inside] <= np.quantile(worse[inside], _BETTER)
    return worse


def outliers(
    embeddings: NDArray[np.float32], targets: NDArray[np.int64], others: NDArray[np.float32], share: float = SHARE
) -> NDArray[np.bool_]:
    """Which photos ``[n]`` are dropped: the ``share`` of all that belong to their landmark least, and of no landmark
    more than half.
    """
    worse = outlyingness(embeddings, targets, others)
    dropped = worse > np.quantile(worse, 1 - share) if share else np.zeros(len(worse), bool)
    for each in np.unique(targets):
        inside = np.flatnonzero(targets == each)
        best = inside[np.argsort(worse[inside], kind="stable")[: len(inside) - len(inside) // 2]]
        dropped[best] = False
    found: NDArray[np.bool_] = dropped
    return found
