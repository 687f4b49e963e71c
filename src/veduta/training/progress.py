"""What a long training tells whoever waits for it; no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from veduta.training.loop import EpochResult
    from veduta.training.schedules import Schedule


@dataclass(frozen=True, slots=True)
class Progress:
    """What is called on the way: each step (its number, how many, the loss), each epoch, a sentence now and then,
    before the first step the schedule as it will be done, and before that each photo that was read (how many were, and
    how many there are).
    """

    step: Callable[[int, int, float], None] = lambda _step, _steps, _loss: None
    epoch: Callable[[EpochResult], None] = lambda _result: None
    note: Callable[[str], None] = lambda _words: None
    start: Callable[[Schedule], None] = lambda _schedule: None
    photo: Callable[[int, int], None] = lambda _done, _all: None
