"""From logits to what people read: probabilities, the best labels, coarse labels, indoors or outdoors.

Every number of a photo depends on its own row alone, so that answers are the same to the bit however photos were
batched; hence sums along a row and no matrix products.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from veduta.errors import UsageError
from veduta.models.bundle import Task
from veduta.records import Environment, Label, Score

#: How many of the most probable labels vote on the environment.
VOTERS = 10


def probabilities(logits: NDArray[np.float32], task: Task, temperature: float | None) -> NDArray[np.float32]:
    """Calibrated probabilities ``[n, classes]``: softmax for one label, a sigmoid for each of many.

    The logits are divided by the temperature (Guo et al. 2017, "On Calibration of Modern Neural Networks").
    """
    scaled = logits.astype(np.float64) / (temperature or 1.0)
    if task == "multi_label":
        # Two halves, so that neither exponential overflows.
        small = np.exp(-np.abs(scaled))
        return _float32(np.where(scaled >= 0, 1 / (1 + small), small / (1 + small)))
    raised = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return _float32(raised / raised.sum(axis=1, keepdims=True))


def drop_mask(labels: Sequence[Label], dropped: Sequence[str]) -> NDArray[np.bool_]:
    """True for the labels that stay. Raises UsageError for an id that is not there, or where nothing would stay."""
    ids = {label.id for label in labels}
    unknown = sorted(set(dropped) - ids)
    if unknown:
        raise UsageError(
            f"{unknown[0]!r} can't be dropped: the model has no such class; `veduta models info` lists all."
        )
    keep = np.array([label.id not in dropped for label in labels])
    if not keep.any():
        raise UsageError("every class of the model is dropped; leave at least one.")
    return keep


def mask_and_renormalise(probabilities: NDArray[np.float32], keep: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Zero for the dropped labels, and each row sums to one again."""
    kept = np.where(keep, probabilities, np.float32(0)).astype(np.float64)
    # All the mass may have been on dropped labels; then the rest is equally unlikely, not undefined.
    kept += np.where(keep, 1e-30, 0.0)
    return _float32(kept / kept.sum(axis=1, keepdims=True))


def best(row: NDArray[np.float32], labels: Sequence[Label], top_k: int) -> tuple[Score, ...]:
    """The ``top_k`` most probable labels of a row ``[classes]``, best first; equals stay in the labels' order."""
    order = np.argsort(-row, kind="stable")[:top_k]
    return tuple(Score(labels[index], float(row[index])) for index in order if row[index] > 0)


class CoarseSums:
    """Sums the probabilities of fine labels into their coarse labels.

    Labels without a coarse label count nowhere; ``labels`` is empty where no label has one.
    """

    def __init__(self, fine: Sequence[Label]) -> None:
        ids = sorted({label.coarse for label in fine if label.coarse is not None})
        self.labels = tuple(Label(id, id) for id in ids)
        members = sorted((label.coarse, index) for index, label in enumerate(fine) if label.coarse is not None)
        self._order = np.array([index for _, index in members], np.intp)
        coarse_of_member = [coarse for coarse, _ in members]
        self._starts = np.array([coarse_of_member.index(id) for id in ids], np.intp)

    def __call__(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """``[n, classes]`` to ``[n, coarse labels]``."""
        ordered = probabilities[:, self._order].astype(np.float64)
        return _float32(np.add.reduceat(ordered, self._starts, axis=1))


class EnvironmentReading:
    """Indoor or outdoor from a whole distribution over labels; labels without an environment are left out."""

    def __init__(self, labels: Sequence[Label]) -> None:
        self._known = np.array([index for index, label in enumerate(labels) if label.environment], np.intp)
        self._outdoor = np.array([labels[index].environment == "outdoor" for index in self._known], np.float64)

    def __call__(self, row: NDArray[np.float32]) -> Environment | None:
        """The environment of a row ``[classes]``, or None where no label of any probability has one."""
        known = row[self._known].astype(np.float64)
        total = known.sum()
        if total <= 0:
            return None
        # The floats of a sum may end a hair above one.
        outdoor = min(1.0, float((known * self._outdoor).sum() / total))
        voters = np.argsort(-known, kind="stable")[: min(VOTERS, np.count_nonzero(known))]
        vote = float(self._outdoor[voters].mean())
        return Environment("outdoor" if outdoor >= 0.5 else "indoor", outdoor, vote)


def _float32(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return values.astype(np.float32)
