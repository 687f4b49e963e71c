"""How good logits are once they are calibrated, in one number; no torch."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from veduta.evaluation.calibration import fit_temperature


def calibrated_loss(logits: NDArray[np.float32], targets: NDArray[np.int64] | NDArray[np.float32]) -> float:
    """The cross-entropy of ``logits`` ``[n, c]`` at the temperature that suits them best, a mean over the photos.

    Targets are classes ``[n]``, or 1 for each label that is present ``[n, c]``: then a mean over the labels, too. What
    is exported is calibrated anyway; without that, of two classifiers the surer one, or the less smoothed one, would
    be taken for the better one. No number where a logit is none. What ``fit_temperature`` raises.
    """
    rows = logits.astype(np.float64)
    if not np.isfinite(rows).all():
        return math.nan
    if targets.ndim == 1:
        answers = targets.astype(np.int64)
        rows = rows / fit_temperature(logits, answers)
        top = rows.max(axis=1)
        total = top + np.log(np.exp(rows - top[:, None]).sum(axis=1))
        return float((total - rows[np.arange(len(rows)), answers]).mean())
    present = targets > 0
    rows = rows / fit_temperature(logits, present, "multi_label")
    return float(np.logaddexp(0, np.where(present, -rows, rows)).mean())
