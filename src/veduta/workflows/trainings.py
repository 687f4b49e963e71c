"""One training of a comparison, by any recipe, told in one way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from veduta.models.bundle import Bundle
from veduta.models.threads import checked_threads
from veduta.training.progress import Progress
from veduta.training.train import train
from veduta.workflows.grid import Cell, Settings
from veduta.workflows.starts import Start


@dataclass(frozen=True, slots=True)
class Told:
    """``within`` is told a stage in words, how much of it is done, and of how much; ``trained`` the share of the
    training itself, from 0 to 1; ``note`` a sentence.
    """

    within: Callable[[str, int, int], None]
    trained: Callable[[float], None]
    note: Callable[[str], None]


def train_cell(
    cell: Cell, settings: Settings, data: Path, run: Path, start: Start | None, backbone: Bundle | None, told: Told
) -> Bundle:
    """Train on the manifest ``data`` and return ``run/bundle``; a run that was killed goes on.

    ``start`` is what finetune starts from, ``backbone`` what transfer learns behind.
    Raises UsageError, TrainingError, OutputError, and what the recipes raise.
    """
    given = settings.of(cell.recipe)
    if cell.recipe == "transfer":
        assert backbone is not None
        bundle = train(data, run, recipe="transfer", weights=backbone.path, **given, progress=_embedding(told))
    else:
        bundle = train(
            data,
            run,
            recipe="scratch" if start is None else "finetune",
            architecture=cell.architecture,
            weights=None if start is None else start.source,
            size=cell.size,
            **given,
            threads=checked_threads(settings.threads),
            progress=_stepping(told),
        )
    assert bundle is not None, "only other processes of torchrun have none"
    return bundle


def _embedding(told: Told) -> Progress:
    def on_photo(done: int, total: int) -> None:
        told.within("embedding photos", done, total)
        told.trained(done / max(1, total))

    return Progress(photo=on_photo, note=told.note)


def _stepping(told: Told) -> Progress:
    def on_step(step: int, steps: int, loss: float) -> None:
        told.within(f"training, loss {loss:.3f}", step, steps)
        told.trained(step / max(1, steps))

    return Progress(on_step, note=told.note, photo=lambda done, total: told.within("reading photos", done, total))
