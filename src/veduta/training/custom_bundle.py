"""The bundle of a user's classes: graph and head, calibrated and judged on the held-out photos, and its card."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veduta.evaluation.calibration import calibrate
from veduta.images.preprocess import Preprocessing
from veduta.models.bundle import Bundle, Metric, OutputSpec, write_bundle
from veduta.models.session import Session
from veduta.training.card import Card, Source, write_card
from veduta.training.checkpoints import Origin
from veduta.training.dataset import Dataset, bundle_name, head_of
from veduta.training.export import check_parity, export_graph, export_weights, round_to_half
from veduta.training.fitted import Verdict
from veduta.training.networks import SceneNetwork
from veduta.training.photo_sets import PhotoSet
from veduta.training.refit import Refit
from veduta.training.schedules import Schedule
from veduta.training.validation import figures
from veduta.whole_file import write_whole

_PARITY_PHOTOS = 200


@dataclass(frozen=True, slots=True)
class Making:
    """What a model was made from and how.

    ``left_out`` photos of ``dataset`` could not be decoded. ``trials`` settings were tried before those of
    ``schedule``. ``verdict`` says whether the trained network was kept, where it started from pretrained weights;
    ``refit`` that its classifier then learnt from all photos, and what it says of held-out ones.
    """

    dataset: Dataset
    architecture: str
    wanted: Preprocessing
    validation_share: float
    schedule: Schedule
    start: Origin | None
    left_out: int
    head_epochs: int = 0
    trials: int = 0
    verdict: Verdict | None = None
    refit: Refit | None = None


@dataclass(frozen=True, slots=True)
class _Exported:
    """A graph, its logits ``[n, c]`` of the held-out photos, and how far it is from torch on some of them."""

    graph: bytes
    logits: NDArray[np.float32]
    parity: float
    parity_photos: int


def write_custom_bundle(
    network: SceneNetwork, validation: PhotoSet, making: Making, out: Path, note: Callable[[str], None]
) -> Bundle:
    """Export ``network`` to ``out``, replacing the model that is there; ``note`` is told where nothing calibrates it.

    Raises TrainingError where the graph disagrees with torch, and what ``write_bundle`` raises.
    """
    round_to_half(network)
    exported = _export(network, validation, making.wanted.sizes[0][0])
    dataset, truth = making.dataset, validation.labels
    # A classifier that learnt from the held-out photos knows them too well to be judged by them.
    logits = exported.logits if making.refit is None else making.refit.logits
    targets = truth.astype(np.int64) if dataset.task == "single_label" else truth > 0
    temperature, calibration = calibrate(logits, targets, dataset.task)
    if temperature is None:
        note(f"{calibration} The scores stay uncalibrated: they put the classes in order, and mean no more.")
    metrics = tuple(
        Metric(name, round(value, 4), f"{dataset.name}, held out", len(validation))
        for name, value in figures(logits, truth).items()
        if name != "loss"
    )
    return write_bundle(
        out,
        name=bundle_name(dataset.name),
        kind="classifier",
        graph=exported.graph,
        preprocessing=making.wanted,
        heads=[head_of(dataset, network.has_class_maps, temperature)],
        card=write_card(_card(making, metrics, exported, calibration, temperature is not None)),
        embedding=OutputSpec("embedding", network.classifier.in_features),
        metrics=metrics,
        architecture=making.architecture,
        weights=export_weights(network),
        replace=True,
    )


def _export(network: SceneNetwork, validation: PhotoSet, size: int) -> _Exported:
    graph = export_graph(network, size)
    spread = np.linspace(0, len(validation) - 1, min(_PARITY_PHOTOS, len(validation))).astype(np.int64)
    some = validation.subset(spread)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        write_whole(path, graph, sync=False)
        difference = check_parity(network, path, some.read(0, len(some)))
        session = Session(path)
        logits = [session.run(images.numpy(), ["logits"])["logits"] for images in validation.batches(64)]
    return _Exported(graph, np.concatenate(logits), difference, len(some))


def _card(making: Making, metrics: tuple[Metric, ...], exported: _Exported, calibration: str, calibrated: bool) -> Card:
    return Card(
        name=making.dataset.name,
        summary=_summary(making),
        metrics=metrics,
        sources=_sources(making),
        making=(*_how(making), calibration),
        limits=_limits(making, calibrated),
        not_for=("Decisions about people.",),
        parity=exported.parity,
        parity_photos=exported.parity_photos,
    )


def _summary(making: Making) -> str:
    dataset, size = making.dataset, making.wanted.sizes[0][0]
    told = "which of {} classes a photo is" if dataset.task == "single_label" else "which of {} labels a photo has"
    return f"Tells {told.format(len(dataset.labels))}. A {making.architecture}, for photos of {size} by {size} pixels."


def _sources(making: Making) -> tuple[Source, ...]:
    held = f"{making.validation_share:.0%} held out by a seeded rule"
    if making.dataset.held_out is not None:
        held = f"the {int(making.dataset.held_out.sum()):,} that are for validation held out"
    share = f"training; {held} to choose the epoch and to calibrate"
    if making.left_out:
        share += f"; {making.left_out:,} could not be decoded"
    pictures = making.dataset.sources(share)
    if making.start is None:
        return pictures
    used = f"start; SHA-256 `{making.start.sha256}`"
    return (*pictures, Source(f"weights {_named(making.start)}", used, "those of their authors"))


def _named(start: Origin) -> str:
    """A file's own name; where it lies on somebody's disk is nobody else's business."""
    return start.path.name if start.source == str(start.path) else start.source


def _how(making: Making) -> tuple[str, ...]:
    schedule, verdict = making.schedule, making.verdict
    first = "A regression was fitted to the pretrained features first, then "
    if making.head_epochs:
        first = f"The classifier was trained alone first, for up to {making.head_epochs} epochs, then "
    elif making.start is None:
        first = "From fresh weights "
    told = (
        f"{first}{_learnt(schedule.train_last)} trained, up to {schedule.epochs} epochs at {schedule.side} pixels, "
        f"batches of {schedule.batch_size}, {schedule.optimizer} at {schedule.learning_rate:g}, {schedule.decay} decay."
    )
    searched = f"Learning rate, weight decay, momentum and batch size are the best of {making.trials} trials."
    sentences = [each.sentence for each in (verdict, making.refit) if each is not None]
    return (told, *((searched,) if making.trials else ()), *sentences)


def _learnt(train_last: int | None) -> str:
    if train_last is None:
        return "all layers were"
    if not train_last:
        return "the classifier alone was"
    return f"the last {train_last} block{'s' * (train_last > 1)} and the classifier were"


def _limits(making: Making, calibrated: bool) -> tuple[str, ...]:
    reasons = {
        "the settings": making.trials > 0,
        "the epoch": True,
        "which network is kept": making.verdict is not None,
        "the temperature": calibrated,
    }
    chosen = [what for what, applies in reasons.items() if applies]
    listed = chosen[0] if len(chosen) == 1 else f"{', '.join(chosen[:-1])} and {chosen[-1]}"
    uncalibrated = ("The scores are not calibrated: they order the classes, and mean no more.",)
    return (
        f"The held-out photos also chose {listed}, so the figures are a little too good.",
        *(() if calibrated else uncalibrated),
        "A photo of anything else gets these labels too.",
    )
