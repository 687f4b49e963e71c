"""What may speak against a landmark that a photo resembles: too little likeness, its scene, its own position.

A veto takes a candidate away and never brings another: a photo of nothing that was taken beside the Eiffel Tower stays
one of nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from veduta.positions import distance_km
from veduta.records import Candidate, Prediction, Rejection

#: A photo taken further away does not show the landmark; of towers one sees much from afar.
FARTHEST_KM = 50.0
#: So sure must the scene network be that a photo is indoors (outdoors) to speak against a landmark whose photos are
#: nearly all outdoors (indoors).
SURE, NEARLY_ALL = 0.98, 0.95


@dataclass(frozen=True, slots=True)
class Scene:
    """What the scene network says of a photo: its first label, for people, and how probably it is outdoors."""

    name: str
    outdoor: float

    @classmethod
    def of(cls, prediction: Prediction) -> Scene | None:
        """None where its labels tell no environment, or it says itself that it does not know such photos."""
        if prediction.environment is None or not prediction.fits or not prediction.scores:
            return None
        return cls(prediction.scores[0].label.name, prediction.environment.outdoor_probability)


def judged(
    candidate: Candidate, outdoor: float | None, scene: Scene | None, position: tuple[float, float] | None
) -> Candidate:
    """The candidate with the first thing that speaks against it, if any does.

    ``outdoor`` is the share of the landmark's photos that are outdoors, ``position`` the photo's own, both None where
    nobody knows.
    """
    landmark = candidate.landmark
    if candidate.similarity < candidate.threshold:
        return _rejected(
            candidate,
            "similarity",
            f"it resembles {landmark.name} by {candidate.similarity:.2f}, and {candidate.threshold:.2f} is needed",
        )
    if scene is not None and outdoor is not None:
        indoors = 1 - scene.outdoor
        if indoors >= SURE and outdoor >= NEARLY_ALL:
            return _rejected(candidate, "scene", f"the photo is indoors ({scene.name}), {landmark.name} is outdoors")
        if scene.outdoor >= SURE and outdoor <= 1 - NEARLY_ALL:
            return _rejected(candidate, "scene", f"the photo is outdoors ({scene.name}), {landmark.name} is indoors")
    if position is not None and landmark.position is not None:
        away = distance_km(position, landmark.position)
        if away > FARTHEST_KM:
            return _rejected(
                candidate, "position", f"the photo was taken more than {FARTHEST_KM:g} km from {landmark.name}"
            )
    return candidate


def _rejected(candidate: Candidate, rejection: Rejection, reason: str) -> Candidate:
    return replace(candidate, rejection=rejection, reason=reason)
