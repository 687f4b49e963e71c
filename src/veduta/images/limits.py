"""How much one photo may cost, and how its name is shown in a sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass

from veduta.errors import UsageError


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one photo may cost; each is refused with an error that names the limit.

    ``max_bytes``: the file. ``max_pixels``: width times height as its header says, before any pixel is decoded.
    ``max_memory``: bytes that decoding may take above the resting process; an estimate from the header everywhere,
    and enforced by the system in the processes of a pool on Linux. ``max_seconds``: the deadline for one photo,
    enforced by the pool alone, because a process can't interrupt its own decoder.
    """

    max_bytes: int = 256 * 2**20
    max_pixels: int = 250_000_000
    max_seconds: float = 20.0
    max_memory: int = 2**30

    def __post_init__(self) -> None:
        for name in ("max_bytes", "max_pixels", "max_seconds", "max_memory"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise UsageError(f"The limit {name} is {value}, but it must be a number above zero.")


def printable(name: str) -> str:
    """The name on one line: control characters, line separators and undecodable bytes become escapes."""
    if name.isprintable():
        return name
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode("ascii")
        for char in name
    )
