"""From a user's photos to a bundle: read, hold out, fit, train, calibrate, export, check.

The classifier is fitted to the pretrained features first, then all layers are trained (Kumar et al. 2022, "Fine-Tuning
can Distort Pretrained Features and Underperform Out-of-Distribution").
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from veduta.datasets.folders import list_class_folders
from veduta.datasets.split import hold_out_share
from veduta.datasets.tables import read_label_table
from veduta.errors import BundleNotFound, TrainingError, UsageError
from veduta.evaluation.calibration import calibrate
from veduta.images.preprocess import Preprocessing
from veduta.models.bundle import Bundle, Head, Metric, OutputSpec, Task, write_bundle
from veduta.models.session import Session
from veduta.models.store import find
from veduta.records import Label
from veduta.training.batch_norms import rebase_statistics
from veduta.training.card import Card, Source, write_card
from veduta.training.checkpoints import load_weights
from veduta.training.execution import share_of_this_process
from veduta.training.export import check_parity, export_graph, export_weights, round_to_half
from veduta.training.loop import EpochResult, Execution, Schedule, has_checkpoint, train
from veduta.training.networks import SceneNetwork, build, find_architecture
from veduta.training.photo_sets import PhotoFiles, PhotoSet
from veduta.training.probe import fit_classifier
from veduta.training.validation import figures

#: Photos that take more memory than this stay on disk and are decoded each time.
MEMORY = 4 * 2**30

_ARCHITECTURE = "mobilenet_v2"
_PARITY_PHOTOS = 200
# So many photos tell a channel's mean and variance well enough.
_REBASE_PHOTOS = 5000


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to make of the photos.

    ``weights`` is what ``load_weights`` takes; without any the network starts from nothing, which takes many photos and
    epochs. ``architecture`` None is that of the weights where they are a model's, else MobileNetV2. ``size`` is the
    side of the square that the bundle will look at. ``validation_share`` of each class is held out to choose the epoch
    and the temperature.
    """

    architecture: str | None = None
    weights: Path | str | None = None
    size: int = 128
    validation_share: float = 0.15
    schedule: Schedule = field(default_factory=Schedule)


@dataclass(frozen=True, slots=True)
class Progress:
    """What a long run tells its caller: each step (its number, how many, the loss), each epoch, a sentence now and
    then, and before the first step the schedule as it will be done.
    """

    step: Callable[[int, int, float], None] = lambda _step, _steps, _loss: None
    epoch: Callable[[EpochResult], None] = lambda _result: None
    note: Callable[[str], None] = lambda _words: None
    start: Callable[[Schedule], None] = lambda _schedule: None


@dataclass(frozen=True, slots=True)
class Dataset:
    """Photos by path with their targets, int64 ``[n]`` or float32 ``[n, c]``, and the c names of these."""

    name: str
    paths: tuple[str, ...]
    targets: NDArray[np.int64] | NDArray[np.float32]
    labels: tuple[str, ...]

    @property
    def task(self) -> Task:
        """One label for each photo, or any number of them."""
        return "single_label" if self.targets.ndim == 1 else "multi_label"


def read_dataset(data: Path) -> Dataset:
    """A folder with a folder of photos for each class, or a CSV table with a path and a 0 or 1 for each label.

    Raises UsageError where it is neither, a class has no photo, or there are fewer than two classes.
    """
    if data.is_file():
        table = read_label_table(data)
        return Dataset(data.stem, table.paths, table.present, table.labels)
    if not data.is_dir():
        raise UsageError(f"{data} is not there; give a folder with a folder for each class, or a CSV table.")
    folders = sorted(each.name for each in data.iterdir() if each.is_dir() and not each.name.startswith("."))
    if len(folders) < 2:
        raise UsageError(f"{data} holds {len(folders)} class folders; a training needs two or more, or a CSV table.")
    samples = list_class_folders(data, folders)
    place = {name: target for target, name in enumerate(folders)}
    targets = np.array([place[sample.label or ""] for sample in samples], np.int64)
    return Dataset(data.name, tuple(sample.path for sample in samples), targets, tuple(folders))


