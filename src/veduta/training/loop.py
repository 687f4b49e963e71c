"""The training loop, top to bottom: epochs of changed photos, averaged weights, a checkpoint to go on from.

What a step draws follows from (seed, epoch, step, index) alone. A checkpoint therefore holds the step's number, the
weights, their average and the optimizer's moments, and no random state: a killed run goes on to the same weights, bit
for bit on one machine. Under torchrun each process computes its part of every batch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from veduta.training.averaging import average_of
from veduta.training.batches import Batch, epoch_batches
from veduta.training.curves import draw_curves
from veduta.training.dropout import share_dropout
from veduta.training.execution import Execution, launch
from veduta.training.freezing import freeze
from veduta.training.frozen_statistics import fold, set_training
from veduta.training.losses import LossOfBoth, make_loss
from veduta.training.memory import keep_freed_memory
from veduta.training.mixing import mix_images, mix_targets
from veduta.training.networks import SceneNetwork, WithEmbedding
from veduta.training.normalise import Normalise
from veduta.training.opening import OpenRun, finished, open_run
from veduta.training.photo_sets import PhotoSet
from veduta.training.run_folder import BEST, CHECKPOINT, CURVES
from veduta.training.schedules import Schedule, learning_rate, make_optimizer, seed_step, set_learning_rate
from veduta.training.under_way import (
    Callbacks,
    EpochResult,
    UnderWay,
    has_checkpoint,
    restore,
    save,
    save_is_due,
    stopped,
)
from veduta.training.validation import CALIBRATED, Tally, figures, is_better, predict_logits
from veduta.training.watch import LossWatch

__all__ = [
    "Callbacks",
    "EpochResult",
    "Execution",
    "PhotoSet",
    "Schedule",
    "has_checkpoint",
    "predict_logits",
    "train",
    "train_opened",
]

# Seconds between two pictures of the curves: an epoch of a small network takes less than drawing.
_DRAW_EVERY = 20.0


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
    """Train ``network`` and return it, on the CPU, with the averaged weights of its best epoch.

    ``run`` keeps ``config.json``, ``log.jsonl``, ``curves.png``, ``checkpoint.pt`` and ``best.pt``; a killed run goes
    on from its last checkpoint, a finished one returns what it has. ``on_step`` is told the step from 1, how many there
    are, and the loss; ``on_note`` a sentence now and then.

    Raises TrainingError where the training can't start, where the run was begun with other settings or photos or
    another training is at work in it, and where the loss is no number or diverges, naming the step; OutputError where
    there is no room for a checkpoint.
    """
    with open_run(network, training, validation, schedule, run, execution) as opened:
        return train_opened(opened, network, training, validation, Callbacks(on_step, on_epoch, on_note))


def train_opened(
    run: OpenRun,
    network: SceneNetwork,
    training: PhotoSet,
    validation: PhotoSet,
    callbacks: Callbacks,
    start: EpochResult | None = None,
    loss: LossOfBoth | None = None,
) -> SceneNetwork:
    """``train`` in a folder that the caller holds, so that others stay out of it before and after, too.

    ``start`` is the log's epoch 0. A ``loss`` of one's own is told logits and embeddings.
    """
    schedule = run.schedule
    going = _start(run, network, training, validation, callbacks, loss)
    going.before = [] if start is None else [asdict(start)]
    while not finished(going.history, schedule):
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
            share=run.share,
            workers=run.execution.workers,
        ):
            rate = learning_rate(schedule, going.step, going.steps_per_epoch)
            set_learning_rate(going.optimizer, rate)
            seed_step(schedule.seed, going.step, going.fabric.device)
            found = _step(going, batch)
            going.step += 1
            callbacks.step(going.step, going.steps, found)
            if save_is_due(going):
                save(going)
        seconds = time.perf_counter() - began
        speed = (going.step - step_began) * schedule.batch_size / seconds
        _close_epoch(going, speed)
    for logger in going.fabric.loggers:
        logger.finalize("success")
    going.fabric.barrier()
    network.load_state_dict(run.folder.load(BEST)["network"])
    # What comes next, the statistics and the export, happens on the CPU.
    return network.cpu().eval()


def _start(
    run: OpenRun,
    network: SceneNetwork,
    training: PhotoSet,
    validation: PhotoSet,
    callbacks: Callbacks,
    loss: LossOfBoth | None,
) -> UnderWay:
    """Put the parts together, and go to where the run was."""
    freeze(network, run.schedule.train_last)
    classes, task, schedule = network.classifier.out_features, training.task, run.schedule
    keep_freed_memory()
    saved = run.folder.load(CHECKPOINT) if run.goes_on else None
    normalise = Normalise()
    few = normalise(torch.from_numpy(training.read(0, min(8, len(training)))))
    forward = _ready(network, few, run, callbacks, both=loss is not None)
    images = few
    if run.execution.precision == "auto" and saved is None:
        images = normalise(next(epoch_batches(training, classes, schedule, 0, share=run.share)).images)
    begun_with = None if saved is None else saved["precision"]
    fabric, precision = launch(run.execution, run.share, forward, images, begun_with, run.folder.path, callbacks.note)
    optimizer = make_optimizer(network, schedule)
    model, fabric_optimizer = fabric.setup(forward, optimizer)
    going = UnderWay(
        run=run,
        callbacks=callbacks,
        fabric=fabric,
        network=network,
        forward=forward,
        model=model,
        optimizer=optimizer,
        fabric_optimizer=fabric_optimizer,
        averaged=average_of(network, schedule.average_decay),
        normalise=normalise.to(fabric.device),
        loss=loss or make_loss(training, classes, schedule).to(fabric.device),
        validation=validation,
        precision=precision,
        steps_per_epoch=len(training) // schedule.batch_size,
        watch=LossWatch(math.log(2 if task == "multi_label" else classes)),
        tally=Tally(task, classes),
    )
    if saved is not None:
        restore(going, saved)
    if fabric.is_global_zero:
        about = {"precision": precision, "processes": run.share.processes, "photos": len(training), "task": task}
        about |= {"classes": classes, "best_by": run.best_by}
        run.folder.write_config({"schedule": asdict(schedule), "run": about, **run.told})
    return going


def _ready(network: SceneNetwork, few: Tensor, run: OpenRun, callbacks: Callbacks, *, both: bool) -> nn.Module:
    """``network`` in training mode; what answers in its place, with its own parameters: logits, or ``both``."""
    frozen, processes = run.schedule.frozen_statistics, run.share.processes
    network.to(memory_format=torch.channels_last)
    share_dropout(network, run.share)
    set_training(network, frozen)
    if processes > 1 and not frozen:
        callbacks.note(
            f"{processes} processes: each normalises its own part of a batch, so the weights will not be those of one "
            "process; with frozen batch-norm statistics they are."
        )
    if both:
        return WithEmbedding(network)
    return fold(network, few) if frozen else network


def _step(going: UnderWay, batch: Batch) -> float:
    """One step: loss, gradients, weights, average; the loss, a mean over the whole batch."""
    device = going.fabric.device
    images = going.normalise(batch.images.to(device)).contiguous(memory_format=torch.channels_last)
    targets, teacher = batch.targets.to(device), None if batch.teacher is None else batch.teacher.to(device)
    if batch.mixture is not None:
        images, targets = mix_images(images, batch.mixture), mix_targets(targets, batch.mixture)
        teacher = None if teacher is None else mix_targets(teacher, batch.mixture)
    answer = going.model(images)
    logits = answer if isinstance(answer, Tensor) else answer[0]
    loss = going.loss(answer, targets, teacher)
    value = loss.detach()
    if going.run.share.processes > 1:
        value = cast("Tensor", going.fabric.all_reduce(value, reduce_op="mean"))
    # Before the weights move: a loss that is no number must not reach them.
    number = float(value)
    wrong = going.watch.see(number)
    if wrong is not None:
        raise stopped(going, wrong)
    going.fabric_optimizer.zero_grad(set_to_none=True)
    going.fabric.backward(loss)
    if going.run.schedule.clip_norm:
        going.fabric.clip_gradients(
            going.model, going.fabric_optimizer, max_norm=going.run.schedule.clip_norm, error_if_nonfinite=False
        )
    going.fabric_optimizer.step()
    going.averaged.update_parameters(going.network)
    going.tally.add(logits.detach(), targets)
    going.loss_sum += number
    return number


def _close_epoch(going: UnderWay, speed: float) -> None:
    """Validate the averaged weights, keep them where they are the best, write checkpoint, log and curves."""
    validation = _validate(going)
    epoch = len(going.history) + 1
    found = validation.get(going.run.best_by, float(epoch))
    if not math.isfinite(validation["loss"]):
        raise stopped(going, f"the validation loss is {validation['loss']}")
    best = is_better(going.run.best_by, found, going.best)
    training = {"loss": going.loss_sum / going.steps_per_epoch, **going.tally.figures(going.fabric)}
    rate = learning_rate(going.run.schedule, going.step - 1, going.steps_per_epoch)
    result = EpochResult(epoch, training, validation, rate, best, round(speed, 1))
    going.history.append(asdict(result))
    going.loss_sum = 0.0
    going.tally.clear()
    if best:
        going.best = found
        if going.fabric.is_global_zero:
            # First what the checkpoint will speak of: killed in between, the run makes this epoch again.
            going.run.folder.save(BEST, {"epoch": epoch, "network": going.kept.state_dict()})
    save(going)
    if going.fabric.is_global_zero:
        rows = going.before + going.history
        going.run.folder.write_log(rows)
        if finished(going.history, going.run.schedule) or time.monotonic() - going.drawn >= _DRAW_EVERY:
            going.run.folder.write_bytes(CURVES, draw_curves(rows, going.run.best_by))
            going.drawn = time.monotonic()
        shown = {"training": training, "validation": validation, "rate": {"learning": rate}}
        going.fabric.log_dict({f"{of}/{name}": value for of in shown for name, value in shown[of].items()}, going.step)
        for logger in going.fabric.loggers:
            logger.save()
    going.callbacks.epoch(result)


def _validate(going: UnderWay) -> dict[str, float]:
    """The figures of the averaged weights; each process answers for some of the photos."""
    photos, processes = going.validation, going.run.share.processes
    calibrated = going.run.best_by == CALIBRATED
    if processes == 1:
        return figures(predict_logits(going.kept, photos), photos.labels, calibrated=calibrated)
    most = math.ceil(len(photos) / processes)
    # The last process's places beyond the end hold the first photos again, so that all have as many.
    places = (torch.arange(most) + going.run.share.rank * most) % len(photos)
    logits = torch.from_numpy(predict_logits(going.kept, photos.subset(places.numpy())))
    together = cast("Tensor", going.fabric.all_gather(logits.to(going.fabric.device))).reshape(-1, logits.shape[1])
    return figures(together[: len(photos)].cpu().numpy(), photos.labels, calibrated=calibrated)
