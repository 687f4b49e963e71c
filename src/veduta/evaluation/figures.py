"""All figures of a classifier on labelled photos, from its probabilities: one function for cards, reports, commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from veduta.errors import UsageError
from veduta.evaluation.calibration import CalibrationError, ReliabilityBin, calibration_error, reliability_bins
from veduta.evaluation.metrics import (
    ClassFigure,
    ClassFigures,
    Confusion,
    Interval,
    bootstrap_interval,
    class_figures,
    confusion_matrix,
    mean_recall,
    most_confused,
    sklearn_metrics,
    top_k_hits,
    wilson_interval,
)
from veduta.models.bundle import Metric
from veduta.recognition.scoring import EnvironmentReading
from veduta.records import Label

#: What a figure is called in a sentence or a table.
WORDS = {
    "top1": "top-1 accuracy",
    "top5": "top-5 accuracy",
    "top1_error": "top-1 error",
    "top5_error": "top-5 error",
    "mean_recall": "mean recall of the classes",
    "mean_precision": "mean precision of the classes",
    "mean_f1": "mean F1 of the classes",
    "mean_average_precision": "mean average precision of the labels",
    "f1": "F1 at probability 1/2, mean of the labels",
    "precision": "precision at probability 1/2, mean of the labels",
    "recall": "recall at probability 1/2, mean of the labels",
    "environment_by_probability": "indoor/outdoor right, by probability",
    "environment_by_vote": "indoor/outdoor right, by the vote of ten",
    "expected_calibration_error": "expected calibration error",
    "log_loss": "log loss, in nats",
    "brier_score": "Brier score",
    "evidence_kept": "scenes kept by the evidence",
    "evidence_rejected": "strangers rejected by the evidence",
    "evidence_rejected_at_95": "strangers rejected where 95 % of scenes are kept",
    "evidence_auroc": "evidence, area under the ROC curve",
}

#: Figures that are no shares of photos, and read worse as a percentage.
NOT_SHARES = frozenset({"expected_calibration_error", "evidence_auroc", "log_loss", "brier_score"})

#: A probability of 0 for what was there would cost infinitely much; log losses stop here, at the smallest of float32.
LEAST_PROBABILITY = float(np.finfo(np.float32).eps)


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """How a classifier did on ``photos`` labelled photos of ``data``.

    ``metrics`` are those of a model's card, ``further`` those that only a judgement tells. ``matrix``
    ``[classes, classes]`` counts photos by true and first predicted class; ``classes`` and ``confusions`` are the
    figures of it. ``calibration`` has the error, ``bins`` what its reliability diagram shows. ``probabilities``
    ``[n, classes]`` and ``targets`` ``[n]`` are what was judged.
    """

    data: str
    photos: int
    labels: tuple[Label, ...]
    metrics: tuple[Metric, ...]
    further: tuple[Metric, ...]
    calibration: CalibrationError
    bins: tuple[ReliabilityBin, ...]
    matrix: NDArray[np.int64]
    classes: tuple[ClassFigure, ...]
    confusions: tuple[Confusion, ...]
    probabilities: NDArray[np.float32] = field(repr=False)
    targets: NDArray[np.int64] = field(repr=False)

    @property
    def confidence(self) -> NDArray[np.float32]:
        """The probability of each photo's first label, ``[n]``."""
        highest: NDArray[np.float32] = self.probabilities.max(axis=1)
        return highest

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether each photo's first label is the true one, ``[n]``."""
        right: NDArray[np.bool_] = self.probabilities.argmax(axis=1) == self.targets
        return right


def judge(
    labels: Sequence[Label],
    probabilities: NDArray[np.float32],
    targets: NDArray[np.int64],
    data: str,
    *,
    confusions: int = 20,
) -> Judgement:
    """Judge probabilities ``[n, classes]`` by the true classes ``targets`` ``[n]``, with 95 % intervals.

    Top-5 is given where there are more than five classes; indoor or outdoor where every true class is known to be one.

    Raises UsageError for no photos or other shapes, MissingExtra without the extra evaluate.
    """
    if probabilities.shape != (len(targets), len(labels)) or not len(targets):
        raise UsageError(
            f"{data}: probabilities of {list(probabilities.shape)} can't be judged by {len(targets)} answers over "
            f"{len(labels)} classes; give one row for each photo, at least one."
        )
    said = probabilities.argmax(axis=1)
    matrix = confusion_matrix(targets, said, len(labels))
    calibration = calibration_error(probabilities, targets)
    metrics = scene_metrics(labels, probabilities, targets, data, matrix, calibration)
    by_class = class_figures(targets, said, labels)
    return Judgement(
        data=data,
        photos=len(targets),
        labels=tuple(labels),
        metrics=metrics,
        further=(*errors(metrics), *_further(by_class, probabilities, targets, data)),
        calibration=calibration,
        bins=reliability_bins(probabilities.max(axis=1), said == targets),
        matrix=matrix,
        classes=by_class.classes,
        confusions=most_confused(matrix, labels, confusions),
        probabilities=probabilities,
        targets=targets,
    )


