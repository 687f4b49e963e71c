"""Sees when a training goes wrong: a loss that is no number, or one that has left where it began."""

from __future__ import annotations

import math
from dataclasses import dataclass

# How much of the running mean a step keeps.
_KEPT = 0.9
# So many steps in a row above the limit are no accident.
_PATIENCE = 20


@dataclass(slots=True)
class LossWatch:
    """Follows the loss; ``guessing`` is what a network that knows nothing would have (log c, or log 2 for many labels).

    The limit is three times the loss of the first step, and at least ``guessing`` above it. A training diverges when
    the running mean has been above the limit for 20 steps in a row.
    """

    guessing: float
    steps: int = 0
    start: float = 0.0
    mean: float = 0.0
    above: int = 0

    @property
    def limit(self) -> float:
        """Above this the loss has no business."""
        return max(3 * self.start, self.start + self.guessing)

    @property
    def calm(self) -> bool:
        """Whether the loss is below the limit, so that the weights are worth keeping."""
        return self.above == 0

    def see(self, loss: float) -> str | None:
        """Take the loss of the next step; what is wrong, in words, where the training must stop."""
        if not math.isfinite(loss):
            return f"the loss is {loss}"
        if not self.steps:
            self.start = self.mean = loss
        self.steps += 1
        self.mean = _KEPT * self.mean + (1 - _KEPT) * loss
        self.above = self.above + 1 if self.mean > self.limit else 0
        if self.above < _PATIENCE:
            return None
        return f"the loss has grown from {self.start:.3g} to {self.mean:.3g}"
