"""The recipe of ``places100``, the model that comes with the package: start, fit, fine-tune, hand over for export.

``veduta recipe places100`` (and ``make places100``) runs it. The photos of ``places100/val`` are its test: they are
read once, after everything is chosen, for the figures in the card.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from veduta.images.pool import DecodePool
from veduta.models.bundle import Bundle
from veduta.reports.calibration import calibration_picture
from veduta.reports.mistakes import write_mistakes
from veduta.training.augment import Augmentation
from veduta.training.batch_norms import rebase_statistics
from veduta.training.checkpoints import load_weights
from veduta.training.evidence import fit_evidence
from veduta.training.execution import Execution
from veduta.training.export import round_to_half
from veduta.training.loop import EpochResult, Schedule, has_checkpoint, train
from veduta.training.networks import SceneNetwork, build
from veduta.training.photo_sets import PhotoSet
from veduta.training.places100.candidate import NAME, make_candidate, write_candidate
from veduta.training.places100.card import describe
from veduta.training.places100.measure import measure
from veduta.training.places100.photos import SIDE, read_training
from veduta.training.probe import embed, fit_classifier
from veduta.training.towers import TwoTowers, load_places365_squeezenet

ARCHITECTURE = "two_towers"
#: The calibration as a picture, seen from the folder of the bundle.
PICTURE = "../../../../docs/pictures/places100-calibration.png"

#: What the fine-tuning does. Its crops keep the side of the photos: they show a part enlarged, as the graph shows the
#: whole, so training costs less than at the graph's own size.
SCHEDULE = Schedule(
    side=SIDE,
    epochs=8,
    learning_rate=1e-4,
    average_decay=0.998,
    augmentation=Augmentation(min_area=0.5, filter="bilinear"),
)

# Of the classifier's weights on embeddings that vary by one half.
_DECAY = 0.0025
_FIT_ITERATIONS = 80
# A few hundred photos tell how much an embedding varies, some thousand a channel's mean and variance.
_BALANCE_EVERY = 50
_REBASE_EVERY = 6


@dataclass(frozen=True, slots=True)
class Progress:
    """What a long run tells its caller."""

    step: Callable[[int, int, float], None] = lambda _step, _steps, _loss: None
    epoch: Callable[[EpochResult], None] = lambda _result: None
    stage: Callable[[str], None] = lambda _words: None


@dataclass(frozen=True, slots=True)
class StartWeights:
    """The files that the two towers start from."""

    mobilenet: Path
    squeezenet: Path


def make(
    data: Path, weights: StartWeights, run: Path, out: Path, *, threads: int = 2, progress: Progress | None = None
) -> Bundle:
    """Train on ``data/places100/train``, measure on everything that it never saw, and write the bundle to ``out``.

    A killed run with the same ``run`` folder goes on from its last checkpoint. ``run`` also gets the calibration as a
    picture and a page of the surest mistakes, whose photos belong to nobody here and stay out of the bundle.
    Raises TrainingError, UsageError where photos or weights are not as expected, OutputError.
    """
    torch.set_num_threads(threads)
    progress = progress or Progress()
    progress.stage("reading the training photos")
    training, held_out = read_training(data)
    network = train_network(training, held_out, weights, run, progress, threads)
    progress.stage("fitting the evidence")
    round_to_half(network)  # the evidence must know the network as it will be
    candidate = make_candidate(network, fit_evidence(network, training, held_out), held_out)
    bundle = write_candidate(candidate, run / "candidate")
    measured = measure(bundle.path, data, progress.stage)
    calibration_picture(measured.val.judgement.bins, run / "calibration.png", NAME)
    with DecodePool(threads) as pool:
        write_mistakes(run / "mistakes", measured.val.mistakes, measured.val.judgement, pool, model=NAME)
    size = sum(file.stat().st_size for file in bundle.path.iterdir())
    card = describe(candidate, measured, SCHEDULE, size, PICTURE)
    metrics = (*measured.val.judgement.metrics, *measured.evidence)
    return write_candidate(candidate, out, metrics=metrics, card=card)


def train_network(
    training: PhotoSet, held_out: PhotoSet, weights: StartWeights, run: Path, progress: Progress, threads: int
) -> SceneNetwork:
    """Fit a classifier to both towers' features, then train all layers; a killed run goes on from its checkpoint.

    Fine-tuning under a fresh classifier would first distort the features, see ``probe``.
    Raises TrainingError, WeightsError, OutputError.
    """
    network = start(int(training.labels.max()) + 1, weights)
    if not has_checkpoint(run):
        progress.stage("fitting the classifier to the pretrained features")
        balance(network, training)
        fit_classifier(network, training, decay=_DECAY, iterations=_FIT_ITERATIONS)
    progress.stage("training all layers")
    trained = train(
        network,
        training,
        held_out,
        SCHEDULE,
        run,
        execution=Execution(threads=threads, save_minutes=5),
        on_step=progress.step,
        on_epoch=progress.epoch,
        on_note=progress.stage,
    )
    progress.stage("giving the batch norms the statistics of the training photos")
    rebase_statistics(trained, _every(training, _REBASE_EVERY))
    return trained


def start(classes: int, weights: StartWeights) -> SceneNetwork:
    """The network with both towers as their files have them, and a fresh classifier."""
    network = build(ARCHITECTURE, classes)
    mobilenet = build("mobilenet_v2", 1)
    load_weights(mobilenet, weights.mobilenet)
    towers = _towers(network)
    towers.mobilenet.load_state_dict(mobilenet.features.state_dict())
    load_places365_squeezenet(towers.squeezenet, weights.squeezenet)
    return network


def balance(network: SceneNetwork, training: PhotoSet) -> None:
    """Let both towers vary alike on the training photos."""
    _towers(network).set_balance(embed(network, _every(training, _BALANCE_EVERY)))


def _every(photos: PhotoSet, step: int) -> PhotoSet:
    return photos.subset(np.arange(len(photos)) % step == 0)


def _towers(network: SceneNetwork) -> TwoTowers:
    assert isinstance(network.features, TwoTowers)
    return network.features
