"""From a user's photos to a bundle: read, hold out, fit, train, calibrate, export, check.

The classifier is fitted to the pretrained features first, then all layers are trained (Kumar et al. 2022, "Fine-Tuning
can Distort Pretrained Features and Underperform Out-of-Distribution").
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from veduta import __version__
from veduta.errors import TrainingError, UsageError
from veduta.images.preprocess import Preprocessing
from veduta.models.bundle import Bundle, Task, check_target
from veduta.recognition.tagger import DEFAULT_MODEL
from veduta.training.augment import CHANGES, with_changes
from veduta.training.batch_norms import rebase_statistics
from veduta.training.checkpoints import Origin
from veduta.training.custom_bundle import Making, write_custom_bundle
from veduta.training.dataset import Dataset, read_dataset
from veduta.training.execution import share_of_this_process
from veduta.training.fitted import Fitted, fit_first
from veduta.training.keep import Kept, LastFit, keep_better, last_fit
from veduta.training.left_out import tell_left_out
from veduta.training.loop import Callbacks, Execution, Schedule, train_opened
from veduta.training.networks import SceneNetwork, find_architecture
from veduta.training.opening import OpenRun, check_enough, open_run
from veduta.training.options import Options, RecipeName
from veduta.training.photo_sets import PhotoFiles, PhotoSet
from veduta.training.progress import Progress
from veduta.training.run_folder import Fact
from veduta.training.schedules import DEFAULTS, for_photos
from veduta.training.search import found_before, search
from veduta.training.start import architecture_for, start_network
from veduta.training.user_data import ReadPhotos, check_left, read_photos

__all__ = ["Progress", "Recipe", "fit", "recipe_for"]

#: Side of the square that a model looks at, where nobody says otherwise.
SIZE = 128

#: Trials of a search, where nobody says otherwise.
TRIALS = 12

#: Held out of each class, where nobody says otherwise.
VALIDATION_SHARE = 0.15

# What a schedule calls an option.
_FIELDS = {"rate": "learning_rate"}

# So many photos tell a channel's mean and variance well enough.
_REBASE_PHOTOS = 5000


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to make of the photos.

    ``weights`` is what ``load_weights`` takes; without any the network starts from nothing, which takes many photos and
    epochs. ``architecture`` None is that of the weights where they are a model's or published, else MobileNetV2.
    ``size`` is the side of the square that the bundle will look at; a schedule whose side is 0 trains on crops as large
    as the network sees it. ``validation_share`` of each class (None is ``VALIDATION_SHARE``) is held out to choose the
    epoch and the temperature, where the data do not say which photos are. ``task`` is what the data must be for, see
    ``read_dataset``. ``head_epochs`` trains the classifier of pretrained weights for so many epochs at the most before
    anything else; 0 fits it by regression. ``refit`` fits the last classifier to all photos, see ``refit``; not from
    fresh weights, nor with class weights. ``trials`` searches for better settings of the schedule; 0 takes them as
    they are.
    """

    architecture: str | None = None
    weights: Path | str | None = None
    size: int = SIZE
    validation_share: float | None = None
    schedule: Schedule = field(default_factory=Schedule)
    task: Task | None = None
    head_epochs: int = 0
    refit: bool = True
    trials: int = 0

    def __post_init__(self) -> None:
        for name in ("head_epochs", "trials"):
            if getattr(self, name) < 0:
                raise TrainingError(f"{name} is {getattr(self, name)}; it must be 0 or more.")
        if self.weights is None and (self.head_epochs or self.schedule.train_last is not None):
            raise TrainingError(
                "from fresh weights all layers are trained together; leave head_epochs and train_last out, or name "
                "weights to start from."
            )


