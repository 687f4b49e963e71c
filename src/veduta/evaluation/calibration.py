"""Scores that mean something: how far probabilities can be believed, and the temperature that makes them so."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from veduta.errors import MissingExtra, UsageError
from veduta.evaluation.metrics import Interval, wilson_interval
from veduta.models.bundle import Task

#: Temperatures outside this range mean that something else is wrong with the logits.
_LOWEST, _HIGHEST = 0.05, 20.0

#: ``width``: bins of equal width in probability, some of them nearly empty; ``mass``: bins of equally many photos.
Binning = Literal["width", "mass"]

BINS = 15
ROUNDS = 1000

#: Of fewer photos the share that is right is known to no better than 14 points at 95 %.
FEWEST_PHOTOS = 50


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Photos whose first label had a probability from ``low`` to ``high``.

    ``confidence`` is the mean of those probabilities, ``accuracy`` the share whose first label was right, ``interval``
    the 95 % interval of that share (Wilson 1927). Both means are 0 in a bin of no photos.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class CalibrationError:
    """The expected calibration error ``value`` of ``photos``, its 95 % ``interval``, and what chance alone gives.

    ``by_chance`` is the mean error that a perfectly calibrated model shows on as many photos of the same probabilities:
    never zero, for a share of few photos always misses its probability.
    """

    value: float
    interval: Interval
    by_chance: float
    photos: int

    @property
    def remark(self) -> str:
        """The sentence that an error is read beside."""
        return f"A perfectly calibrated model would show an error of {self.by_chance:.3f} on {self.photos:,} photos."


def reliability_bins(
    confidence: NDArray[np.floating], right: NDArray[np.bool_], bins: int = BINS, by: Binning = "width"
) -> tuple[ReliabilityBin, ...]:
    """What a reliability diagram shows: ``confidence`` ``[n, ...]`` in [0, 1] against whether it was ``right``.

    Bins of equal width are always ``bins`` many; bins of equal mass as many as there are different probabilities, at
    most. Raises UsageError for numbers that are no probabilities.
    """
    confidence, hits = _checked(confidence, right)
    bin_of, edges = _place(confidence, bins, by)
    shown = []
    for index in range(len(edges) - 1):
        inside = bin_of == index
        count, found_right = int(inside.sum()), int(hits[inside].sum())
        shown.append(
            ReliabilityBin(
                low=float(edges[index]),
                high=float(edges[index + 1]),
                count=count,
                confidence=float(confidence[inside].mean()) if count else 0.0,
                accuracy=found_right / count if count else 0.0,
                interval=wilson_interval(found_right, count),
            )
        )
    return tuple(shown)


def expected_calibration_error(
    probabilities: NDArray[np.floating], targets: NDArray[np.int64], bins: int = BINS, by: Binning = "width"
) -> float:
    """The gap between the first label's probability and how often it is right, averaged over photos.

    ``ECE = sum over bins of (photos in the bin / all photos) * |accuracy - mean confidence|`` (Guo et al. 2017, "On
    Calibration of Modern Neural Networks"). ``probabilities`` ``[n, classes]``, ``targets`` ``[n]``. With ``by="mass"``
    it is the adaptive error of Nixon et al. 2019. 0 for no photos.
    """
    confidence, right = _checked(probabilities.max(axis=1), probabilities.argmax(axis=1) == targets)
    return _mean_gap(confidence, right, *_place(confidence, bins, by)) if len(right) else 0.0


def classwise_calibration_error(
    probabilities: NDArray[np.floating], targets: NDArray[np.int64], bins: int = BINS
) -> float:
    """The calibration error of each class's own probability against how often it is that class, averaged over classes.

    All probabilities count, not the first label's alone (Kull et al. 2019, "Beyond temperature scaling").
    """
    errors = []
    for index in range(probabilities.shape[1]):
        confidence, right = _checked(probabilities[:, index], targets == index)
        errors.append(_mean_gap(confidence, right, *_place(confidence, bins, "width")) if len(right) else 0.0)
    return float(np.mean(errors))


def calibration_error(
    probabilities: NDArray[np.floating],
    targets: NDArray[np.int64],
    bins: int = BINS,
    by: Binning = "width",
    *,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> CalibrationError:
    """The expected calibration error of first labels with its interval and the share of it that chance explains.

    ``probabilities`` ``[n, classes]``, ``targets`` ``[n]``. ``calibration_error_of`` tells about the interval.
    Raises UsageError for no photos.
    """
    right = probabilities.argmax(axis=1) == targets
    return calibration_error_of(probabilities.max(axis=1), right, bins, by, rounds=rounds, seed=seed)


def calibration_error_of(
    confidence: NDArray[np.floating],
    right: NDArray[np.bool_],
    bins: int = BINS,
    by: Binning = "width",
    *,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> CalibrationError:
    """The same of any probabilities ``[n, ...]`` and whether each came true ``[n, ...]``; draws keep photos whole.

    Noise can only add to a mean of absolute gaps, and resampling the photos adds it once more. So the interval is the
    bootstrap's, moved down by the bias that it shows itself, twice at its lower end; and the lower end is 0 where a
    perfectly calibrated model would show such an error in one of twenty measurements (consistency resampling, Bröcker
    and Smith 2007). On made data of 1,500 and 4,000 photos with errors of 0, 0.02 and 0.05 it held the true error in
    86 to 96 of 100 trials; a plain percentile interval in 0 to 94.

    Raises UsageError for no photos.
    """
    confidence, hits = _checked(confidence, right)
    count = len(hits)
    if not count:
        raise UsageError("a calibration error needs photos; there are none.")
    bin_of, edges = _place(confidence, bins, by)
    value = _mean_gap(confidence, hits, bin_of, edges)
    random = np.random.default_rng(seed)
    drawn, ideal = np.empty(rounds), np.empty(rounds)
    for index in range(rounds):
        chosen = random.integers(0, count, count)
        drawn[index] = _mean_gap(confidence[chosen], hits[chosen], bin_of[chosen], edges)
        came_true = (random.random(confidence.shape) < confidence).astype(np.float64)
        ideal[index] = _mean_gap(confidence, came_true, bin_of, edges)
    low, high = np.quantile(drawn, (0.025, 0.975))
    bias = max(0.0, float(drawn.mean()) - value)
    within_chance = value <= float(np.quantile(ideal, 0.95))
    lower = 0.0 if within_chance else max(0.0, float(low) - 2 * bias)
    return CalibrationError(value, (min(lower, value), max(value, float(high) - bias)), float(ideal.mean()), count)


def fit_temperature(
    logits: NDArray[np.float32], targets: NDArray[np.int64] | NDArray[np.bool_], task: Task = "single_label"
) -> float:
    """The temperature of least cross-entropy on held-out photos (Guo et al. 2017).

    ``logits`` ``[n, classes]``; ``targets`` ``[n]`` for a single label, and ``[n, classes]``, true where the label is
    present, for many, whose sigmoids then share the temperature. Raises MissingExtra without the extra train.
    """
    try:
        from scipy.optimize import minimize_scalar
        from scipy.special import log_expit, log_softmax
    except ModuleNotFoundError as error:
        raise MissingExtra('fitting a temperature needs scipy; install it with: pip install "veduta[train]"') from error

    expected = logits.shape if task == "multi_label" else logits.shape[:1]
    if targets.shape != expected or not logits.size:
        raise UsageError(
            f"the targets have the shape {list(targets.shape)}, expected {list(expected)} for logits of "
            f"{list(logits.shape)}; a temperature is fitted to at least one photo with its answer."
        )
    rows = np.arange(len(targets))

    def cross_entropy(log_temperature: float) -> float:
        scaled = logits.astype(np.float64) / math.exp(log_temperature)
        if task == "multi_label":
            return float(-log_expit(np.where(targets, scaled, -scaled)).mean())
        return float(-log_softmax(scaled, axis=1)[rows, targets].mean())

    # It is convex in the inverse temperature, so the one minimum within the bounds is the minimum.
    found = minimize_scalar(cross_entropy, bounds=(math.log(_LOWEST), math.log(_HIGHEST)), method="bounded")
    return math.exp(found.x)


def calibrate(
    logits: NDArray[np.float32], targets: NDArray[np.int64] | NDArray[np.bool_], task: Task = "single_label"
) -> tuple[float | None, str]:
    """The temperature that held-out photos give, or None where they can't tell one; and a sentence about it.

    Fewer than ``FEWEST_PHOTOS`` tell too little. Where all answers are right, a lower temperature is always likelier,
    until every score is 100 %; where they are no better than chance, a higher one. What ``fit_temperature`` raises.
    """
    photos = len(targets)
    if 0 < photos < FEWEST_PHOTOS:
        return None, f"{photos} held-out photos are too few to calibrate with ({FEWEST_PHOTOS} are needed)."
    temperature = fit_temperature(logits, targets, task)
    if task == "multi_label":
        margins = advantage = np.where(targets, logits, -logits)
    else:
        true = np.take_along_axis(logits, targets.astype(np.int64)[:, None], axis=1)
        margins, advantage = true - logits.max(axis=1, keepdims=True), true - logits
    if (margins >= 0).all():
        return None, f"All answers to the {photos:,} held-out photos are right, so there is nothing to calibrate with."
    # The derivative of the likelihood where the inverse temperature is 0.
    if advantage.mean() <= 0:
        return (
            None,
            f"The answers to the {photos:,} held-out photos are no better than chance, so no score counts.",
        )
    return temperature, f"The temperature of {temperature:.3f} was fitted on the {photos:,} held-out photos."


def _checked(
    confidence: NDArray[np.floating], right: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    values = confidence.astype(np.float64)
    # A sum of float32 probabilities may end a hair above one.
    if len(values) and not (values.min() >= 0.0 and values.max() <= 1.0 + 1e-5):
        raise UsageError(
            "confidence must be probabilities from 0 to 1; divide by the temperature and take the softmax."
        )
    return np.minimum(values, 1.0), right.astype(np.float64)


def _place(confidence: NDArray[np.float64], bins: int, by: Binning) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The bin of each photo ``[n]``, and the edges of the bins."""
    if bins < 1:
        raise UsageError(f"{bins} bins can't hold photos; ask for at least 1.")
    if by == "width" or not len(confidence):
        edges = np.linspace(0.0, 1.0, bins + 1)
        return np.minimum((confidence * bins).astype(np.intp), bins - 1), edges
    edges = np.unique(np.quantile(confidence, np.linspace(0.0, 1.0, bins + 1)))
    if len(edges) == 1:
        edges = np.repeat(edges, 2)
    return np.clip(np.searchsorted(edges, confidence, side="right") - 1, 0, len(edges) - 2), edges


def _mean_gap(
    confidence: NDArray[np.float64],
    right: NDArray[np.float64],
    bin_of: NDArray[np.intp],
    edges: NDArray[np.float64],
) -> float:
    gaps = np.bincount(bin_of.ravel(), (confidence - right).ravel(), len(edges) - 1)
    return float(np.abs(gaps).sum() / confidence.size)
