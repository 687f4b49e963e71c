"""Figures of merit: accuracy with its interval, and how far probabilities can be believed."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def top_k_hits(scores: NDArray[np.floating], targets: NDArray[np.int64], k: int) -> NDArray[np.bool_]:
    """For each row of ``scores`` ``[n, classes]``, whether its target is among the ``k`` highest."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    hits: NDArray[np.bool_] = (order == targets[:, None]).any(axis=1)
    return hits


def wilson_interval(hits: int, count: int, z: float = 1.959964) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927), as (low, high)."""
    if count == 0:
        return 0.0, 1.0
    share, square = hits / count, z * z
    centre = (share + square / (2 * count)) / (1 + square / count)
    half = z * math.sqrt(share * (1 - share) / count + square / (4 * count * count)) / (1 + square / count)
    return max(0.0, centre - half), min(1.0, centre + half)


def expected_calibration_error(
    probabilities: NDArray[np.floating], targets: NDArray[np.int64], bins: int = 15
) -> float:
    """The mean gap between the top label's probability and its accuracy over equal-width bins (Guo et al. 2017)."""
    top = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == targets
    bin_of = np.minimum((top * bins).astype(int), bins - 1)
    counts = np.bincount(bin_of, minlength=bins)
    gaps = np.abs(np.bincount(bin_of, top, bins) - np.bincount(bin_of, right, bins))
    return float(gaps.sum() / counts.sum())
