"""Scores that mean something: the temperature that makes a head's softmax a calibrated probability."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from veduta.errors import MissingExtra

#: Temperatures outside this range mean that something else is wrong with the logits.
_LOWEST, _HIGHEST = 0.05, 20.0


def fit_temperature(logits: NDArray[np.float32], targets: NDArray[np.int64]) -> float:
    """The temperature of least cross-entropy on held-out photos (Guo et al. 2017).

    ``logits`` ``[n, classes]``, ``targets`` ``[n]``. Raises MissingExtra without the extra train.
    """
    try:
        from scipy.optimize import minimize_scalar
        from scipy.special import log_softmax
    except ModuleNotFoundError as error:
        raise MissingExtra('fitting a temperature needs scipy; install it with: pip install "veduta[train]"') from error

    rows = np.arange(len(targets))

    def cross_entropy(log_temperature: float) -> float:
        scaled = logits.astype(np.float64) / math.exp(log_temperature)
        return float(-log_softmax(scaled, axis=1)[rows, targets].mean())

    # It is convex in the inverse temperature, so the one minimum within the bounds is the minimum.
    found = minimize_scalar(cross_entropy, bounds=(math.log(_LOWEST), math.log(_HIGHEST)), method="bounded")
    return math.exp(found.x)
