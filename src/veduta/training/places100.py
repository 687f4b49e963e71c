"""The recipe of ``places100``, the model that comes with the package: train, calibrate, export, measure, card.

``veduta recipe places100`` (and ``make places100``) runs it. The photos of ``places100/val`` are its test: they are
read once, after everything is chosen, for the figures in the card.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from veduta.datasets.folders import LabelledPhotos, read_class_folders
from veduta.datasets.split import hold_out
from veduta.errors import UsageError
from veduta.evaluation.calibration import fit_temperature
from veduta.evaluation.metrics import expected_calibration_error, top_k_hits, wilson_interval
from veduta.images.preprocess import Preprocessing
from veduta.labels.categories import places100 as places100_labels
from veduta.labels.taxonomy import Taxonomy
from veduta.models.bundle import Bundle, Head, Metric, OutputSpec, write_bundle
from veduta.models.session import Session
from veduta.recognition.scoring import EnvironmentReading, probabilities
from veduta.training.batch_norms import rebase_statistics
from veduta.training.card import Card, write_card
from veduta.training.export import check_parity, export_graph, export_weights, round_to_half
from veduta.training.loop import EpochResult, Schedule, has_checkpoint, train
from veduta.training.networks import SceneNetwork, build, load_backbone
from veduta.training.probe import fit_classifier

NAME = "places100"
ARCHITECTURE = "mobilenet_v2"
SIDE = 128
# On 769 photos of sun27 bilinear and bicubic were within 0.4 points of each other; bilinear takes less time.
INPUT = Preprocessing(fit="crop", sizes=((SIDE, SIDE),), short_side=SIDE, filter="bilinear")
SCHEDULE = Schedule()

#: Photos of each class that the recipe never trains on: the temperature and every choice come from them.
HOLD_OUT_PER_CLASS = 15
HOLD_OUT_SEED = 2026
#: Their list, for the reader; the rule above makes it.
HOLD_OUT_LIST = Path(__file__).with_name("places100_holdout.txt")

_PARITY_PHOTOS = 500
# A sixth of the training photos tell a channel's mean and variance well enough.
_REBASE_EVERY = 6


@dataclass(frozen=True, slots=True)
class Progress:
    """What a long run tells its caller."""

    step: Callable[[int, int, float], None] = lambda _step, _steps, _loss: None
    epoch: Callable[[EpochResult], None] = lambda _result: None
    stage: Callable[[str], None] = lambda _words: None


def make(
    data: Path, weights: Path, run: Path, out: Path, *, threads: int = 2, progress: Progress | None = None
) -> Bundle:
    """Train on ``data/places100/train``, starting from ``weights``, and write the bundle to ``out``.

    A killed run with the same ``run`` folder goes on after its last whole epoch.
    Raises TrainingError, UsageError where photos or weights are not as expected, OutputError.
    """
    torch.set_num_threads(threads)
    progress = progress or Progress()
    folders = _folders(data)
    progress.stage("reading the training photos")
    photos = read_class_folders(data / NAME / "train", folders, INPUT)
    held = hold_out(photos.targets, HOLD_OUT_PER_CLASS, HOLD_OUT_SEED)
    _check_list([name for name, kept in zip(photos.names, held, strict=True) if kept])
    held_out = photos.subset(held)
    training = photos.subset(~held)
    network = build(ARCHITECTURE, len(folders))
    load_backbone(network, weights)
    if not has_checkpoint(run):
        progress.stage("fitting the classifier to the pretrained features")
        fit_classifier(network, training)
    trained = train(network, training, held_out, SCHEDULE, run, on_step=progress.step, on_epoch=progress.epoch)
    progress.stage("giving the batch norms the statistics of the training photos")
    rebase_statistics(trained, training.subset(np.arange(len(training)) % _REBASE_EVERY == 0))
    return export(trained, held_out, data, out, progress)


def export(network: SceneNetwork, held_out: LabelledPhotos, data: Path, out: Path, progress: Progress) -> Bundle:
    """Round, export, check against torch, calibrate on the held-out photos, measure on val, write the bundle."""
    round_to_half(network)
    progress.stage("exporting and checking the graph against torch")
    graph = export_graph(network, SIDE)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(graph)
        spread = np.linspace(0, len(held_out) - 1, _PARITY_PHOTOS).astype(int)
        difference = check_parity(network, path, held_out.pixels[spread])
        session = Session(path)
        logits = session.run(held_out.pixels, ["logits"])["logits"]
        temperature = fit_temperature(logits, held_out.targets)
        progress.stage("measuring on places100/val")
        val = read_class_folders(data / NAME / "val", _folders(data), INPUT)
        val_logits = session.run(val.pixels, ["logits"])["logits"]
    labels = Taxonomy.load(None).apply(places100_labels())
    head = Head(
        name="scene",
        task="single_label",
        labels=labels,
        class_maps="class_maps",
        class_maps_mean_is_logits=True,
        temperature=temperature,
    )
    held_metrics = figures(head, logits, held_out.targets, "places100/train, held out")
    metrics = figures(head, val_logits, val.targets, "places100/val")
    return write_bundle(
        out,
        name=NAME,
        kind="classifier",
        graph=graph,
        preprocessing=INPUT,
        heads=[head],
        card=write_card(Card(NAME, SCHEDULE, temperature, difference, _PARITY_PHOTOS, (*metrics, *held_metrics))),
        embedding=OutputSpec("embedding", network.classifier.in_features),
        metrics=(*metrics, *held_metrics),
        architecture=ARCHITECTURE,
        weights=export_weights(network),
        license="Apache-2.0",
        replace=True,
    )


def figures(head: Head, logits: NDArray[np.float32], targets: NDArray[np.int64], data: str) -> tuple[Metric, ...]:
    """Top-1, top-5, calibration error, and how often the environment is right, by probability and by vote."""
    scene = probabilities(logits, head.task, head.temperature)
    read = EnvironmentReading(head.labels)
    truth = [head.labels[target].environment for target in targets]
    judged = [(read(row), true) for row, true in zip(scene, truth, strict=True)]
    by_probability = np.array([seen is not None and seen.kind == true for seen, true in judged])
    by_vote = np.array(
        [seen is not None and (seen.outdoor_vote >= 0.5) == (true == "outdoor") for seen, true in judged]
    )
    shares = {
        "top1": top_k_hits(scene, targets, 1),
        "top5": top_k_hits(scene, targets, 5),
        "environment_by_probability": by_probability,
        "environment_by_vote": by_vote,
    }
    count = len(targets)
    metrics = [
        Metric(name, round(float(hits.mean()), 4), data, count, _rounded(wilson_interval(int(hits.sum()), count)))
        for name, hits in shares.items()
    ]
    error = expected_calibration_error(scene, targets)
    return (*metrics, Metric("expected_calibration_error", round(error, 4), data, count))


def _rounded(interval: tuple[float, float]) -> tuple[float, float]:
    return round(interval[0], 4), round(interval[1], 4)


def _folders(data: Path) -> list[str]:
    """The class folders in the order of the labels."""
    table = data / "labels" / "places100.csv"
    if not table.is_file():
        raise UsageError(f"{table} is not there; give the folder that holds places100/ and labels/ with --data.")
    with table.open(encoding="utf-8", newline="") as file:
        return [row["folder"] for row in csv.DictReader(file)]


def _check_list(names: list[str]) -> None:
    """The committed list must be what the rule gives, or a figure would rest on photos that were trained on."""
    if not HOLD_OUT_LIST.is_file() or HOLD_OUT_LIST.read_text(encoding="utf-8").split("\n")[:-1] != names:
        raise UsageError(
            f"the held-out photos are not those of {HOLD_OUT_LIST.name}: other photos or another seed; expected the "
            f"{len(names)} of the list, photo by photo."
        )