def recipe_for(name: RecipeName, options: Options) -> Recipe:
    """The recipe that ``finetune`` or ``scratch`` is with these options. Raises TrainingError for impossible values."""
    fresh = name == "scratch"
    usual = DEFAULTS["scratch" if fresh else "finetune", options.optimizer or "adamw"]
    asked = {_FIELDS.get(each, each): value for each, value in options.given.items()}
    schedule = {each.name: asked[each.name] for each in fields(Schedule) if each.name in asked}
    changes = {each: asked[each] for each in CHANGES if each in asked}
    return Recipe(
        options.architecture,
        None if fresh else options.weights or DEFAULT_MODEL,
        SIZE if options.size is None else options.size,
        options.validation,
        replace(usual, **schedule, augmentation=with_changes(usual.augmentation, changes)),
        cast("Task | None", options.task),
        options.head_epochs or 0,
        options.refit is not False,
        (TRIALS if options.trials is None else options.trials) if options.search else 0,
    )


def fit(
    data: Path,
    run: Path,
    recipe: Recipe = Recipe(),
    *,
    execution: Execution = Execution(),  # noqa: B008
    progress: Progress = Progress(),  # noqa: B008
) -> Bundle | None:
    """Train on ``data`` and write ``run/bundle``; a killed run with the same arguments goes on.

    From pretrained weights the network is kept only where it is better than the classifier that was fitted to their
    features, see ``fitted``. Photos that can't be decoded are left out, told, and listed in ``run/left_out.csv``. Under
    torchrun only the first process writes and tells of it; the others return None.
    Raises UsageError, TrainingError, OutputError, and what ``load_weights`` raises.
    """
    progress = Progress() if share_of_this_process().rank else progress
    _check_processes(recipe)
    architecture = architecture_for(recipe.architecture, recipe.weights)
    wanted = _preprocessing(architecture, recipe.size, recipe.schedule.side)
    dataset = read_dataset(data, recipe.task)
    held = _held_out(dataset, recipe)
    check_target(run / "bundle", replace=True)
    asked = _schedule(recipe, int((~held).sum()), progress)
    network, origin = start_network(
        architecture, len(dataset.labels), recipe.weights, asked.seed, execution, progress.note
    )
    listed = PhotoSet(PhotoFiles(dataset.paths, wanted), dataset.targets)
    with open_run(
        network,
        listed.subset(~held),
        listed.subset(held),
        found_before(run, asked, recipe.trials),
        run,
        execution,
        begun_with=_begun_with(recipe, architecture, origin),
        told=_told(recipe, data, architecture, origin),
    ) as opened:
        read = _read(dataset, held, wanted, opened, progress)
        training, validation = read.photos.subset(~held[read.kept]), read.photos.subset(held[read.kept])
        check_enough(training, validation, network, opened.schedule, opened.share)
        fitted = None
        if origin is not None:
            fitted = fit_first(opened, network, training, validation, recipe.head_epochs, progress)
        if recipe.trials:
            found = search(opened, network, training, validation, asked, recipe.trials, progress)
            going = replace(opened, schedule=found)
        else:
            going = opened
        fit_last = None
        if recipe.refit and going.schedule.class_weights == "none":
            groups = dataset.subset(held & read.kept).groups
            fit_last = last_fit(training, validation, groups, going.schedule.seed)
        kept = _train(going, network, fitted, training, validation, fit_last, not recipe.head_epochs, progress)
        if opened.share.rank:
            return None
        progress.note("exporting, and checking the graph against torch")
        making = Making(
            dataset=dataset,
            architecture=architecture,
            wanted=wanted,
            validation_share=_share(recipe),
            schedule=going.schedule,
            start=origin,
            left_out=len(read.failures),
            head_epochs=recipe.head_epochs,
            trials=recipe.trials,
            verdict=kept.verdict,
            refit=kept.refit,
        )
        return write_custom_bundle(kept.network, validation, making, run / "bundle", progress.note)


def _check_processes(recipe: Recipe) -> None:
    if recipe.trials and share_of_this_process().processes > 1:
        raise TrainingError(
            "a search for settings runs in one process: search without torchrun, then give what it found to several."
        )


def _share(recipe: Recipe) -> float:
    return VALIDATION_SHARE if recipe.validation_share is None else recipe.validation_share


