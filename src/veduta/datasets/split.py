"""Which photos a training never sees, by a seeded rule."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from veduta.errors import UsageError


def hold_out(targets: NDArray[np.int64], per_class: int, seed: int) -> NDArray[np.bool_]:
    """Mark ``per_class`` photos of each class in ``targets`` ``[n]``; the draw of a class depends on the seed, the
    class and its number of photos alone."""
    held = np.zeros(len(targets), bool)
    for target in np.unique(targets):
        members = np.flatnonzero(targets == target)
        held[np.random.default_rng((seed, int(target))).choice(members, per_class, replace=False)] = True
    return held


def hold_out_share(targets: NDArray[np.int64] | NDArray[np.float32], share: float, seed: int) -> NDArray[np.bool_]:
    """Mark ``share`` of the photos so that each class, or each label, keeps its share among them.

    ``targets`` is ``[n]``, a class each, or ``[n, c]``, 1 for each label that is present. Of many labels the rarest is
    shared out first, then the next among the photos that are left (the idea of Sechidis et al. 2011, "On the
    Stratification of Multi-label Data"). Raises UsageError where a side would stay empty.
    """
    if not 0 < share < 1:
        raise UsageError(f"a share of {share:g} can't be held out; give one between 0 and 1.")
    count = len(targets)
    held, left = np.zeros(count, bool), np.ones(count, bool)
    if targets.ndim == 1:
        groups = [targets == target for target in np.unique(targets)]
    else:
        present = targets > 0
        groups = [present[:, label] for label in np.argsort(present.sum(axis=0), kind="stable")]
        groups.append(~present.any(axis=1))
    for place, group in enumerate(groups):
        members = np.flatnonzero(group & left)
        wanted = round(share * int(group.sum())) - int((group & held).sum())
        # A class of two photos or more is on both sides.
        lowest = 1 if group.sum() > 1 and not (group & held).any() else 0
        drawn = min(max(wanted, lowest), max(0, len(members) - 1))
        held[np.random.default_rng((seed, place)).choice(members, drawn, replace=False)] = True
        left[members] = False
    if not held.any() or held.all():
        raise UsageError(f"{count} photos are too few to hold out {share:.0%} of them; add photos.")
    return held
