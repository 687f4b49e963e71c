"""The training loop, top to bottom: epochs of changed photos, averaged weights, a checkpoint to go on from.

What a step draws follows from (seed, epoch, step, index) alone. A checkpoint therefore holds the step's number, the
weights, their average and the optimizer's moments, and no random state: a killed run goes on to the same weights, bit
for bit on one machine. Under torchrun each process computes its part of every batch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from veduta.errors import TrainingError
from veduta.training.augment import mix_images, mix_targets
from veduta.training.averaging import average_of
from veduta.training.batches import Batch, Share, check_batches, epoch_batches
from veduta.training.curves import draw_curves
from veduta.training.dropout import share_dropout
from veduta.training.execution import Execution, launch, share_of_this_process
from veduta.training.frozen_statistics import fold, set_training
from veduta.training.losses import Loss, make_loss
from veduta.training.memory import keep_freed_memory
from veduta.training.networks import SceneNetwork
from veduta.training.normalise import Normalise
from veduta.training.photo_sets import PhotoSet, check_photos
from veduta.training.run_folder import BEST, CHECKPOINT, CURVES, VERSION, RunFolder, bytes_of, fingerprint
from veduta.training.schedules import Schedule, learning_rate, make_optimizer, seed_step, set_learning_rate
from veduta.training.validation import BEST_BY, Tally, check_figure, figures, is_better, predict_logits
from veduta.training.watch import LossWatch

__all__ = ["EpochResult", "Execution", "PhotoSet", "Schedule", "has_checkpoint", "predict_logits", "train"]

# Seconds between two pictures of the curves: an epoch of a small network takes less than drawing.
_DRAW_EVERY = 20.0


@dataclass(frozen=True, slots=True)
class EpochResult:
    """What one epoch gave, and a row of the log.

    ``training`` has the mean ``loss`` and ``top1`` or ``f1`` over the changed photos as they were trained on;
    ``validation`` what ``validation.figures`` tells of the averaged weights. ``best``: better than all before.
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


def train(
    network: SceneNetwork,
    training: PhotoSet,
    validation: PhotoSet,
    schedule: Schedule,
    run: Path,
    *,
    execution: Execution = Execution(),  # noqa: B008
    on_step: Callable[[int, int, float], None] = lambda _step, _steps, _loss: None,
    on_epoch: Callable[[EpochResult], None] = lambda _result: None,
    on_note: Callable[[str], None] = lambda _sentence: None,
) -> SceneNetwork:
    """Train all layers of ``network`` and return it with the averaged weights of its best epoch.

    ``run`` keeps ``config.json``, ``log.jsonl``, ``curves.png``, ``checkpoint.pt`` and ``best.pt``; a killed run goes
    on from its last checkpoint, a finished one returns what it has. ``on_step`` is told the step from 1, how many there
    are, and the loss; ``on_note`` a sentence now and then.

    Raises TrainingError where the training can't start, where the run was begun with other settings or photos, and
    where the loss is no number or diverges, naming the step; OutputError where there is no room for a checkpoint.
    """
    callbacks = Callbacks(on_step, on_epoch, on_note)
    going = _start(network, training, validation, schedule, RunFolder(run), execution, callbacks)
    while not going.done:
        epoch = len(going.history)
        began, step_began = time.perf_counter(), going.step
        set_training(going.forward, schedule.frozen_statistics)
        going.last_save = time.monotonic()
        for batch in epoch_batches(
            training,
            network.classifier.out_features,
            schedule,
            epoch,
            first=going.step - epoch * going.steps_per_epoch,
            share=going.share,
            workers=execution.workers,
        ):
            rate = learning_rate(schedule, going.step, going.steps_per_epoch)
            set_learning_rate(going.optimizer, rate)
            seed_step(schedule.seed, going.step, going.fabric.device)
            loss = _step(going, batch)
            going.step += 1
            on_step(going.step, going.steps, loss)
            if _save_is_due(going):
                _save(going)
        seconds = time.perf_counter() - began
        speed = (going.step - step_began) * schedule.batch_size / seconds
        _close_epoch(going, speed)
    for logger in going.fabric.loggers:
        logger.finalize("success")
    going.fabric.barrier()
    network.load_state_dict(going.folder.load(BEST)["network"])
    return network.eval()


def has_checkpoint(run: Path) -> bool:
    """Whether a run has something to go on from."""
    return RunFolder(run).has(CHECKPOINT)


