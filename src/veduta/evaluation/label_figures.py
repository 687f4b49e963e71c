"""All figures of a model that tells any number of labels, from its probabilities: which labels it finds, how surely."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veduta.errors import UsageError
from veduta.evaluation.figures import rounded
from veduta.evaluation.metrics import Interval, bootstrap_values, sklearn_metrics
from veduta.models.bundle import Metric
from veduta.records import Label

#: A label counts as told from this probability on.
TOLD_FROM = 0.5

# Each draw costs about a millisecond for each label; with so many an end of an interval moves by a twelfth of the
# interval's half width from one seed to another.
_ROUNDS = 300


@dataclass(frozen=True, slots=True)
class LabelFigure:
    """One label, which ``photos`` of those that were judged have.

    ``average_precision`` is the area under its precision over its recall (as scikit-learn sums it), ``f1`` the
    harmonic mean of both where it is told from a probability of 1/2 on. Chance gives an average precision of the share
    of photos that have it.
    """

    label: Label
    photos: int
    average_precision: float
    average_precision_interval: Interval
    f1: float
    f1_interval: Interval


@dataclass(frozen=True, slots=True)
class LabelJudgement:
    """How a model of many labels did on ``photos`` photos of ``data``.

    ``metrics`` are means over the labels that some photo has, each label weighing the same; ``figures`` are those
    labels, in their order, and ``never_present`` the others, which nothing can be said about.
    """

    data: str
    photos: int
    metrics: tuple[Metric, ...]
    figures: tuple[LabelFigure, ...]
    never_present: tuple[Label, ...]


def judge_labels(
    labels: Sequence[Label], probabilities: NDArray[np.float32], present: NDArray[np.bool_], data: str
) -> LabelJudgement:
    """Judge probabilities ``[n, labels]`` by which labels the photos have, ``present`` ``[n, labels]``.

    The 95 % intervals are the bootstrap's over photos (Efron 1979); a draw in which no photo has a label says nothing
    about it. Raises UsageError where no photo has a label, or for other shapes; MissingExtra without the extra
    evaluate.
    """
    if probabilities.shape != present.shape or present.shape[1:] != (len(labels),) or not present.any():
        raise UsageError(
            f"{data}: probabilities of {list(probabilities.shape)} can't be judged by answers of "
            f"{list(present.shape)} for {len(labels)} labels; give a row for each photo, and a label to at least one."
        )
    there = np.flatnonzero(present.any(axis=0))
    said, true = probabilities[:, there], present[:, there]
    values = _figures(said, true)
    drawn = bootstrap_values(_figures, said, true, rounds=_ROUNDS)
    with warnings.catch_warnings():
        # A draw may have no photo of any label.
        warnings.simplefilter("ignore", RuntimeWarning)
        low, high = np.nanquantile(drawn, (0.025, 0.975), axis=0)
        means = np.nanquantile(np.nanmean(drawn, axis=2), (0.025, 0.975), axis=0).T
    metrics = [
        Metric(name, round(float(value), 4), data, len(present), rounded((float(ends[0]), float(ends[1]))))
        for name, value, ends in zip(("mean_average_precision", "f1"), values.mean(axis=1), means, strict=True)
    ]
    figures = [
        LabelFigure(
            labels[column],
            int(present[:, column].sum()),
            float(values[0, place]),
            (float(low[0, place]), float(high[0, place])),
            float(values[1, place]),
            (float(low[1, place]), float(high[1, place])),
        )
        for place, column in enumerate(there.tolist())
    ]
    never = tuple(label for column, label in enumerate(labels) if column not in there)
    return LabelJudgement(data, len(present), tuple(metrics), tuple(figures), never)


def _figures(said: NDArray[np.float32], true: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Average precision and F1 of each label, ``[2, labels]``; no number where no photo has it."""
    average_precision = sklearn_metrics().average_precision_score
    there = true.any(axis=0)
    found = np.full((2, true.shape[1]), np.nan)
    found[0, there] = [average_precision(true[:, column], said[:, column]) for column in np.flatnonzero(there)]
    told, true = (said >= TOLD_FROM)[:, there], true[:, there]
    found[1, there] = 2 * (told & true).sum(axis=0) / (told.sum(axis=0) + true.sum(axis=0))
    return found
