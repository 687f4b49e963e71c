"""Which model was asked, and how: what every figure of it holds under."""

from __future__ import annotations

from dataclasses import dataclass

from veduta.recognition.tagger import Tagger


@dataclass(frozen=True, slots=True)
class Conditions:
    """A model by name and identity, and the size that it saw photos at.

    ``size`` is the shorter side of its input in pixels, ``own_size`` the one that it was made for; ``calibrated`` tells
    whether its probabilities count as such.
    """

    model: str
    bundle_id: str
    size: int
    own_size: int
    calibrated: bool

    @classmethod
    def of(cls, tagger: Tagger) -> Conditions:
        """Those that a tagger answers under."""
        return cls(
            model=tagger.bundle.name,
            bundle_id=tagger.bundle.bundle_id,
            size=min(tagger.preprocessing.sizes[0]),
            own_size=min(tagger.bundle.preprocessing.sizes[0]),
            calibrated=tagger.calibrated,
        )

    @property
    def title(self) -> str:
        """The model's name, with the size where that is not its own."""
        return self.model if self.size == self.own_size else f"{self.model} at {self.size} pixels"

    @property
    def caveat(self) -> str:
        """A sentence about what its probabilities are not; empty where there is nothing to say."""
        if self.size != self.own_size:
            return (
                f"Photos were shrunk to {self.size} pixels, not to the model's own {self.own_size}: at that size its "
                "scores are not calibrated."
            )
        return "" if self.calibrated else "The model is not calibrated: its scores order the labels, and mean no more."
