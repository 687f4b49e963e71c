"""Where several models disagree: who chose what, and who is the surest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from veduta.records import Score, Surest, Vote


@dataclass(frozen=True, slots=True)
class Choice:
    """A model's first choice; ``calibrated`` tells whether its probability can be held against another model's."""

    model: str
    score: Score
    calibrated: bool


def count_votes(choices: Sequence[Choice]) -> tuple[Vote, ...]:
    """What was chosen: by most models first, then by the higher sum of what these gave it, then as it came."""
    by_label: dict[str, list[Choice]] = {}
    for choice in choices:
        by_label.setdefault(choice.score.label.id, []).append(choice)
    ranked = sorted(by_label.values(), key=lambda each: (-len(each), -sum(one.score.probability for one in each)))
    return tuple(Vote(each[0].score.label, tuple(one.model for one in each)) for each in ranked)


def surest_choice(choices: Sequence[Choice]) -> Surest | None:
    """The choice of the highest probability, of equals the first; None for no choices.

    Scores of a model that was never calibrated may be far too high, so as soon as one of the choosers is calibrated,
    only those that are count. Where none is, it is the highest score and says little.
    """
    calibrated = [choice for choice in choices if choice.calibrated]
    found = max(calibrated or choices, key=lambda choice: choice.score.probability, default=None)
    return None if found is None else Surest(found.model, found.score)
