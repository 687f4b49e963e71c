"""What every runtime does for a session, and what its engines share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Precision = Literal["float32", "bfloat16"]
Results = dict[str, NDArray[np.float32]]


class Engine(Protocol):
    """A graph in one runtime: runs checked images of one size, and gets ready for that; safe to share between threads.

    Sizes are (height, width); ``outputs`` are sorted and exist. ``Session`` tells what each method does.
    """

    def prepare(self, size: tuple[int, int], outputs: tuple[str, ...]) -> None: ...

    def run(self, images: Sequence[NDArray[np.uint8]], outputs: tuple[str, ...]) -> Results: ...

    def needed_bytes(self, size: tuple[int, int], outputs: tuple[str, ...]) -> int: ...

    def limit(self, total: int, more: Callable[[int], bool]) -> None: ...


def told(error: Exception) -> str:
    """The line of a runtime's message that tells most: unknown operations where it names them, else its last."""
    lines = [line.strip("- ") for line in str(error).splitlines() if line.strip("- ")] or [type(error).__name__]
    line = next((line for line in lines if line.startswith("No conversion rule")), lines[-1])
    return "".join(each if each.isprintable() else "?" for each in line[:200])
