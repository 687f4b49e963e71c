"""What a long chain of stages tells whoever waits for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Watch:
    """``begin`` is told the stage that begins, ``step`` how much of it is done and of how much, ``note`` a sentence."""

    begin: Callable[[str], None] = lambda _stage: None
    step: Callable[[int, int], None] = lambda _done, _all: None
    note: Callable[[str], None] = lambda _words: None
