"""Which photos a training never sees, by a seeded rule."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def hold_out(targets: NDArray[np.int64], per_class: int, seed: int) -> NDArray[np.bool_]:
    """Mark ``per_class`` photos of each class in ``targets`` ``[n]``; the draw of a class depends on the seed, the
    class and its number of photos alone."""
    held = np.zeros(len(targets), bool)
    for target in np.unique(targets):
        members = np.flatnonzero(targets == target)
        held[np.random.default_rng((seed, int(target))).choice(members, per_class, replace=False)] = True
    return held