@dataclass(slots=True)
class _Going:
    """A training under way: its parts, and where it is."""

    schedule: Schedule
    execution: Execution
    callbacks: Callbacks
    folder: RunFolder
    share: Share
    fabric: Fabric
    network: SceneNetwork
    forward: nn.Module
    model: Any
    optimizer: Optimizer
    fabric_optimizer: Any
    averaged: AveragedModel
    normalise: nn.Module
    loss: Loss
    validation: PhotoSet
    best_by: str
    precision: str
    photos: str
    steps_per_epoch: int
    watch: LossWatch
    tally: Tally
    history: list[dict[str, Any]]
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
        return self.steps_per_epoch * self.schedule.epochs

    @property
    def done(self) -> bool:
        """All epochs are done, or the last few brought nothing."""
        epochs = len(self.history)
        best = max((row["epoch"] for row in self.history if row["best"]), default=0)
        out_of_patience = 0 < self.schedule.patience <= epochs - best
        return epochs >= self.schedule.epochs or out_of_patience


def _start(
    network: SceneNetwork,
    training: PhotoSet,
    validation: PhotoSet,
    schedule: Schedule,
    folder: RunFolder,
    execution: Execution,
    callbacks: Callbacks,
) -> _Going:
    """Check all that can be known before the work, put the parts together, and go to where the run was."""
    classes, task = network.classifier.out_features, training.task
    best_by = schedule.best_by or BEST_BY[task]
    share = share_of_this_process()
    check_photos(training, validation, classes)
    check_figure(best_by, task, classes)
    check_batches(training, schedule, share)
    folder.make()
    keep_freed_memory()
    photos = fingerprint(training.labels, validation.labels)
    saved = folder.load(CHECKPOINT) if folder.has(CHECKPOINT) else None
    if saved is not None:
        folder.check_same_run(saved, asdict(schedule), photos)

    network.to(memory_format=torch.channels_last)
    share_dropout(network, share)
    normalise = Normalise()
    few = normalise(torch.from_numpy(training.read(0, min(8, len(training)))))
    set_training(network, schedule.frozen_statistics)
    forward = fold(network, few) if schedule.frozen_statistics else network
    if share.processes > 1 and not schedule.frozen_statistics:
        callbacks.note(
            f"{share.processes} processes: each normalises its own part of a batch, so the weights will not be those "
            "of one process; with frozen batch-norm statistics they are."
        )
    images = few
    if execution.precision == "auto" and saved is None:
        images = normalise(next(epoch_batches(training, classes, schedule, 0, share=share)).images)
    begun_with = None if saved is None else saved["precision"]
    fabric, precision = launch(execution, share, forward, images, begun_with, folder.path, callbacks.note)
    optimizer = make_optimizer(network, schedule)
    model, fabric_optimizer = fabric.setup(forward, optimizer)
    going = _Going(
        schedule=schedule,
        execution=execution,
        callbacks=callbacks,
        folder=folder,
        share=share,
        fabric=fabric,
        network=network,
        forward=forward,
        model=model,
        optimizer=optimizer,
        fabric_optimizer=fabric_optimizer,
        averaged=average_of(network, schedule.average_decay),
        normalise=normalise.to(fabric.device),
        loss=make_loss(training, classes, schedule).to(fabric.device),
        validation=validation,
        best_by=best_by,
        precision=precision,
        photos=photos,
        steps_per_epoch=len(training) // schedule.batch_size,
        watch=LossWatch(math.log(2 if task == "multi_label" else classes)),
        tally=Tally(task, classes),
        history=[],
    )
    if saved is not None:
        _restore(going, saved)
    elif fabric.is_global_zero:
        state, slots = bytes_of(network.state_dict()), 2 if schedule.optimizer == "adamw" else 1
        folder.check_room(checkpoint_bytes=(2 + slots) * state, best_bytes=state)
    if fabric.is_global_zero:
        about = {"precision": precision, "processes": share.processes, "photos": len(training), "task": task}
        folder.write_config({"schedule": asdict(schedule), "run": {**about, "classes": classes, "best_by": best_by}})
    return going


def _step(going: _Going, batch: Batch) -> float:
    """One step: loss, gradients, weights, average; the loss, a mean over the whole batch."""
    device = going.fabric.device
    images = going.normalise(batch.images.to(device)).contiguous(memory_format=torch.channels_last)
    targets, teacher = batch.targets.to(device), None if batch.teacher is None else batch.teacher.to(device)
    if batch.mixture is not None:
        images, targets = mix_images(images, batch.mixture), mix_targets(targets, batch.mixture)
        teacher = None if teacher is None else mix_targets(teacher, batch.mixture)
    logits = going.model(images)
    loss = going.loss(logits, targets, teacher)
    value = loss.detach()
    if going.share.processes > 1:
        value = cast("Tensor", going.fabric.all_reduce(value, reduce_op="mean"))
    # Before the weights move: a loss that is no number must not reach them.
    number = float(value)
    wrong = going.watch.see(number)
    if wrong is not None:
        raise _stopped(going, wrong)
    going.fabric_optimizer.zero_grad(set_to_none=True)
    going.fabric.backward(loss)
    if going.schedule.clip_norm:
        going.fabric.clip_gradients(
            going.model, going.fabric_optimizer, max_norm=going.schedule.clip_norm, error_if_nonfinite=False
        )
    going.fabric_optimizer.step()
    going.averaged.update_parameters(going.network)
    going.tally.add(logits.detach(), targets)
    going.loss_sum += number
    return number


