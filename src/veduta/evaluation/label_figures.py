"""All figures of a model that tells any number of labels, from its probabilities: which labels it finds, how surely."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from veduta.errors import UsageError
from veduta.evaluation.calibration import CalibrationError, ReliabilityBin, calibration_error_of, reliability_bins
from veduta.evaluation.figures import rounded
from veduta.evaluation.metrics import Interval, bootstrap_values, sklearn_metrics, wilson_interval
from veduta.models.bundle import Metric
from veduta.records import Label

#: A label counts as told from this probability on.
TOLD_FROM = 0.5

# Each draw costs about a millisecond for each label; with so many an end of an interval moves by a twelfth of the
# interval's half width from one seed to another.
ROUNDS = 300


@dataclass(frozen=True, slots=True)
class LabelFigure:
    """One label, which ``photos`` of those that were judged have.

    ``average_precision`` is the area under its precision over its recall (as scikit-learn sums it); chance gives the
    share of photos that have it. ``told`` is how many photos were told it, from a probability of 1/2 on; of these the
    share ``precision`` had it (None for none), and of those that have it the share ``recall`` was found. ``f1`` is the
    harmonic mean of both.
    """

    label: Label
    photos: int
    average_precision: float
    average_precision_interval: Interval
    told: int
    precision: float | None
    precision_interval: Interval
    recall: float
    recall_interval: Interval
    f1: float
    f1_interval: Interval


@dataclass(frozen=True, slots=True, eq=False)
class LabelJudgement:
    """How a model of many labels did on ``photos`` photos of ``data``.

    ``metrics`` are means over the labels that some photo has, each label weighing the same; ``further`` tells more than
    a card does. ``figures`` are those labels, in their order, and ``never_present`` the others, which nothing can be
    said about. ``calibration`` and ``bins`` are of all probabilities of all ``labels`` that were judged.
    ``probabilities`` ``[n, labels]`` and ``present`` ``[n, labels]`` are what was judged, of the labels that some
    photo has.
    """

    data: str
    photos: int
    labels: tuple[Label, ...]
    metrics: tuple[Metric, ...]
    further: tuple[Metric, ...]
    figures: tuple[LabelFigure, ...]
    never_present: tuple[Label, ...]
    calibration: CalibrationError
    bins: tuple[ReliabilityBin, ...]
    probabilities: NDArray[np.float32] = field(repr=False)
    present: NDArray[np.bool_] = field(repr=False)

    @property
    def by_average_precision(self) -> tuple[LabelFigure, ...]:
        """The figures, the label that is told worst first."""
        return tuple(sorted(self.figures, key=lambda each: (each.average_precision, each.label.id)))


def judge_labels(
    labels: Sequence[Label], probabilities: NDArray[np.float32], present: NDArray[np.bool_], data: str
) -> LabelJudgement:
    """Judge probabilities ``[n, labels]`` by which labels the photos have, ``present`` ``[n, labels]``.

    The 95 % intervals are the bootstrap's over photos (Efron 1979), those of shares Wilson's; a draw in which no photo
    has a label says nothing about it. Raises UsageError where no photo has a label, or for other shapes; MissingExtra
    without the extra evaluate.
    """
    if probabilities.shape != present.shape or present.shape[1:] != (len(labels),) or not present.any():
        raise UsageError(
            f"{data}: probabilities of {list(probabilities.shape)} can't be judged by answers of "
            f"{list(present.shape)} for {len(labels)} labels; give a row for each photo, and a label to at least one."
        )
    there = np.flatnonzero(present.any(axis=0))
    said, true = probabilities[:, there], present[:, there].astype(bool)
    values = _figures(said, true)
    drawn = bootstrap_values(_figures, said, true, rounds=ROUNDS)
    with warnings.catch_warnings():
        # A draw may have no photo of any label.
        warnings.simplefilter("ignore", RuntimeWarning)
        low, high = np.nanquantile(drawn, (0.025, 0.975), axis=0)
        ends = np.nanquantile(np.nanmean(drawn, axis=2), (0.025, 0.975), axis=0).T
    means = {
        name: Metric(name, round(float(mean), 4), data, len(present), rounded((float(least), float(most))))
        for name, mean, (least, most) in zip(_NAMES, values.mean(axis=1), ends, strict=True)
    }
    calibration = calibration_error_of(said, true, rounds=ROUNDS)
    return LabelJudgement(
        data=data,
        photos=len(present),
        labels=tuple(labels[column] for column in there.tolist()),
        metrics=(means["mean_average_precision"], means["f1"]),
        further=(
            means["precision"],
            means["recall"],
            Metric(
                "expected_calibration_error",
                round(calibration.value, 4),
                data,
                len(present),
                rounded(calibration.interval),
            ),
            means["brier_score"],
        ),
        figures=tuple(
            _figure(labels[column], said[:, place], true[:, place], values[:, place], (low[:, place], high[:, place]))
            for place, column in enumerate(there.tolist())
        ),
        never_present=tuple(label for column, label in enumerate(labels) if column not in there),
        calibration=calibration,
        bins=reliability_bins(said, true),
        probabilities=said,
        present=true,
    )


#: The figures of a label, in the order of ``_figures``.
_NAMES = ("mean_average_precision", "f1", "precision", "recall", "brier_score")


def _figures(said: NDArray[np.float32], true: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The figures of each label, ``[5, labels]``; NaN where no photo has it, a precision of 0 where none is told it.

    All but the first are counted, for scikit-learn's functions take milliseconds, hundreds of times.
    """
    average_precision = sklearn_metrics().average_precision_score
    there = true.any(axis=0)
    found = np.full((len(_NAMES), true.shape[1]), np.nan)
    found[0, there] = [average_precision(true[:, column], said[:, column]) for column in np.flatnonzero(there)]
    told = said >= TOLD_FROM
    right, called, has = (each.sum(axis=0)[there].astype(np.float64) for each in (told & true, told, true))
    found[1:4, there] = 2 * right / (called + has), right / np.maximum(called, 1), right / has
    found[4, there] = ((said.astype(np.float64) - true) ** 2).mean(axis=0)[there]
    return found


def _figure(
    label: Label,
    said: NDArray[np.float32],
    true: NDArray[np.bool_],
    values: NDArray[np.float64],
    ends: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> LabelFigure:
    told, photos = int((said >= TOLD_FROM).sum()), int(true.sum())
    right = int(((said >= TOLD_FROM) & true).sum())
    average_precision, f1 = ((float(ends[0][place]), float(ends[1][place])) for place in (0, 1))
    return LabelFigure(
        label=label,
        photos=photos,
        average_precision=float(values[0]),
        average_precision_interval=average_precision,
        told=told,
        precision=right / told if told else None,
        precision_interval=wilson_interval(right, told),
        recall=right / photos,
        recall_interval=wilson_interval(right, photos),
        f1=float(values[1]),
        f1_interval=f1,
    )
