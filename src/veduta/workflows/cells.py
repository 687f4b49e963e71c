"""One cell of a comparison: trained, judged and kept, so that a killed comparison does only what is left.

    out/cells/<name>-<key>/
        run/            the training's own folder; the model is in run/bundle
        time.json       seconds of the training so far, and whether it is done
        outcome.json    what the model said, and what it costs

The key in the folder's name is of all that the training depends on, so one with another setting has another folder, and
the one before stays.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from blake3 import blake3

from veduta import __version__
from veduta.errors import BundleError
from veduta.evaluation.comparison import Effort, Outcome
from veduta.evaluation.speed import processor_name
from veduta.images.pool import DecodePool
from veduta.models.bundle import Bundle
from veduta.models.threads import checked_threads
from veduta.recognition.tagger import load
from veduta.workflows.compared_photos import ComparedPhotos, DividedSet
from veduta.workflows.grid import Cell, Settings
from veduta.workflows.outcomes import About, Measuring, judge, keep_outcome, kept_outcome
from veduta.workflows.starts import Start, backbone_for
from veduta.workflows.stopwatch import Stopwatch
from veduta.workflows.trainings import Told, train_cell

OUTCOME, TIME, RUN = "outcome.json", "time.json", "run"

# Letters of a key that a folder's name shows.
_SHOWN = 12
# What a finished training has no more use for: checkpoints and embeddings.
_SCRATCH = (".pt", ".npz")
# The share of a cell's work that is its training; the rest is judging.
_TRAINING = 0.97


@dataclass(frozen=True, slots=True)
class Bench:
    """What all cells of a comparison share."""

    out: Path
    photos: DividedSet
    starts: dict[str, Start]
    settings: Settings
    measuring: Measuring


@dataclass(frozen=True, slots=True)
class CellWatch:
    """``within`` is told a stage in words, how much of it is done, and of how much; ``share`` how much of the cell is,
    from 0 to 1; ``note`` a sentence.
    """

    within: Callable[[str, int, int], None] = lambda _words, _done, _all: None
    share: Callable[[float], None] = lambda _share: None
    note: Callable[[str], None] = lambda _words: None


def key_of(**facts: Any) -> str:
    """What tells these facts from others, with the version of Veduta."""
    told = json.dumps({"veduta": __version__, **facts}, sort_keys=True, ensure_ascii=True)
    return blake3(told.encode()).hexdigest(length=16)


def folder_of(cell: Cell, bench: Bench) -> tuple[Path, str]:
    """Where a cell is kept, and the key of what its training depends on."""
    start = None if cell.recipe == "scratch" else bench.starts[cell.architecture].identity(cell.recipe)
    key = key_of(photos=bench.photos.digest, cell=asdict(cell), start=start, settings=bench.settings.of(cell.recipe))
    return bench.out / "cells" / f"{cell.name}-{key[:_SHOWN]}", key


def kept_cell(cell: Cell, bench: Bench) -> Outcome | None:
    """The outcome of a cell that is done; None where there is work left."""
    folder, key = folder_of(cell, bench)
    known = kept_outcome(folder / OUTCOME, _judged_by(key, bench))
    # The same photos may be called otherwise now.
    return None if known is None else replace(known, data=bench.photos.test.name)


def do_cell(cell: Cell, bench: Bench, watch: CellWatch = CellWatch()) -> Outcome:
    """Train and judge a cell, from where an earlier process left it, and keep its outcome.

    Raises what ``train_cell`` and ``judge`` raise.
    """
    folder, key = folder_of(cell, bench)
    backbone = None
    if cell.recipe == "transfer":
        start = bench.starts[cell.architecture]
        backbone = backbone_for(
            cell.architecture, cell.size, start, bench.out / "backbones", lambda words: watch.within(words, 0, 1)
        )
    bundle, effort = _trained(cell, bench, folder, backbone, watch)
    outcome = judge_bundle(
        bundle,
        bench.photos.test,
        About(cell.name, cell.architecture, cell.size, cell.recipe, effort),
        bench.settings.threads,
        bench.measuring,
        replace(watch, share=lambda share: watch.share(_TRAINING + (1 - _TRAINING) * share)),
    )
    outcome = replace(outcome, bundle=bundle.path.relative_to(bench.out).as_posix())
    keep_outcome(folder / OUTCOME, _judged_by(key, bench), outcome)
    for file in (folder / RUN).rglob("*"):
        if file.suffix in _SCRATCH:
            with suppress(OSError):
                file.unlink()
    return outcome


def judge_bundle(
    bundle: Bundle,
    photos: ComparedPhotos,
    about: About,
    threads: int | None,
    measuring: Measuring,
    watch: CellWatch,
) -> Outcome:
    """Load a model and judge it; what ``judge`` raises."""
    tagger = load(bundle.path, threads=threads)

    def on_photo(done: int, total: int) -> None:
        watch.within(f"judging on {photos.name}", done, total)
        watch.share(done / max(1, total))

    with DecodePool(checked_threads(threads)) as pool:
        return judge(tagger, photos, pool, about, measuring=measuring, on_photo=on_photo)


def _trained(
    cell: Cell, bench: Bench, folder: Path, backbone: Bundle | None, watch: CellWatch
) -> tuple[Bundle, Effort]:
    # Embeddings are computed by all threads there are.
    threads = checked_threads(None if cell.recipe == "transfer" else bench.settings.threads)
    conditions = f"{processor_name()}, {threads} thread{'s' * (threads != 1)}"
    stopwatch = Stopwatch.of(folder / TIME, conditions)
    bundle = _finished(folder, stopwatch)
    if bundle is None:
        if stopwatch.finished:  # its model is damaged or gone, and so is all to go on from
            stopwatch = Stopwatch(folder / TIME, conditions)

        stopwatch.start()

        def within(words: str, done: int, total: int) -> None:
            stopwatch.tick()
            watch.within(words, done, total)

        told = Told(within, lambda share: watch.share(_TRAINING * share), watch.note)
        start = bench.starts.get(cell.architecture) if cell.recipe == "finetune" else None
        bundle = train_cell(cell, bench.settings, bench.photos.manifest, folder / RUN, start, backbone, told)
        stopwatch.stop()
    effort = Effort(
        round(stopwatch.seconds, 3), round(stopwatch.processor_seconds, 3), stopwatch.runs, stopwatch.conditions
    )
    return bundle, effort


def _finished(folder: Path, stopwatch: Stopwatch) -> Bundle | None:
    if not stopwatch.finished:
        return None
    try:
        return Bundle.load(folder / RUN / "bundle")
    except BundleError:
        return None


def _judged_by(key: str, bench: Bench) -> str:
    """The key of an outcome: other speeds are measured with other threads."""
    return key_of(training=key, threads=checked_threads(bench.settings.threads), measuring=asdict(bench.measuring))