def read_photos(dataset: Dataset, wanted: Preprocessing, *, memory: int | None = None) -> PhotoSet:
    """The photos decoded, where ``memory`` bytes (None is ``MEMORY``) hold them; else each is whenever it is needed.

    Raises PhotoError, naming the first file that can't be decoded.
    """
    files = PhotoFiles(dataset.paths, wanted)
    height, width = wanted.sizes[0]
    if len(files) * height * width * 3 > (MEMORY if memory is None else memory):
        return PhotoSet(files, dataset.targets)
    return PhotoSet(files.read_all(), dataset.targets)


def fit(
    data: Path,
    run: Path,
    recipe: Recipe = Recipe(),
    *,
    execution: Execution = Execution(),  # noqa: B008
    progress: Progress = Progress(),
) -> Bundle | None:
    """Train on ``data`` and write ``run/bundle``; a killed run with the same arguments goes on.

    Under torchrun only the first process writes; the others return None.
    Raises UsageError, PhotoError, TrainingError, OutputError, and what ``load_weights`` raises.
    """
    recipe = replace(recipe, architecture=_architecture(recipe))
    dataset = read_dataset(data)
    held = hold_out_share(dataset.targets, recipe.validation_share, recipe.schedule.seed)
    wanted = _preprocessing(recipe)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.schedule.seed)
        network = build(_architecture(recipe), len(dataset.labels))
    load_weights(network, recipe.weights)
    progress.note(f"reading {len(held):,} photos of {len(dataset.labels)} classes; {int(held.sum()):,} are held out")
    photos = read_photos(dataset, wanted)
    training, validation = photos.subset(~held), photos.subset(held)
    schedule = _fitting(recipe.schedule, len(training), progress)
    progress.start(schedule)
    if recipe.weights is not None and not has_checkpoint(run):
        progress.note("fitting the classifier to the pretrained features")
        fit_classifier(network, training)
    trained = train(
        network,
        training,
        validation,
        schedule,
        run,
        execution=execution,
        on_step=progress.step,
        on_epoch=progress.epoch,
        on_note=progress.note,
    )
    if share_of_this_process().rank:
        return None
    if schedule.frozen_statistics:
        spread = np.linspace(0, len(training) - 1, min(_REBASE_PHOTOS, len(training))).astype(np.int64)
        rebase_statistics(trained, training.subset(spread))
    progress.note("exporting, and checking the graph against torch")
    return _export(trained, dataset, validation, replace(recipe, schedule=schedule), run / "bundle", progress.note)


def _export(
    network: SceneNetwork,
    dataset: Dataset,
    validation: PhotoSet,
    recipe: Recipe,
    out: Path,
    note: Callable[[str], None],
) -> Bundle:
    round_to_half(network)
    graph = export_graph(network, recipe.size)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(graph)
        some = validation.subset(np.linspace(0, len(validation) - 1, min(_PARITY_PHOTOS, len(validation))).astype(int))
        difference = check_parity(network, path, some.read(0, len(some)))
        session = Session(path)
        logits = np.concatenate(
            [session.run(images.numpy(), ["logits"])["logits"] for images in validation.batches(64)]
        )
    truth = validation.labels
    targets = truth.astype(np.int64) if dataset.task == "single_label" else truth > 0
    temperature, calibration = calibrate(logits, targets, dataset.task)
    if temperature is None:
        note(f"{calibration} The scores stay uncalibrated: they put the classes in order, and mean no more.")
    maps = network.has_class_maps
    head = Head(
        name="classes" if dataset.task == "single_label" else "labels",
        task=dataset.task,
        labels=tuple(Label(name, name.replace("_", " ")) for name in dataset.labels),
        class_maps="class_maps" if maps else None,
        class_maps_mean_is_logits=maps,
        temperature=temperature,
    )
    measured = figures(logits, validation.labels)
    metrics = tuple(
        Metric(name, round(value, 4), f"{dataset.name}, held out", len(validation))
        for name, value in measured.items()
        if name != "loss"
    )
    about = Card(
        name=dataset.name,
        summary=_summary(dataset, recipe),
        metrics=metrics,
        sources=_sources(dataset, recipe),
        making=(_making(recipe), calibration),
        limits=_limits(temperature is not None),
        not_for=("Decisions about people.",),
        parity=difference,
        parity_photos=len(some),
    )
    return write_bundle(
        out,
        name=_bundle_name(dataset.name),
        kind="classifier",
        graph=graph,
        preprocessing=_preprocessing(recipe),
        heads=[head],
        card=write_card(about),
        embedding=OutputSpec("embedding", network.classifier.in_features),
        metrics=metrics,
        architecture=recipe.architecture,
        weights=export_weights(network),
        replace=True,
    )


