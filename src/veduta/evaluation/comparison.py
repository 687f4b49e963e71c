"""Several models on the same photos: who is better, by how much, how surely, and at what cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from veduta.errors import UsageError
from veduta.evaluation.label_figures import ROUNDS
from veduta.evaluation.metrics import Interval, bootstrap_values, paired_difference, sklearn_metrics, wilson_interval
from veduta.evaluation.speed import Speed
from veduta.models.bundle import Task

#: What a model of either task is ranked by.
RANKED_BY: dict[Task, str] = {"single_label": "top1", "multi_label": "mean_average_precision"}


@dataclass(frozen=True, slots=True)
class Effort:
    """What a training took: seconds by the clock and of the processors, summed over its ``runs`` where it was stopped
    and gone on with; ``conditions`` tell the machine and its threads.
    """

    seconds: float
    processor_seconds: float
    runs: int
    conditions: str


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a model said about the n photos of a set, and what it costs.

    ``ranks`` ``[n]`` is the place of the true class among all, 1 for the first; ``scores`` ``[n, c]`` in its place, for
    many labels, are the probabilities of the set's labels. A photo without an answer, or of a class that the model does
    not know, has the rank 0; scores without an answer are NaN, and so are those of labels that it does not know.
    ``classes`` is how many labels the model has, ``unknown`` the set's labels that are not among them.

    ``model``, ``size`` in pixels and ``recipe`` tell how it was made; ``recipe`` is empty and ``effort`` None where it
    was not trained here. ``graph`` is the speed of the graph alone, ``whole_way`` that from files to answers.
    ``disk_bytes`` is what all its files take, ``bundle`` where they lie.
    """

    name: str
    data: str
    task: Task
    model: str
    size: int
    recipe: str
    classes: int
    unknown: tuple[str, ...]
    failures: int
    effort: Effort | None
    graph: Speed
    whole_way: Speed
    parameters: int
    disk_bytes: int
    bundle: str
    bundle_id: str
    ranks: NDArray[np.int64] | None = field(default=None, repr=False)
    scores: NDArray[np.float32] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Figure:
    """A value with its 95 % interval."""

    value: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Row:
    """An outcome on the ``photos`` that all models of the comparison answered.

    ``figures`` by name: ``top1`` and, of more than five classes, ``top5``; or ``mean_average_precision``.
    ``difference`` is the first of them less that of ``against``, on the same photos; None for that one itself.
    """

    outcome: Outcome
    photos: int
    figures: dict[str, Figure]
    against: str
    difference: Figure | None


@dataclass(frozen=True, slots=True)
class Missing:
    """What has no outcome, and the sentence that says why."""

    name: str
    data: str
    reason: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """All rows, in the order that was asked for, and what is missing; ``planned`` is how many there are to be."""

    task: Task
    rows: tuple[Row, ...]
    missing: tuple[Missing, ...]
    planned: int
    notes: tuple[str, ...] = ()

    @property
    def sets(self) -> tuple[str, ...]:
        """The sets that were judged on."""
        return tuple(dict.fromkeys(row.outcome.data for row in self.rows))


def compare_on(
    outcomes: Sequence[Outcome], present: NDArray[np.bool_] | None = None, *, baseline: str | None = None
) -> tuple[Row, ...]:
    """The rows of outcomes on one set; the reference is ``baseline`` by name where that is among them, else the best.

    ``present`` ``[n, c]`` tells which labels the photos have, for models of many labels. Intervals of shares are
    Wilson's, of average precisions the bootstrap's; differences are paired, for models are right about many of the same
    photos. Raises UsageError where there is no photo that all answered; MissingExtra without the extra evaluate.
    """
    if not outcomes:
        return ()
    judged = _judged_ranks(outcomes) if present is None else _judged_scores(outcomes, present)
    best = max(range(len(outcomes)), key=lambda place: judged[place].value)
    named = [place for place, each in enumerate(outcomes) if each.name == baseline]
    reference = named[0] if named else best
    return tuple(
        Row(
            outcome,
            found.photos,
            found.figures,
            outcomes[reference].name,
            None if place == reference else found.less(judged[reference]),
        )
        for place, (outcome, found) in enumerate(zip(outcomes, judged, strict=True))
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """A model's figures, and what a paired difference is made of: hits ``[n]``, or values of the same draws."""

    photos: int
    figures: dict[str, Figure]
    hits: NDArray[np.bool_] | None = None
    drawn: NDArray[np.float64] | None = None

    @property
    def value(self) -> float:
        return next(iter(self.figures.values())).value

    def less(self, other: _Judged) -> Figure:
        if self.hits is not None and other.hits is not None:
            return Figure(*paired_difference(other.hits, self.hits))
        assert self.drawn is not None
        assert other.drawn is not None
        low, high = np.nanquantile(self.drawn - other.drawn, (0.025, 0.975))
        return Figure(self.value - other.value, (float(low), float(high)))


def _judged_ranks(outcomes: Sequence[Outcome]) -> list[_Judged]:
    ranks = [outcome.ranks for outcome in outcomes if outcome.ranks is not None]
    common = np.all([each > 0 for each in ranks], axis=0)
    if not common.any():
        raise _nothing_common(outcomes)
    judged = []
    for outcome, rank in zip(outcomes, ranks, strict=True):
        hits = {"top1": rank[common] == 1}
        if outcome.classes > 5:
            hits["top5"] = rank[common] <= 5
        figures = {name: _share(each) for name, each in hits.items()}
        judged.append(_Judged(int(common.sum()), figures, hits=hits["top1"]))
    return judged


def _share(hits: NDArray[np.bool_]) -> Figure:
    return Figure(float(hits.mean()), wilson_interval(int(hits.sum()), len(hits)))


def _judged_scores(outcomes: Sequence[Outcome], present: NDArray[np.bool_]) -> list[_Judged]:
    scores = [outcome.scores for outcome in outcomes if outcome.scores is not None]
    known = np.all([~np.isnan(each).all(axis=0) for each in scores], axis=0)
    common = np.all([~np.isnan(each[:, known]).any(axis=1) for each in scores], axis=0)
    truth = present[common][:, known]
    if not truth.any():
        raise _nothing_common(outcomes)
    judged = []
    for each in scores:
        said = each[common][:, known]
        # The same draws for all, so that they can be subtracted.
        drawn = bootstrap_values(mean_average_precision, said, truth, rounds=ROUNDS)
        low, high = np.nanquantile(drawn, (0.025, 0.975))
        figure = Figure(mean_average_precision(said, truth), (float(low), float(high)))
        judged.append(_Judged(len(truth), {"mean_average_precision": figure}, drawn=drawn))
    return judged


def mean_average_precision(said: NDArray[np.float32], present: NDArray[np.bool_]) -> float:
    """The mean over the labels that some photo has; both are ``[n, labels]``. NaN where no photo has any."""
    there = present.any(axis=0)
    if not there.any():
        return float("nan")
    return float(sklearn_metrics().average_precision_score(present[:, there], said[:, there], average="macro"))


def _nothing_common(outcomes: Sequence[Outcome]) -> UsageError:
    return UsageError(
        f"no photo of {outcomes[0].data} was answered by all of {', '.join(each.name for each in outcomes)}; compare "
        "models that know the same classes."
    )
