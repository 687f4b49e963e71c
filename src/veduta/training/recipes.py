"""From a user's photos to a bundle: read, hold out, fit, train, calibrate, export, check.

The classifier is fitted to the pretrained features first, then all layers are trained (Kumar et al. 2022, "Fine-Tuning
can Distort Pretrained Features and Underperform Out-of-Distribution").
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from veduta import __version__
from veduta.datasets.split import hold_out_share
from veduta.errors import TrainingError
from veduta.images.limits import printable
from veduta.images.preprocess import Preprocessing
from veduta.models.bundle import Bundle, check_target
from veduta.training.batch_norms import rebase_statistics
from veduta.training.checkpoints import Origin
from veduta.training.custom_bundle import Making, write_custom_bundle
from veduta.training.dataset import read_dataset
from veduta.training.loop import Callbacks, EpochResult, Execution, Schedule, train_opened
from veduta.training.networks import SceneNetwork, find_architecture
from veduta.training.opening import OpenRun, check_enough, open_run
from veduta.training.photo_sets import PhotoFiles, PhotoSet
from veduta.training.probe import fit_classifier
from veduta.training.run_folder import Fact
from veduta.training.start import architecture_for, start_network
from veduta.training.user_data import ReadPhotos, check_left, read_photos

#: The photos of a run that could not be decoded, with the reason.
LEFT_OUT = "left_out.csv"

# So many photos tell a channel's mean and variance well enough.
_REBASE_PHOTOS = 5000
# So many are named in a sentence.
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to make of the photos.

    ``weights`` is what ``load_weights`` takes; without any the network starts from nothing, which takes many photos and
    epochs. ``architecture`` None is that of the weights where they are a model's or published, else MobileNetV2.
    ``size`` is the side of the square that the bundle will look at; a schedule whose side is 0 trains on crops as large
    as the network sees it. ``validation_share`` of each class is held out to choose the epoch and the temperature.
    """

    architecture: str | None = None
    weights: Path | str | None = None
    size: int = 128
    validation_share: float = 0.15
    schedule: Schedule = field(default_factory=Schedule)


@dataclass(frozen=True, slots=True)
class Progress:
    """What a long run tells its caller: each step (its number, how many, the loss), each epoch, a sentence now and
    then, before the first step the schedule as it will be done, and before that each photo that was read (how many
    were, and how many there are).
    """

    step: Callable[[int, int, float], None] = lambda _step, _steps, _loss: None
    epoch: Callable[[EpochResult], None] = lambda _result: None
    note: Callable[[str], None] = lambda _words: None
    start: Callable[[Schedule], None] = lambda _schedule: None
    photo: Callable[[int, int], None] = lambda _done, _all: None


def fit(
    data: Path,
    run: Path,
    recipe: Recipe = Recipe(),
    *,
    execution: Execution = Execution(),  # noqa: B008
    progress: Progress = Progress(),
) -> Bundle | None:
    """Train on ``data`` and write ``run/bundle``; a killed run with the same arguments goes on.

    Photos that can't be decoded are left out, told, and listed in ``run/left_out.csv``. Under torchrun only the first
    process writes; the others return None.
    Raises UsageError, TrainingError, OutputError, and what ``load_weights`` raises.
    """
    architecture = architecture_for(recipe.architecture, recipe.weights)
    wanted = _preprocessing(architecture, recipe.size, recipe.schedule.side)
    dataset = read_dataset(data)
    held = dataset.held_out
    if held is None:
        held = hold_out_share(dataset.targets, recipe.validation_share, recipe.schedule.seed)
    check_target(run / "bundle", replace=True)
    schedule = _fitting(recipe.schedule, int((~held).sum()), progress)
    network, origin = start_network(
        architecture, len(dataset.labels), recipe.weights, schedule.seed, execution, progress.note
    )
    listed = PhotoSet(PhotoFiles(dataset.paths, wanted), dataset.targets)
    with open_run(
        network,
        listed.subset(~held),
        listed.subset(held),
        schedule,
        run,
        execution,
        begun_with=_begun_with(recipe, architecture, origin),
        told=_told(recipe, data, architecture, origin),
    ) as opened:
        progress.note(
            f"reading {len(held):,} photos of {len(dataset.labels)} classes; {int(held.sum()):,} are held out"
        )
        read = read_photos(dataset, wanted, on_photo=progress.photo)
        _tell_left_out(read, opened, progress.note)
        check_left(dataset, ~held, read)
        training, validation = read.photos.subset(~held[read.kept]), read.photos.subset(held[read.kept])
        check_enough(training, validation, network, opened.schedule, opened.share)
        trained = _train(opened, network, training, validation, origin, progress)
        if opened.share.rank:
            return None
        progress.note("exporting, and checking the graph against torch")
        making = Making(
            dataset, architecture, wanted, recipe.validation_share, opened.schedule, origin, len(read.failures)
        )
        return write_custom_bundle(trained, validation, making, run / "bundle", progress.note)


