"""The photos that say most about where a model errs: those it is surest about, and wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veduta.evaluation.figures import Judgement
from veduta.evaluation.label_figures import LabelFigure, LabelJudgement
from veduta.records import Label

#: Labels whose photos are shown, and photos of each kind.
WORST, EXAMPLES = 5, 3


@dataclass(frozen=True, slots=True)
class Mistake:
    """A photo of ``true`` that was called ``said``, with the probability that the model gave to each.

    ``rank`` is the place of the true class among all, 2 for the second. ``explained`` is the place among the model's
    own classes of what a heat map shows: what was said, or the likeliest class in it.
    """

    path: str
    true: Label
    said: Label
    said_probability: float
    true_probability: float
    rank: int
    explained: int


@dataclass(frozen=True, slots=True)
class Example:
    """A photo with the ``probability`` that the model gave to a label, and the labels that the photo has."""

    path: str
    probability: float
    labels: tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class LabelExamples:
    """Photos of a label: those that ``have`` it and got the least probability, those that ``lack`` it and got the most.

    ``place`` is that of the label among the judged ones.
    """

    figure: LabelFigure
    place: int
    have: tuple[Example, ...]
    lack: tuple[Example, ...]


def surest_mistakes(
    judgement: Judgement, paths: Sequence[str], most: int = 60, explained: NDArray[np.int64] | None = None
) -> tuple[Mistake, ...]:
    """The ``most`` mistakes of the highest probability, the surest first; equals stay in the order of ``paths``.

    ``paths`` ``[n]`` are those of the judged photos, ``explained`` ``[n]`` the model's own classes of what was said
    where the judged labels are wider ones.
    """
    labels, probabilities, targets = judgement.labels, judgement.probabilities, judgement.targets
    said = probabilities.argmax(axis=1)
    own = said if explained is None else explained
    sureness = np.where(judgement.right, -1.0, judgement.confidence)
    order = [row for row in np.argsort(-sureness, kind="stable")[:most].tolist() if sureness[row] >= 0]
    return tuple(
        Mistake(
            path=paths[row],
            true=labels[targets[row]],
            said=labels[said[row]],
            said_probability=float(probabilities[row, said[row]]),
            true_probability=float(probabilities[row, targets[row]]),
            rank=int((probabilities[row] > probabilities[row, targets[row]]).sum()) + 1,
            explained=int(own[row]),
        )
        for row in order
    )


def worst_labels(
    judgement: LabelJudgement, paths: Sequence[str], worst: int = WORST, examples: int = EXAMPLES
) -> tuple[LabelExamples, ...]:
    """The labels of the lowest average precision, with the photos that took most from it; ``paths`` ``[n]``."""
    ids = [label.id for label in judgement.labels]
    found = []
    for figure in judgement.by_average_precision[:worst]:
        place = ids.index(figure.label.id)
        said, has = judgement.probabilities[:, place], judgement.present[:, place]
        rising = np.argsort(said, kind="stable").tolist()
        have = [row for row in rising if has[row]][:examples]
        lack = [row for row in rising[::-1] if not has[row]][:examples]
        found.append(
            LabelExamples(
                figure, place, *(tuple(_example(judgement, paths, row, place) for row in rows) for rows in (have, lack))
            )
        )
    return tuple(found)


def _example(judgement: LabelJudgement, paths: Sequence[str], row: int, place: int) -> Example:
    there = np.flatnonzero(judgement.present[row])
    return Example(
        paths[row], float(judgement.probabilities[row, place]), tuple(judgement.labels[each] for each in there)
    )
