"""The training of ``places100``: the classifier first, then all layers, on small crops and last on larger ones.

Photos of 128 pixels tell more when they are enlarged (``levers`` has the figures), but larger crops cost more. So most
epochs see crops of 160 pixels, the last few crops of 192 (Tan and Le 2021, "EfficientNetV2: Smaller Models and Faster
Training", call it progressive learning), and the graph enlarges what it is given a little further: a random crop shows
things larger than the whole photo does (Touvron et al. 2019, "Fixing the train-test resolution discrepancy").

At last the network is drawn back a fifth of the way to ImageNet's weights: as good at scenes, it knows better what is
none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from veduta.training.augment import Augmentation
from veduta.training.batch_norms import rebase_statistics
from veduta.training.checkpoints import load_weights
from veduta.training.execution import Execution
from veduta.training.interpolation import interpolate
from veduta.training.loop import EpochResult, Schedule, has_checkpoint, train
from veduta.training.networks import SceneNetwork, build
from veduta.training.photo_sets import PhotoSet
from veduta.training.probe import fit_classifier

ARCHITECTURE = "mobilenet_v2_128"

_FIT_ITERATIONS = 80
# The classifier is fitted to, and the first epochs are judged on, photos as large as the first crops.
_FIRST_ENLARGE = 1.25
#: What is kept of the training, the rest being ImageNet's weights. On the held-out photos the cross-entropy was 1.775
#: at 1, 1.767 at 0.8 and 1.807 at 0.6.
TRAINED_SHARE = 0.8
# Some thousand photos tell a channel's mean and variance.
_REBASE_EVERY = 6

# Of 1,500 held-out photos the loss varies less from epoch to epoch than the share that is right.
_SCHEDULE = Schedule(
    average_decay=0.998, best_by="loss", augmentation=Augmentation(min_area=0.35, filter="bilinear", mixup=0.2)
)


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the training, its own run in a folder of this ``name``."""

    name: str
    schedule: Schedule


STAGES = (
    Stage(
        "small-crops",
        replace(_SCHEDULE, side=160, epochs=7, learning_rate=2e-4),
    ),
    Stage(
        "large-crops",
        replace(_SCHEDULE, side=192, epochs=3, learning_rate=1e-4),
    ),
)


@dataclass(frozen=True, slots=True)
class Progress:
    """What a long run tells its caller."""

    step: Callable[[int, int, float], None] = lambda _step, _steps, _loss: None
    epoch: Callable[[EpochResult], None] = lambda _result: None
    stage: Callable[[str], None] = lambda _words: None


def train_network(
    training: PhotoSet, held_out: PhotoSet, weights: Path, run: Path, progress: Progress, threads: int
) -> SceneNetwork:
    """Fit a classifier to the pretrained features, then train all layers, stage by stage.

    Fine-tuning under a fresh classifier would first distort the features, see ``probe``. A killed run goes on from its
    last checkpoint. Raises TrainingError, WeightsError, OutputError.
    """
    network = build(ARCHITECTURE, int(training.labels.max()) + 1)
    load_weights(network, weights)
    start = {name: tensor.clone() for name, tensor in network.features.state_dict().items()}
    last = network.enlarge
    network.enlarge = _FIRST_ENLARGE
    if not has_checkpoint(run / STAGES[0].name):
        progress.stage("fitting the classifier to the pretrained features")
        fit_classifier(network, training, iterations=_FIT_ITERATIONS)
    for stage in STAGES:
        if stage is STAGES[-1]:
            network.enlarge = last
        progress.stage(f"training all layers: {stage.name}")
        network = train(
            network,
            training,
            held_out,
            stage.schedule,
            run / stage.name,
            execution=Execution(threads=threads, save_minutes=5),
            on_step=progress.step,
            on_epoch=progress.epoch,
            on_note=progress.stage,
        )
    interpolate(network.features, start, TRAINED_SHARE)
    progress.stage("giving the batch norms the statistics of the training photos")
    rebase_statistics(network, training.subset(np.arange(len(training)) % _REBASE_EVERY == 0))
    return network
