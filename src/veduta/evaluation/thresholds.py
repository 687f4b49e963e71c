"""What a threshold on the first label's probability gives, and the threshold that keeps a wanted precision.

Everything here is of ``confidence`` ``[n]``, the probability of what was said about each photo, and ``right`` ``[n]``,
whether it was right; so it serves any answers that are accepted above a threshold and withheld below. The photos must
be others than the model learnt from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veduta.errors import MissingExtra, UsageError
from veduta.evaluation.metrics import Interval, wilson_interval

#: Thresholds that a table tells.
GRID = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)

#: How sure a promise is.
LEVEL = 0.95

# A sequence of tests begins where so many mistakes, at the most, would still pass, as long as that takes no more than
# half of the photos: one mistake at the very top then ends nothing. On 4,000 photos of made models it kept 49 % above
# the threshold where 54 % were possible, and 40 % where it began with as many as must all be right. Each step takes a
# twentieth more photos; steps of a tenth or a fifth found as much.
_MOST_MISTAKES = 3
_STEP = 1.05


@dataclass(frozen=True, slots=True)
class ThresholdRow:
    """The photos whose answer is at least ``threshold`` probable (above), and the others (below), right and wrong."""

    threshold: float
    above_right: int
    above_wrong: int
    below_right: int
    below_wrong: int

    @property
    def above(self) -> int:
        """Photos that get an answer."""
        return self.above_right + self.above_wrong

    @property
    def below(self) -> int:
        """Photos whose answer is withheld."""
        return self.below_right + self.below_wrong

    @property
    def accuracy_over_all(self) -> float:
        """The share of all photos that get a right answer: withheld ones count as wrong."""
        return self.above_right / (self.above + self.below)

    @property
    def accuracy_above(self) -> float | None:
        """The share that is right of the photos that get an answer, None where none does."""
        return self.above_right / self.above if self.above else None

    @property
    def interval_above(self) -> Interval:
        """The 95 % interval of ``accuracy_above`` (Wilson 1927), for this threshold alone."""
        return wilson_interval(self.above_right, self.above)


@dataclass(frozen=True, slots=True)
class Promise:
    """A ``threshold`` from which on at least the share ``precision`` is right, ``level`` sure; None for none.

    Of ``photos``, ``above`` are at least that probable and ``right`` of them were right. ``bound`` is the lower bound
    of the precision there (Clopper and Pearson 1934, one-sided). ``needed`` is how many photos above a threshold it
    takes at least, all of them right.
    """

    precision: float
    level: float
    photos: int
    needed: int
    threshold: float | None = None
    above: int = 0
    right: int = 0
    bound: float = 0.0

    @property
    def coverage(self) -> float:
        """The share of photos above the threshold; 0 where there is none."""
        return self.above / self.photos if self.threshold is not None else 0.0

    @property
    def coverage_interval(self) -> Interval:
        """Its 95 % interval (Wilson 1927)."""
        return wilson_interval(self.above, self.photos)

    @property
    def sentence(self) -> str:
        """The promise, or that there are too few photos for it, and why."""
        wanted = f"{100 * self.precision:.4g} %"
        if self.threshold is not None:
            return (
                f"From a probability of {self.threshold:.3f} on, at least {wanted} are right. {self.coverage:.1%} of "
                f"the photos reach it: {self.above:,}, of which {self.right:,} were right."
            )
        if self.photos < self.needed:
            return (
                f"Too few photos to promise this: {wanted} takes at least {self.needed:,} that are all right, and "
                f"there {'is' if self.photos == 1 else 'are'} {self.photos:,}."
            )
        return (
            f"Too few photos to promise this: {wanted} takes at least {self.needed:,} above a threshold that are all "
            "right, or more with few mistakes, and even the surest photos have too many."
        )


def threshold_table(
    confidence: NDArray[np.floating], right: NDArray[np.bool_], grid: Sequence[float] = GRID
) -> tuple[ThresholdRow, ...]:
    """A row for each threshold of ``grid``, in its order.

    Raises UsageError for no photos, numbers that are no probabilities, or a grid that does not rise from 0 to 1.
    """
    _check(confidence, right)
    if not grid or not all(0.0 <= each <= 1.0 for each in grid) or any(a >= b for a, b in pairwise(grid)):
        raise UsageError(f"the thresholds {list(grid)} can't make a table; give some from 0 to 1 that rise.")
    hits, rows = right.astype(bool), []
    for threshold in grid:
        above = confidence >= threshold
        rows.append(
            ThresholdRow(
                threshold=float(threshold),
                above_right=int((above & hits).sum()),
                above_wrong=int((above & ~hits).sum()),
                below_right=int((~above & hits).sum()),
                below_wrong=int((~above & ~hits).sum()),
            )
        )
    return tuple(rows)


def threshold_for_precision(
    confidence: NDArray[np.floating], right: NDArray[np.bool_], precision: float, level: float = LEVEL
) -> Promise:
    """The lowest threshold above which at least ``precision`` of the answers are right, by a binomial lower bound.

    The bound at one threshold is Clopper and Pearson's (1934), one-sided, ``level`` sure. Trying many thresholds and
    keeping one that passes would promise too much, so they are tested in a fixed sequence, the surest photos first and
    ever more of them, and the first that fails ends it: a wrong promise then needs a mistake at the first threshold
    that is too low, and that is made in at most one of twenty such measurements ("Learn then Test", Angelopoulos,
    Bates, Candès, Jordan and Lei 2021, who test so against any risk). How many photos it begins with follows from their
    number alone, never from which are right. It holds where all thresholds below one that is too low are too low as
    well, and for photos like these alone.

    Raises UsageError for no photos, numbers that are no probabilities, or a precision or level not between 0 and 1;
    MissingExtra without SciPy.
    """
    _check(confidence, right)
    if not (0.0 < precision < 1.0 and 0.0 < level < 1.0):
        raise UsageError(
            f"a precision of {precision:g} can't be promised {level:g} sure; give both between 0 and 1, such as 0.95."
        )
    order = np.argsort(-confidence, kind="stable")
    ordered, hits = confidence[order], np.cumsum(right[order].astype(np.int64))
    photos, needed = len(order), fewest_photos(precision, level)
    found = Promise(precision, level, photos, needed)
    count = _begin(photos, precision, level)
    while count <= photos:
        # Equals share a threshold.
        count = int(np.searchsorted(-ordered, -ordered[count - 1], side="right"))
        bound = lower_bound(int(hits[count - 1]), count, level)
        if bound < precision:
            break
        found = Promise(precision, level, photos, needed, float(ordered[count - 1]), count, int(hits[count - 1]), bound)
        count = photos + 1 if count == photos else min(photos, max(count + 1, math.ceil(count * _STEP)))
    return found


def lower_bound(hits: int, count: int, level: float = LEVEL) -> float:
    """What a share is at least, ``level`` sure, of which ``hits`` of ``count`` were seen: Clopper and Pearson's bound.

    0 for no hits. Raises MissingExtra without SciPy.
    """
    beta = _scipy_stats().beta
    return float(beta.ppf(1.0 - level, hits, count - hits + 1)) if hits else 0.0


@cache
def fewest_photos(precision: float, level: float = LEVEL, mistakes: int = 0) -> int:
    """How many photos with so many mistakes among them give a ``lower_bound`` of at least ``precision``."""
    if not mistakes:
        # All right n times in a row has the probability precision ** n.
        return math.ceil(math.log(1.0 - level) / math.log(precision) - 1e-9)
    low, high = mistakes + 1, 2 * (mistakes + 1)
    while lower_bound(high - mistakes, high, level) < precision:
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        if lower_bound(middle - mistakes, middle, level) >= precision:
            high = middle
        else:
            low = middle + 1
    return high


def _begin(photos: int, precision: float, level: float) -> int:
    for mistakes in range(_MOST_MISTAKES, 0, -1):
        count = fewest_photos(precision, level, mistakes)
        if count <= photos / 2:
            return count
    return fewest_photos(precision, level)


def _scipy_stats() -> Any:
    try:
        from scipy import stats
    except ModuleNotFoundError as error:
        raise MissingExtra('a bound needs SciPy; install it with: pip install "veduta[evaluate]"') from error
    return stats


def _check(confidence: NDArray[np.floating], right: NDArray[np.bool_]) -> None:
    if confidence.shape != right.shape or confidence.ndim != 1 or not len(confidence):
        raise UsageError(
            f"probabilities of {list(confidence.shape)} and answers of {list(right.shape)} tell no threshold; give one "
            "of each for each photo, at least one."
        )
    # A sum of float32 probabilities may end a hair above one.
    if not (confidence.min() >= 0.0 and confidence.max() <= 1.0 + 1e-5):
        raise UsageError("a threshold needs probabilities from 0 to 1; take the softmax of the logits first.")
