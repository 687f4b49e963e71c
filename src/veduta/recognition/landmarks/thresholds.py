"""From which similarity on a photo shows a landmark: chosen for a wanted rate of false alarms among other photos.

Some landmarks look like much of the world, a temple among temples. So a landmark's threshold is one that holds for all,
or, where that is more, the mean of its similarities to photos that show no landmark and above it one distance. To
measure that in each landmark's own spread, too (Z-norm of speaker verification), let more false alarms through:
``docs/landmarks.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veduta.errors import UsageError

#: The share of photos without a landmark that may be told to show one, where nobody says otherwise.
FALSE_ALARMS = 0.01
#: Fewer other photos say nothing of a landmark; the threshold is then the same for each.
FEWEST = 30
#: The threshold of all landmarks where there are no other photos to choose by: with the bundled embedding and 30
#: landmarks of 5 photos each it finds half of them, and lets through 0.4 % of everyday photos and 1 to 3 % of scenes.
WITHOUT_OTHERS = 0.7


@dataclass(frozen=True, slots=True, eq=False)
class Thresholds:
    """``values`` float32 ``[l]``, the least similarity of each landmark; chosen for ``false_alarms`` on ``judged_on``
    photos, none of which showed any of them (0 photos: nothing was there to choose by).
    """

    values: NDArray[np.float32]
    false_alarms: float
    judged_on: int

    @property
    def usual(self) -> float:
        """That of a landmark of which nothing is known."""
        return float(np.median(self.values)) if len(self.values) else WITHOUT_OTHERS

    @property
    def calibrated(self) -> bool:
        """Whether there were photos to choose by, and enough of them for so low a rate."""
        return self.judged_on >= max(FEWEST, math.ceil(1 / self.false_alarms) - 1)


def choose_thresholds(similarities: NDArray[np.float32], false_alarms: float = FALSE_ALARMS) -> Thresholds:
    """The thresholds of l landmarks by the ``similarities`` ``[n, l]`` of n photos that show none of them.

    A further such photo passes any of them with a probability of at most ``false_alarms``: the common threshold, and
    the distance above the means, are conformal quantiles, the ceil((1 - rate) (n + 1))-th of the largest of each photo
    (Vovk et al. 2005, "Algorithmic Learning in a Random World"). With too few photos for the rate they are just above
    all of them.
    Raises UsageError for a rate that is none.
    """
    if not 0 < false_alarms < 1:
        raise UsageError(f"a rate of false alarms of {false_alarms:g} is not possible; give one such as 0.01.")
    count, landmarks = similarities.shape
    if count < FEWEST or not landmarks:
        return Thresholds(np.full(landmarks, WITHOUT_OTHERS, np.float32), false_alarms, 0)
    means = similarities.mean(axis=0, dtype=np.float64)
    rank = min(count, math.ceil((1 - false_alarms) * (count + 1)))
    common = np.sort(similarities.max(axis=1))[rank - 1]
    above_mean = np.sort((similarities - means).max(axis=1))[rank - 1]
    # The photo of that rank is no alarm itself.
    wanted = np.maximum(common, means + above_mean) + 1e-6
    return Thresholds(wanted.astype(np.float32), false_alarms, count)
