"""How good answers about landmarks are, on photos of landmarks and on photos of none.

An answer names the most similar landmark and its score, how far it is above that landmark's threshold; below 0 the
answer is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veduta.errors import UsageError
from veduta.evaluation.metrics import wilson_interval

#: The class of a photo without a landmark.
NONE = -1


@dataclass(frozen=True, slots=True)
class Share:
    """``right`` of ``count``, with a 95 % interval (Wilson 1927)."""

    right: int
    count: int

    @property
    def value(self) -> float:
        """From 0 to 1; 0 of nothing."""
        return self.right / self.count if self.count else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The lower and the upper end."""
        return wilson_interval(self.right, self.count)


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Of n photos the true landmark, the one that is answered, and its score: int64, int64 and float ``[n]``.

    ``truths`` is ``NONE`` for a photo without a landmark, or with one that the index does not have.
    """

    truths: NDArray[np.int64]
    answers: NDArray[np.int64]
    scores: NDArray[np.float64]

    def __post_init__(self) -> None:
        if not len(self.truths) == len(self.answers) == len(self.scores) or not len(self.truths):
            raise UsageError("each photo needs a truth, an answer and a score, and there must be photos.")

    @property
    def of_landmarks(self) -> NDArray[np.bool_]:
        """Which photos ``[n]`` show a landmark."""
        shown: NDArray[np.bool_] = self.truths != NONE
        return shown

    @property
    def right(self) -> NDArray[np.bool_]:
        """Where the answer is the landmark, whatever its score."""
        right: NDArray[np.bool_] = self.of_landmarks & (self.truths == self.answers)
        return right

    def found(self, threshold: float = 0.0) -> Share:
        """Landmarks that are named, and rightly."""
        return Share(int((self.right & (self.scores >= threshold)).sum()), int(self.of_landmarks.sum()))

    def refused(self, threshold: float = 0.0) -> Share:
        """Photos without a landmark of which none is named."""
        without = ~self.of_landmarks
        return Share(int((without & (self.scores < threshold)).sum()), int(without.sum()))

    def closed_set(self) -> Share:
        """Landmarks whose photo resembles no other landmark more, were there no photo without one."""
        return Share(int(self.right.sum()), int(self.of_landmarks.sum()))

    def threshold_at(self, false_alarms: float) -> float:
        """The lowest score at which at most this share of the photos without landmarks is given one.

        It is an oracle's: chosen on the photos that are judged. Raises UsageError without such photos.
        """
        scores = np.sort(self.scores[~self.of_landmarks])[::-1]
        if not len(scores):
            raise UsageError("there is no photo without a landmark to tell false alarms by; name some (--others).")
        return float(np.nextafter(scores[int(false_alarms * len(scores))], np.inf))


def global_average_precision(answers: Answers) -> float:
    """GAP, the micro average precision of the Google Landmarks challenges (Perronnin et al. 2009, "A Family of
    Contextual Measures of Similarity between Distributions with Application to Image Retrieval").

    All answers sorted by their score, the sum of precision at i over the right ones, divided by the number of photos
    that show a landmark. Photos without one can only come between.
    """
    order = np.argsort(-answers.scores, kind="stable")
    right = answers.right[order]
    precisions = np.cumsum(right) / np.arange(1, len(right) + 1)
    count = int(answers.of_landmarks.sum())
    return float((precisions * right).sum() / count) if count else 0.0


@dataclass(frozen=True, slots=True)
class ByLandmark:
    """Means over the landmarks that have photos: precision of one that is never named counts 0, as its recall does."""

    precision: float
    recall: float
    landmarks: int


def by_landmark(answers: Answers, threshold: float = 0.0) -> ByLandmark:
    """Precision and recall of each landmark, averaged; each counts the same, however many photos it has."""
    named = np.where(answers.scores >= threshold, answers.answers, NONE)
    precisions, recalls = [], []
    for landmark in np.unique(answers.truths[answers.of_landmarks]):
        true, said = answers.truths == landmark, named == landmark
        both = int((true & said).sum())
        precisions.append(both / max(1, int(said.sum())))
        recalls.append(both / int(true.sum()))
    mean = (float(np.mean(precisions)), float(np.mean(recalls))) if recalls else (0.0, 0.0)
    return ByLandmark(*mean, len(recalls))


def some_of_each(truths: Sequence[int], most: int, seed: int) -> NDArray[np.int64]:
    """Places of at most ``most`` photos of each landmark, drawn by ``seed``, and of none of the others."""
    values = np.asarray(truths, np.int64)
    chosen = []
    for landmark in np.unique(values[values != NONE]):
        members = np.flatnonzero(values == landmark)
        drawn = np.random.default_rng((seed, int(landmark))).permutation(members)[:most]
        chosen.append(np.sort(drawn))
    return np.concatenate(chosen) if chosen else np.empty(0, np.int64)
