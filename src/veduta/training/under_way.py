"""A training under way: its parts, where it is, and the checkpoint that it goes on from."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from veduta.errors import TrainingDiverged, TrainingError
from veduta.training.losses import Loss, LossOfBoth
from veduta.training.networks import SceneNetwork
from veduta.training.opening import OpenRun
from veduta.training.photo_sets import PhotoSet
from veduta.training.run_folder import BEST, CHECKPOINT, VERSION, RunFolder
from veduta.training.validation import Tally
from veduta.training.watch import LossWatch


@dataclass(frozen=True, slots=True)
class EpochResult:
    """What one epoch gave, and a row of the log.

    ``training`` has the mean ``loss`` and ``top1`` or ``f1`` over the changed photos as they were trained on;
    ``validation`` what ``validation.figures`` tells of the averaged weights. ``best``: better than all before. Epoch 0
    is what the training starts from, where that was judged: it has no figures of training, and is never the best.
    """

    epoch: int
    training: dict[str, float]
    validation: dict[str, float]
    learning_rate: float
    best: bool
    photos_per_second: float


@dataclass(frozen=True, slots=True)
class Callbacks:
    """``step`` is told the step (from 1), how many there are, and the loss; ``note`` a sentence for people."""

    step: Callable[[int, int, float], None]
    epoch: Callable[[EpochResult], None]
    note: Callable[[str], None]


def has_checkpoint(run: Path) -> bool:
    """Whether a run has something to go on from."""
    return RunFolder(run).has(CHECKPOINT)


@dataclass(slots=True)
class UnderWay:
    """A training under way: its parts, and where it is."""

    run: OpenRun
    callbacks: Callbacks
    fabric: Fabric
    network: SceneNetwork
    forward: nn.Module
    model: Any
    optimizer: Optimizer
    fabric_optimizer: Any
    averaged: AveragedModel
    normalise: nn.Module
    loss: Loss | LossOfBoth
    validation: PhotoSet
    precision: str
    steps_per_epoch: int
    watch: LossWatch
    tally: Tally
    before: list[dict[str, Any]] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    step: int = 0
    loss_sum: float = 0.0
    best: float | None = None
    last_save: float = 0.0
    drawn: float = -math.inf

    @property
    def kept(self) -> SceneNetwork:
        """The averaged weights, which are what is judged and left."""
        return cast("SceneNetwork", self.averaged.module)

    @property
    def steps(self) -> int:
        return self.steps_per_epoch * self.run.schedule.epochs


def save_is_due(going: UnderWay) -> bool:
    every, minutes = going.run.execution.save_steps, going.run.execution.save_minutes
    if every and going.step % every == 0:
        return True
    if not minutes:
        return False
    late = time.monotonic() - going.last_save >= 60 * minutes
    # Clocks differ, and a save asks all processes for their counts.
    return bool(going.fabric.broadcast(late)) if going.run.share.processes > 1 else late


def save(going: UnderWay) -> None:
    """Write the checkpoint, if the weights are worth it."""
    going.last_save = time.monotonic()
    if not going.watch.calm:
        return
    counts = going.tally.together(going.fabric)
    if not going.fabric.is_global_zero:
        return
    weights = going.network.state_dict()
    if not all(bool(torch.isfinite(tensor).all()) for tensor in weights.values()):
        raise stopped(going, "a weight is no longer a number")
    state = {
        "version": VERSION,
        "schedule": asdict(going.run.schedule),
        "begun_with": going.run.begun_with,
        "precision": going.precision,
        "network": weights,
        "averaged": going.averaged.state_dict(),
        "optimizer": going.optimizer.state_dict(),
        "watch": asdict(going.watch),
        "tally": counts,
        "history": going.history,
        "step": going.step,
        "loss_sum": going.loss_sum,
        "best": going.best,
    }
    going.run.folder.save(CHECKPOINT, state)


def restore(going: UnderWay, saved: dict[str, Any]) -> None:
    """Go to where the checkpoint was written. Raises TrainingError where it is of another network."""
    try:
        going.network.load_state_dict(saved["network"])
        going.averaged.load_state_dict(saved["averaged"])
        going.optimizer.load_state_dict(saved["optimizer"])
    except (RuntimeError, ValueError, KeyError) as error:
        raise TrainingError(
            f"the checkpoint in {going.run.folder.path} is of another network; name another folder for this one."
        ) from error
    going.watch = LossWatch(**saved["watch"])
    if going.fabric.is_global_zero:  # the counts of all processes together
        going.tally.counts.copy_(saved["tally"])
    going.history, going.step = saved["history"], saved["step"]
    going.loss_sum, going.best = saved["loss_sum"], saved["best"]


def stopped(going: UnderWay, wrong: str) -> TrainingDiverged:
    """Why it stopped, and how to go on: not in this folder, which belongs to the rate that failed."""
    folder, rate = going.run.folder, going.run.schedule.learning_rate
    kept = next((name for name in (BEST, CHECKPOINT) if folder.has(name)), None)
    again = f"nothing is kept in {folder.path} yet: start again with a learning rate below {rate:g}"
    if kept is not None:
        named = "" if going.network.architecture is None else f" --architecture {going.network.architecture}"
        what = "best epoch" if kept == BEST else "last good state"
        again = (
            f"the {what} is kept: start again from it with --weights {folder.path / kept}{named}, another --out and a "
            f"--rate below {rate:g}"
        )
    return TrainingDiverged(
        f"{wrong} at step {going.step + 1} of {going.steps} (epoch {len(going.history) + 1}); {again}."
    )