def _architecture(recipe: Recipe) -> str:
    if recipe.architecture is not None:
        return recipe.architecture
    if recipe.weights is not None:
        with suppress(BundleNotFound):
            return Bundle.load(find(recipe.weights)).architecture or _ARCHITECTURE
    return _ARCHITECTURE


def _preprocessing(recipe: Recipe) -> Preprocessing:
    smallest = find_architecture(_architecture(recipe)).smallest
    if recipe.size < smallest:
        raise TrainingError(f"{recipe.architecture} sees photos from {smallest} pixels on; {recipe.size} are too few.")
    return Preprocessing(fit="crop", sizes=((recipe.size, recipe.size),), short_side=recipe.size, filter="bilinear")


def _fitting(schedule: Schedule, photos: int, progress: Progress) -> Schedule:
    """A batch is never more than the photos; few photos have smaller ones, and a warm-up within the first epoch."""
    most = max(2, photos // 4 // 2 * 2)
    if schedule.batch_size > most:
        progress.note(f"{photos} photos: batches of {most} instead of {schedule.batch_size}")
        schedule = replace(schedule, batch_size=most)
    steps = photos // schedule.batch_size
    return replace(schedule, warm_up_steps=min(schedule.warm_up_steps, steps))


def _summary(dataset: Dataset, recipe: Recipe) -> str:
    told = "which of {} classes a photo is" if dataset.task == "single_label" else "which of {} labels a photo has"
    return (
        f"Tells {told.format(len(dataset.labels))}. A {recipe.architecture}, for photos of {recipe.size} by "
        f"{recipe.size} pixels."
    )


def _sources(dataset: Dataset, recipe: Recipe) -> tuple[Source, ...]:
    share = f"training; {recipe.validation_share:.0%} held out by a seeded rule to choose the epoch and to calibrate"
    photos = Source(f"{dataset.name}: {len(dataset.paths):,} photos", share, "not stated")
    if recipe.weights is None:
        return (photos,)
    return (photos, Source(f"weights {Path(str(recipe.weights)).name}", "start", "those of their authors"))


def _making(recipe: Recipe) -> str:
    schedule = recipe.schedule
    start = "From fresh weights" if recipe.weights is None else "The classifier was fitted first, then"
    return (
        f"{start} all layers were trained, up to {schedule.epochs} epochs at {schedule.side} pixels, batches of "
        f"{schedule.batch_size}, {schedule.optimizer} at {schedule.learning_rate:g}, {schedule.decay} decay."
    )


def _limits(calibrated: bool) -> tuple[str, ...]:
    chosen = "the epoch and the temperature" if calibrated else "the epoch"
    uncalibrated = ("The scores are not calibrated: they order the classes, and mean no more.",)
    return (
        f"The held-out photos also chose {chosen}, so the figures are a little too good.",
        *(() if calibrated else uncalibrated),
        "A photo of anything else gets these labels too.",
    )


def _bundle_name(name: str) -> str:
    """The data's name with what a folder may not be called replaced."""
    kept = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "-" for letter in name)
    return kept.strip("._-")[:64] or "model"
