"""The attributes of a photo, from the scenes that it may show and from its own features.

A photo's answer depends on its own row alone, so that it is the same to the bit however photos were batched.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from veduta.models.attribute_table import AttributeTable
from veduta.records import Attribute

#: How many attributes a prediction tells.
TOP_ATTRIBUTES = 10
# Answers beyond these are as good as never and always, and have no logit.
_LOWEST, _HIGHEST = 1e-3, 1 - 1e-3
# Below, what is known of the other scenes says little of the photo.
_KNOWN_SHARE = 0.5


class AttributeReading:
    """Reads attributes from scene probabilities and an embedding by a bundle's table."""

    def __init__(self, table: AttributeTable) -> None:
        self._spec = table.spec
        self._known = np.isfinite(table.frequencies).all(axis=0)
        self._frequencies = table.frequencies[:, self._known].astype(np.float64)
        self._by_photo = np.array([source == "photo" for source in table.spec.sources])
        self._weight = table.weight[self._by_photo]
        self._constant = table.constant[self._by_photo].astype(np.float64)
        scalings = [table.spec.scaling[source] for source in table.spec.sources]
        self._scaling = np.array([[each.slope, each.offset] for each in scalings])

    @property
    def needs_embedding(self) -> bool:
        """Whether any attribute is told from the photo's own features."""
        return bool(self._by_photo.any())

    def __call__(
        self, scene: NDArray[np.float32], embedding: NDArray[np.float32] | None
    ) -> tuple[Attribute, ...] | None:
        """The most probable attributes, best first, of scene probabilities ``[classes]`` and an ``embedding`` ``[d]``.

        ``embedding`` may be None where none is needed. The answer is None where more than half of the probability lies
        on scenes of which no attribute is known.
        """
        told = scene[self._known].astype(np.float64)
        total = told.sum()
        if total < _KNOWN_SHARE:
            return None
        answers = (self._frequencies * told).sum(axis=1) / total
        if embedding is not None:
            share = self._spec.photo_share
            own = (self._weight * embedding).sum(axis=1, dtype=np.float64) + self._constant
            answers[self._by_photo] = share * own + (1 - share) * answers[self._by_photo]
        found = probabilities(answers, self._scaling[:, 0], self._scaling[:, 1])
        return tuple(
            Attribute(self._spec.labels[place], float(found[place]), self._spec.sources[place])
            for place in np.argsort(-found, kind="stable")[:TOP_ATTRIBUTES]
        )


def probabilities(
    answers: NDArray[np.float64], slope: float | NDArray[np.float64], offset: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    """Calibrated probabilities of answers: sigmoid of ``slope`` times their logit, and ``offset``."""
    scaled: NDArray[np.float64] = 1 / (1 + np.exp(-(slope * logit(answers) + offset)))
    return scaled


def logit(answers: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln(p / (1 - p)) of answers that may lie a little outside of [0, 1]."""
    inside = np.clip(answers, _LOWEST, _HIGHEST)
    logits: NDArray[np.float64] = np.log(inside / (1 - inside))
    return logits
