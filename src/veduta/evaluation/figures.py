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
    Confusion,
    Interval,
    class_figures,
    confusion_matrix,
    mean_recall,
    most_confused,
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
    "mean_recall": "mean recall of the classes",
    "mean_average_precision": "mean average precision of the labels",
    "f1": "F1 at probability 1/2, mean of the labels",
    "environment_by_probability": "indoor/outdoor right, by probability",
    "environment_by_vote": "indoor/outdoor right, by the vote of ten",
    "expected_calibration_error": "expected calibration error",
    "evidence_kept": "scenes kept by the evidence",
    "evidence_rejected": "strangers rejected by the evidence",
    "evidence_rejected_at_95": "strangers rejected where 95 % of scenes are kept",
    "evidence_auroc": "evidence, area under the ROC curve",
}

#: Figures that are no shares of photos, and read worse as a percentage.
NOT_SHARES = frozenset({"expected_calibration_error", "evidence_auroc"})


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """How a classifier did on ``photos`` labelled photos of ``data``.

    ``matrix`` ``[classes, classes]`` counts photos by true and first predicted class; ``classes`` and ``confusions``
    are read from it. ``calibration`` has the error, ``bins`` what its reliability diagram shows. ``probabilities``
    ``[n, classes]`` and ``targets`` ``[n]`` are what was judged.
    """

    data: str
    photos: int
    labels: tuple[Label, ...]
    metrics: tuple[Metric, ...]
    calibration: CalibrationError
    bins: tuple[ReliabilityBin, ...]
    matrix: NDArray[np.int64]
    classes: tuple[ClassFigure, ...]
    confusions: tuple[Confusion, ...]
    probabilities: NDArray[np.float32] = field(repr=False)
    targets: NDArray[np.int64] = field(repr=False)


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
    matrix = confusion_matrix(targets, probabilities.argmax(axis=1), len(labels))
    calibration = calibration_error(probabilities, targets)
    right = probabilities.argmax(axis=1) == targets
    return Judgement(
        data=data,
        photos=len(targets),
        labels=tuple(labels),
        metrics=scene_metrics(labels, probabilities, targets, data, matrix, calibration),
        calibration=calibration,
        bins=reliability_bins(probabilities.max(axis=1), right),
        matrix=matrix,
        classes=class_figures(matrix, labels),
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