def _close_epoch(going: _Going, speed: float) -> None:
    """Validate the averaged weights, keep them where they are the best, write checkpoint, log and curves."""
    validation = _validate(going)
    epoch = len(going.history) + 1
    found = validation[going.best_by]
    if not math.isfinite(validation["loss"]):
        raise _stopped(going, f"the validation loss is {validation['loss']}")
    best = is_better(going.best_by, found, going.best)
    training = {"loss": going.loss_sum / going.steps_per_epoch, **going.tally.figures(going.fabric)}
    rate = learning_rate(going.schedule, going.step - 1, going.steps_per_epoch)
    result = EpochResult(epoch, training, validation, rate, best, round(speed, 1))
    going.history.append(asdict(result))
    going.loss_sum = 0.0
    going.tally.clear()
    if best:
        going.best = found
        if going.fabric.is_global_zero:
            # First what the checkpoint will speak of: killed in between, the run makes this epoch again.
            going.folder.save(BEST, {"epoch": epoch, "network": going.kept.state_dict()})
    _save(going)
    if going.fabric.is_global_zero:
        going.folder.write_log(going.history)
        if going.done or time.monotonic() - going.drawn >= _DRAW_EVERY:
            going.folder.write_bytes(CURVES, draw_curves(going.history, going.best_by))
            going.drawn = time.monotonic()
        shown = {"training": training, "validation": validation, "rate": {"learning": rate}}
        going.fabric.log_dict({f"{of}/{name}": value for of in shown for name, value in shown[of].items()}, going.step)
        for logger in going.fabric.loggers:
            logger.save()
    going.callbacks.epoch(result)


def _validate(going: _Going) -> dict[str, float]:
    """The figures of the averaged weights; each process answers for some of the photos."""
    photos, processes = going.validation, going.share.processes
    if processes == 1:
        return figures(predict_logits(going.kept, photos), photos.labels)
    most = math.ceil(len(photos) / processes)
    # The last process's places beyond the end hold the first photos again, so that all have as many.
    places = (torch.arange(most) + going.share.rank * most) % len(photos)
    logits = torch.from_numpy(predict_logits(going.kept, photos.subset(places.numpy())))
    together = cast("Tensor", going.fabric.all_gather(logits.to(going.fabric.device))).reshape(-1, logits.shape[1])
    return figures(together[: len(photos)].cpu().numpy(), photos.labels)


def _save_is_due(going: _Going) -> bool:
    every, minutes = going.execution.save_steps, going.execution.save_minutes
    if every and going.step % every == 0:
        return True
    return bool(minutes) and time.monotonic() - going.last_save >= 60 * minutes


def _save(going: _Going) -> None:
    """Write the checkpoint, if the weights are worth it."""
    going.last_save = time.monotonic()
    if not going.fabric.is_global_zero or not going.watch.calm:
        return
    weights = going.network.state_dict()
    if not all(bool(torch.isfinite(tensor).all()) for tensor in weights.values()):
        raise _stopped(going, "a weight is no longer a number")
    state = {
        "version": VERSION,
        "schedule": asdict(going.schedule),
        "photos": going.photos,
        "precision": going.precision,
        "network": weights,
        "averaged": going.averaged.state_dict(),
        "optimizer": going.optimizer.state_dict(),
        "watch": asdict(going.watch),
        "tally": going.tally.counts,
        "history": going.history,
        "step": going.step,
        "loss_sum": going.loss_sum,
        "best": going.best,
    }
    going.folder.save(CHECKPOINT, state)


def _restore(going: _Going, saved: dict[str, Any]) -> None:
    """Go to where the checkpoint was written. Raises TrainingError where it is of another network."""
    try:
        going.network.load_state_dict(saved["network"])
        going.averaged.load_state_dict(saved["averaged"])
        going.optimizer.load_state_dict(saved["optimizer"])
    except (RuntimeError, ValueError, KeyError) as error:
        raise TrainingError(
            f"the checkpoint in {going.folder.path} is of another network; name another folder for this one."
        ) from error
    going.watch = LossWatch(**saved["watch"])
    going.tally.counts.copy_(saved["tally"])
    going.history, going.step = saved["history"], saved["step"]
    going.loss_sum, going.best = saved["loss_sum"], saved["best"]


def _stopped(going: _Going, wrong: str) -> TrainingError:
    kept = f"nothing is kept in {going.folder.path} yet"
    if going.folder.has(CHECKPOINT):
        kept = f"the last good state is kept in {going.folder.path}"
    return TrainingError(
        f"{wrong} at step {going.step + 1} of {going.steps} (epoch {len(going.history) + 1}); lower the learning rate "
        f"of {going.schedule.learning_rate:g}, {kept}."
    )
