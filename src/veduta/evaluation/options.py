"""What a model is asked in an evaluation, beside how good it is on a set of photos."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from veduta.errors import UsageError
from veduta.evaluation.label_map import LabelMap

#: Is told photos done, failures among them, and photos in all.
Progress = Callable[[int, int, int], None]

#: The precisions that a threshold is looked for, where nothing else is asked.
PRECISIONS = (0.9, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Options:
    """What an evaluation is to look at.

    ``split`` is that of a manifest; None takes its test photos, or all where it has no splits.
    ``coarse`` judges by everyday labels in the first place: for sets whose classes are not the model's.
    ``meanings`` tells which label a class of the set is, where its name does not; ``wider`` which wider class a class
    of the model is judged as, beside its own.
    ``precisions`` are those that a threshold is looked for.
    ``strangers`` is a folder of photos that show none of the classes, ``wild`` another set, of photos from elsewhere.
    """

    split: str | None = None
    coarse: bool = False
    meanings: LabelMap = field(default_factory=LabelMap)
    wider: LabelMap = field(default_factory=LabelMap)
    precisions: tuple[float, ...] = PRECISIONS
    strangers: Path | None = None
    wild: Path | None = None

    def check(self) -> None:
        """Raise UsageError for a precision that can't be promised."""
        for precision in self.precisions:
            if not 0.0 < precision < 1.0:
                raise UsageError(
                    f"a precision of {precision:g} can't be promised; give one between 0 and 1, such as 0.95."
                )


class PartProgress:
    """Tells a progress of several parts as that of all ``total`` photos."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total = progress, total
        self._done = self._failed = 0

    def part(self) -> Callable[[int, int], None] | None:
        """What the next part tells its photos done, and the failures among them."""
        if self._progress is None:
            return None
        tell, done, failed = self._progress, self._done, self._failed

        def show(more: int, more_failed: int) -> None:
            self._done, self._failed = done + more, failed + more_failed
            tell(self._done, self._failed, self._total)

        return show
