"""What speaks against a landmark."""

from __future__ import annotations

import pytest

from veduta.recognition.landmarks.vetoes import Scene, judged
from veduta.records import Candidate, Landmark, Rejection

EIFFEL = Landmark("eiffel_tower", "Eiffel Tower", "Paris", (48.8584, 2.2945))
BATHROOM, STREET, UNSURE = Scene("bathroom", 0.001), Scene("street", 0.999), Scene("lobby", 0.4)
VERSAILLES, LISBON = (48.8049, 2.1204), (38.7223, -9.1393)


@pytest.mark.parametrize(
    ("similarity", "outdoor", "scene", "position", "rejection"),
    [
        (0.8, 1.0, STREET, VERSAILLES, None),
        (0.8, None, None, None, None),
        (0.49, 1.0, STREET, VERSAILLES, "similarity"),
        (0.8, 1.0, BATHROOM, None, "scene"),
        (0.8, 0.0, STREET, None, "scene"),
        (0.8, 0.5, BATHROOM, None, None),
        (0.8, None, BATHROOM, None, None),
        (0.8, 1.0, UNSURE, None, None),
        (0.8, 1.0, STREET, LISBON, "position"),
        (0.5, 1.0, STREET, None, None),
    ],
)
def test_the_first_thing_that_speaks_against_it_is_told(
    similarity: float,
    outdoor: float | None,
    scene: Scene | None,
    position: tuple[float, float] | None,
    rejection: Rejection | None,
) -> None:
    found = judged(Candidate(EIFFEL, similarity, 0.5), outdoor, scene, position)
    assert found.rejection == rejection
    assert (found.reason is None) == (rejection is None)
    if rejection is not None:
        assert "Eiffel Tower" in str(found.reason)


def test_a_landmark_without_a_position_minds_none() -> None:
    assert judged(Candidate(Landmark("a", "A"), 0.8, 0.5), None, None, LISBON).rejection is None