def _train(
    run: OpenRun,
    network: SceneNetwork,
    training: PhotoSet,
    validation: PhotoSet,
    origin: Origin | None,
    progress: Progress,
) -> SceneNetwork:
    progress.start(run.schedule)
    if origin is not None and not run.goes_on:
        progress.note("fitting the classifier to the pretrained features")
        fit_classifier(network, training)
    callbacks = Callbacks(progress.step, progress.epoch, progress.note)
    trained = train_opened(run, network, training, validation, callbacks)
    if run.schedule.frozen_statistics and not run.share.rank:
        spread = np.linspace(0, len(training) - 1, min(_REBASE_PHOTOS, len(training))).astype(np.int64)
        rebase_statistics(trained, training.subset(spread))
    return trained


def _begun_with(recipe: Recipe, architecture: str, origin: Origin | None) -> dict[str, Fact]:
    return {
        "architecture": architecture,
        "size": recipe.size,
        "held-out share": recipe.validation_share,
        "start weights": "none" if origin is None else f"SHA-256 {origin.sha256[:16]}",
    }


def _told(recipe: Recipe, data: Path, architecture: str, origin: Origin | None) -> dict[str, Any]:
    """What the run's configuration says beside the schedule, for whoever repeats it."""
    start = None if origin is None else {"source": origin.source, "file": str(origin.path), "sha256": origin.sha256}
    return {
        "veduta": __version__,
        "data": str(data.resolve()),
        "held_out_share": recipe.validation_share,
        "architecture": architecture,
        "size": recipe.size,
        "start_weights": start,
    }


def _tell_left_out(read: ReadPhotos, run: OpenRun, note: Callable[[str], None]) -> None:
    """A sentence, and a row for each photo in the run's folder."""
    if not read.failures:
        return
    named = ", ".join(printable(each.path) for each in read.failures[:_NAMED])
    more = " and others" if len(read.failures) > _NAMED else ""
    note(
        f"{len(read.failures):,} of {len(read.kept):,} photos can't be decoded and are left out: {named}{more}; "
        f"{run.folder.path / LEFT_OUT} says why."
    )
    if not run.share.rank:
        text = io.StringIO()
        rows = csv.writer(text)
        rows.writerows([("path", "reason"), *((printable(each.path), each.message) for each in read.failures)])
        run.folder.write_text(LEFT_OUT, text.getvalue())


def _preprocessing(architecture: str, size: int, crops: int) -> Preprocessing:
    """``crops`` is the side of the random ones, 0 where they are as large as the network sees photos."""
    chosen = find_architecture(architecture)
    for what, side in (("photos", size), ("crops", crops or size)):
        if side < chosen.smallest:
            raise TrainingError(f"{architecture} sees {what} from {chosen.smallest} pixels on; {side} are too few.")
    if chosen.hidden and crops not in (0, size):
        raise TrainingError(
            f"{architecture} sees one size only: photos of {size} pixels and crops of {crops} don't go together; leave "
            "the side of the crops out."
        )
    return Preprocessing(fit="crop", sizes=((size, size),), short_side=size, filter="bilinear")


def _fitting(schedule: Schedule, photos: int, progress: Progress) -> Schedule:
    """A batch is never more than the photos; few photos have smaller ones, and a warm-up within the first epoch."""
    most = max(2, photos // 4 // 2 * 2)
    if schedule.batch_size > most:
        progress.note(f"{photos} photos: batches of {most} instead of {schedule.batch_size}")
        schedule = replace(schedule, batch_size=most)
    steps = photos // schedule.batch_size
    return replace(schedule, warm_up_steps=min(schedule.warm_up_steps, steps))