def _held_out(dataset: Dataset, recipe: Recipe) -> NDArray[np.bool_]:
    """Which photos are held out, ``[n]``: as the data say, else a share of each class, no group across the two."""
    if dataset.held_out is not None and recipe.validation_share is not None:
        raise UsageError(
            f"{dataset.name} says itself which photos are for validation, so no share of {recipe.validation_share:g} "
            "can be held out; leave that out, or take the splits out of the manifest."
        )
    return dataset.hold_out(_share(recipe), recipe.schedule.seed)


def _schedule(recipe: Recipe, photos: int, progress: Progress) -> Schedule:
    """The recipe's, for so many photos."""
    schedule = for_photos(recipe.schedule, photos)
    if schedule.batch_size < recipe.schedule.batch_size:
        progress.note(f"{photos} photos: batches of {schedule.batch_size} instead of {recipe.schedule.batch_size}")
    return schedule


def _read(
    dataset: Dataset, held: NDArray[np.bool_], wanted: Preprocessing, run: OpenRun, progress: Progress
) -> ReadPhotos:
    """The photos, as far as they can be decoded."""
    progress.note(f"reading {len(held):,} photos of {len(dataset.labels)} classes; {int(held.sum()):,} are held out")
    read = read_photos(dataset, wanted, on_photo=progress.photo)
    tell_left_out(read.failures, len(read.kept), run.folder.path, progress.note, write=not run.share.rank)
    check_left(dataset, ~held, read)
    return read


def _train(
    run: OpenRun,
    network: SceneNetwork,
    fitted: Fitted | None,
    training: PhotoSet,
    validation: PhotoSet,
    fit_last: LastFit | None,
    regressed: bool,
    progress: Progress,
) -> Kept:
    """The network to keep: the trained one, or the one as it was where training made it no better; told."""
    progress.start(run.schedule)
    before = copy.deepcopy(network).eval()
    callbacks = Callbacks(progress.step, progress.epoch, progress.note)
    start = None if fitted is None else fitted.epoch
    trained = train_opened(run, network, training, validation, callbacks, start)
    if run.share.rank:
        return Kept(trained)
    if run.schedule.frozen_statistics:
        spread = np.linspace(0, len(training) - 1, min(_REBASE_PHOTOS, len(training))).astype(np.int64)
        rebase_statistics(trained, training.subset(spread))
    if fitted is None:
        return Kept(trained)
    if fit_last is not None:
        progress.note("judging the fine-tuned network and the untouched one, each under a classifier of all photos")
    kept = keep_better(before, trained, fitted, validation, fit_last=fit_last, regressed=regressed)
    for said in (kept.verdict, kept.refit):
        if said is not None:
            progress.note(said.sentence)
            run.folder.add_to_config(said.told)
    return kept


def _begun_with(recipe: Recipe, architecture: str, origin: Origin | None) -> dict[str, Fact]:
    return {
        "architecture": architecture,
        "size": recipe.size,
        "photos seen": "whole",
        "held-out share": _share(recipe),
        "start weights": "none" if origin is None else f"SHA-256 {origin.sha256[:16]}",
        "head epochs": recipe.head_epochs,
    }


def _told(recipe: Recipe, data: Path, architecture: str, origin: Origin | None) -> dict[str, Any]:
    """What the run's configuration says beside the schedule, for whoever repeats it."""
    start = None if origin is None else {"source": origin.source, "file": str(origin.path), "sha256": origin.sha256}
    return {
        "veduta": __version__,
        "data": str(data.resolve()),
        "held_out_share": _share(recipe),
        "architecture": architecture,
        "size": recipe.size,
        "start_weights": start,
        "head_epochs": recipe.head_epochs,
        "searched_trials": recipe.trials,
    }


def _preprocessing(architecture: str, size: int, crops: int) -> Preprocessing:
    """The whole photo: what tells places apart is at its edges, too. ``crops`` is the side of the random ones, 0 where
    they are as large as the network sees photos.
    """
    chosen = find_architecture(architecture)
    chosen.check_side(size)
    chosen.check_side(crops or size, "crops")
    return Preprocessing.squeezed(size)