def scene_metrics(
    labels: Sequence[Label],
    probabilities: NDArray[np.float32],
    targets: NDArray[np.int64],
    data: str,
    matrix: NDArray[np.int64],
    calibration: CalibrationError,
) -> tuple[Metric, ...]:
    """The figures of a judgement in the order of a card: accuracy, environment, calibration."""
    shares = {"top1": top_k_hits(probabilities, targets, 1)}
    if len(labels) > 5:
        shares["top5"] = top_k_hits(probabilities, targets, 5)
    metrics = [share_metric(name, hits, data) for name, hits in shares.items()]
    counts = matrix.sum(axis=1)
    if len(np.unique(counts[counts > 0])) > 1:
        # Where all classes have as many photos it is the top-1 accuracy.
        mean, interval = mean_recall(matrix)
        metrics.append(Metric("mean_recall", round(mean, 4), data, len(targets), rounded(interval)))
    environment = _environment_hits(labels, probabilities, targets)
    metrics += [share_metric(name, hits, data) for name, hits in environment.items()]
    error = Metric(
        "expected_calibration_error", round(calibration.value, 4), data, len(targets), rounded(calibration.interval)
    )
    return (*metrics, error)


def errors(metrics: Sequence[Metric]) -> tuple[Metric, ...]:
    """What is left to one of the top-1 and top-5 accuracies among ``metrics``, with the interval turned around."""
    return tuple(
        Metric(
            f"{each.name}_error",
            round(1.0 - each.value, 4),
            each.data,
            each.count,
            None if each.interval is None else rounded((1.0 - each.interval[1], 1.0 - each.interval[0])),
        )
        for each in metrics
        if each.name in ("top1", "top5")
    )


def _further(
    by_class: ClassFigures, probabilities: NDArray[np.float32], targets: NDArray[np.int64], data: str
) -> tuple[Metric, ...]:
    """Means over classes, and the two proper scores of the whole distribution; their intervals are the bootstrap's."""
    metrics, places = sklearn_metrics(), np.arange(probabilities.shape[1])
    values = {
        "mean_precision": (by_class.precision, by_class.precision_interval),
        "mean_f1": (by_class.f1, by_class.f1_interval),
    }
    if len(places) > 1:
        # Float32 sums are not one to the last digit, which scikit-learn would warn about.
        whole = np.maximum(probabilities.astype(np.float64), LEAST_PROBABILITY)
        whole /= whole.sum(axis=1, keepdims=True)
        loss = float(metrics.log_loss(targets, whole, labels=places))
        brier = float(metrics.brier_score_loss(targets, whole, labels=places, scale_by_half=False))
        # The same photo by photo, for the draws.
        own = whole[np.arange(len(targets)), targets]
        squares = (whole**2).sum(axis=1) + 1.0 - 2.0 * own
        values["log_loss"] = (loss, _mean_interval(-np.log(own)))
        values["brier_score"] = (brier, _mean_interval(squares))
    return tuple(
        Metric(name, round(value, 4), data, len(targets), rounded(interval))
        for name, (value, interval) in values.items()
    )


def _mean_interval(values: NDArray[np.float64]) -> Interval:
    return bootstrap_interval(lambda drawn: float(drawn.mean()), values)


def share_metric(name: str, hits: NDArray[np.bool_], data: str) -> Metric:
    """The share of ``hits`` ``[n]`` with Wilson's interval."""
    count = len(hits)
    value = float(hits.mean()) if count else 0.0
    return Metric(name, round(value, 4), data, count, rounded(wilson_interval(int(hits.sum()), count)))


def rounded(interval: Interval) -> Interval:
    """To the four digits that are kept of a figure."""
    return round(interval[0], 4), round(interval[1], 4)


def shown(metric: Metric) -> tuple[str, str]:
    """A figure and its interval as people read them; the second is empty where there is none."""
    form = "{:.3f}" if metric.name in NOT_SHARES else "{:.1%}"
    interval = "" if metric.interval is None else " – ".join(form.format(end) for end in metric.interval)
    return form.format(metric.value), interval


def _environment_hits(
    labels: Sequence[Label], probabilities: NDArray[np.float32], targets: NDArray[np.int64]
) -> dict[str, NDArray[np.bool_]]:
    truth = [labels[target].environment for target in targets]
    if None in truth:
        return {}
    read = EnvironmentReading(labels)
    judged = [(read(row), true) for row, true in zip(probabilities, truth, strict=True)]
    return {
        "environment_by_probability": np.array([seen is not None and seen.kind == true for seen, true in judged]),
        "environment_by_vote": np.array(
            [seen is not None and (seen.outdoor_vote >= 0.5) == (true == "outdoor") for seen, true in judged]
        ),
    }
