"""Sets of labels that hold the true one as often as is asked for, whatever the model: split conformal prediction.

A set takes every label whose probability is at least a threshold, and the first label always. The threshold is chosen
on photos whose classes are known, so that it takes in the true label of the share that is asked for (Vovk, Gammerman
and Shafer 2005; Sadinle, Lei and Wasserman 2019, "Least Ambiguous Set-Valued Classifiers with Bounded Error Levels").
That share then holds on average for any photos that come like these (exchangeable with them), not for each class.

Adaptive sets (Romano, Sesia and Candès 2020) and regularised ones (Angelopoulos, Bates, Malik and Jordan 2021) were
tried on photos that were held out of the bundled model's training; ``docs/evaluation.md`` has the figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from veduta.errors import UsageError
from veduta.evaluation.metrics import Interval, bootstrap_interval, wilson_interval
from veduta.records import Label

#: How often a set is to hold the true label.
LEVEL = 0.95

FOLDS = 10


@dataclass(frozen=True, slots=True)
class ClassCoverage:
    """Of the ``photos`` of a class, how many had the true label in their set, and the labels in a set on average."""

    label: Label
    photos: int
    covered: int
    mean_size: float

    @property
    def coverage(self) -> float:
        """The share of them."""
        return self.covered / self.photos

    @property
    def interval(self) -> Interval:
        """Its 95 % interval (Wilson 1927)."""
        return wilson_interval(self.covered, self.photos)


@dataclass(frozen=True, slots=True, eq=False)
class LabelSets:
    """What sets of labels reached on ``photos`` photos, each fold's with the threshold that the other folds chose.

    ``coverage`` is the share of sets that hold the true label, with Wilson's interval; ``mean_size`` that of a set,
    with the bootstrap's. ``sizes`` ``[n]`` are the labels in each set. ``classes`` are those that have photos, the
    least covered first. ``threshold`` is what all photos together choose: the probability from which on a label belongs
    to the set of a further photo.
    """

    level: float
    folds: int
    photos: int
    coverage: float
    coverage_interval: Interval
    mean_size: float
    mean_size_interval: Interval
    threshold: float
    classes: tuple[ClassCoverage, ...]
    sizes: NDArray[np.int64] = field(repr=False)

    @property
    def sentence(self) -> str:
        """What was reached, in words."""
        return (
            f"Sets of labels that are to hold the true one in {100 * self.level:.4g} % of cases held it in "
            f"{self.coverage:.1%} ({self.coverage_interval[0]:.1%} – {self.coverage_interval[1]:.1%}), with "
            f"{self.mean_size:.2f} labels on average; {np.mean(self.sizes == 1):.0%} of the sets are a single label."
        )


def label_sets(probabilities: NDArray[np.floating], threshold: float) -> NDArray[np.bool_]:
    """The sets of photos ``[n, classes]``: labels of at least ``threshold``, and the first label of each photo."""
    sets: NDArray[np.bool_] = probabilities >= threshold
    sets[np.arange(len(sets)), probabilities.argmax(axis=1)] = True
    return sets


def conformal_threshold(probabilities: NDArray[np.floating], targets: NDArray[np.int64], level: float = LEVEL) -> float:
    """The highest threshold at which sets of further photos hold the true label with a probability of ``level``.

    ``probabilities`` ``[n, classes]`` and ``targets`` ``[n]`` are of photos that the model did not learn from. Of n + 1
    photos that come in any order, the last is as likely as any to have one of the least probable true labels; so the
    threshold lets the n + 1 times 1 - ``level`` least probable go, rounded down. True labels that are first
    count as certain, for they are always in the set. 0, which takes every label, where n is too small.
    """
    rows = np.arange(len(targets))
    own = np.where(probabilities.argmax(axis=1) == targets, 1.0, probabilities[rows, targets].astype(np.float64))
    spared = math.floor((len(own) + 1) * (1.0 - level) + 1e-9)
    return float(np.sort(own)[spared - 1]) if spared else 0.0


def fewest_photos(level: float = LEVEL) -> int:
    """How many photos it takes to choose a threshold that leaves any label out."""
    return math.ceil(1.0 / (1.0 - level) - 1e-9) - 1


def judge_label_sets(
    labels: Sequence[Label],
    probabilities: NDArray[np.floating],
    targets: NDArray[np.int64],
    *,
    level: float = LEVEL,
    folds: int = FOLDS,
    seed: int = 0,
) -> LabelSets | None:
    """Choose thresholds on ``folds`` parts of the photos but one, measure their sets on that one, and so in turn.

    ``probabilities`` ``[n, classes]``, ``targets`` ``[n]``; the parts are drawn by ``seed``. None where there are too
    few photos to choose a threshold in each turn. Raises UsageError for a level not between 0 and 1, fewer than two
    folds, and other shapes.
    """
    if not 0.0 < level < 1.0 or folds < 2:
        raise UsageError(
            f"sets at {level:g} in {folds} parts can't be made; give a level below 1, and 2 parts or more."
        )
    if probabilities.shape != (len(targets), len(labels)):
        raise UsageError(
            f"probabilities of {list(probabilities.shape)} have no sets for {len(targets)} answers over "
            f"{len(labels)} classes; give one row for each photo."
        )
    count = len(targets)
    if count - math.ceil(count / folds) < fewest_photos(level):
        return None
    fold = np.random.default_rng(seed).permutation(count) % folds
    sets = np.zeros(probabilities.shape, bool)
    for part in range(folds):
        held = fold == part
        sets[held] = label_sets(probabilities[held], conformal_threshold(probabilities[~held], targets[~held], level))
    covered, sizes = sets[np.arange(count), targets], sets.sum(axis=1)
    return LabelSets(
        level=level,
        folds=folds,
        photos=count,
        coverage=float(covered.mean()),
        coverage_interval=wilson_interval(int(covered.sum()), count),
        mean_size=float(sizes.mean()),
        mean_size_interval=bootstrap_interval(lambda drawn: float(drawn.mean()), sizes, seed=seed),
        threshold=conformal_threshold(probabilities, targets, level),
        classes=_by_class(labels, targets, covered, sizes),
        sizes=sizes,
    )


def _by_class(
    labels: Sequence[Label], targets: NDArray[np.int64], covered: NDArray[np.bool_], sizes: NDArray[np.int64]
) -> tuple[ClassCoverage, ...]:
    found = []
    for index in np.unique(targets).tolist():
        own = targets == index
        found.append(ClassCoverage(labels[index], int(own.sum()), int(covered[own].sum()), float(sizes[own].mean())))
    return tuple(sorted(found, key=lambda each: (each.coverage, -each.photos, each.label.id)))
