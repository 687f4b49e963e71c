"""The photos that a model is surest about, and wrong: a class that is too wide, a wrong label, or a true mistake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from veduta.evaluation.figures import Judgement
from veduta.records import Label


@dataclass(frozen=True, slots=True)
class Mistake:
    """A photo of ``true`` that was called ``said``, with the probability that the model gave to each.

    ``rank`` is the place of the true class among all, 2 for the second.
    """

    path: str
    true: Label
    said: Label
    said_probability: float
    true_probability: float
    rank: int


def surest_mistakes(judgement: Judgement, paths: Sequence[str], most: int = 60) -> tuple[Mistake, ...]:
    """The ``most`` mistakes of the highest probability, the surest first; equals stay in the order of ``paths``.

    ``paths`` ``[n]`` are those of the judged photos.
    """
    labels, probabilities, targets = judgement.labels, judgement.probabilities, judgement.targets
    said = probabilities.argmax(axis=1)
    sureness = np.where(said == targets, -1.0, probabilities.max(axis=1))
    order = [row for row in np.argsort(-sureness, kind="stable")[:most] if sureness[row] >= 0]
    return tuple(
        Mistake(
            path=paths[row],
            true=labels[targets[row]],
            said=labels[said[row]],
            said_probability=float(probabilities[row, said[row]]),
            true_probability=float(probabilities[row, targets[row]]),
            rank=int((probabilities[row] > probabilities[row, targets[row]]).sum()) + 1,
        )
        for row in order
    )
