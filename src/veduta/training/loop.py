"""The training loop, top to bottom: epochs of augmented batches, averaged weights, a checkpoint after each epoch."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from veduta.datasets.folders import LabelledPhotos
from veduta.errors import TrainingError
from veduta.evaluation.metrics import top_k_hits
from veduta.training.augment import Augmentation, AugmentedPhotos
from veduta.training.networks import Normalise, SceneNetwork

_CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True, slots=True)
class Schedule:
    """What the loop does with a network; the learning rate warms up, then falls along a cosine to zero.

    ``side`` is smaller than the side that the bundle will be given: random crops enlarge what they show, and training
    on smaller ones evens that out (Touvron et al. 2019, "Fixing the train-test resolution discrepancy").
    The classifier learns ``classifier_rate`` times as fast as the layers below it. ``frozen_statistics`` keeps the
    means and variances of the batch norms as they are, and trains only their scales and shifts: for weights whose
    statistics are not those of a batch (the ImageNet weights here, recovered from 8 bits, lose from 1.67 to 2.63 in
    cross-entropy when their own are replaced by a batch's).
    """

    side: int = 112
    epochs: int = 2
    batch_size: int = 64
    learning_rate: float = 1e-4
    classifier_rate: float = 2.0
    warm_up_steps: int = 100
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    average_decay: float = 0.996
    frozen_statistics: bool = True
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)


@dataclass(frozen=True, slots=True)
class EpochResult:
    """What one epoch gave; the held-out figures are those of the averaged weights."""

    epoch: int
    loss: float
    top1: float
    top5: float


def train(
    network: SceneNetwork,
    photos: LabelledPhotos,
    held_out: LabelledPhotos,
    schedule: Schedule,
    run: Path,
    *,
    on_step: Callable[[int, int, float], None] = lambda _step, _steps, _loss: None,
    on_epoch: Callable[[EpochResult], None] = lambda _result: None,
) -> SceneNetwork:
    """Train all layers of ``network`` and return it with its averaged weights.

    ``run`` keeps ``config.json``, ``log.jsonl`` and ``checkpoint.pt``; a killed run goes on after its last whole
    epoch. Raises TrainingError where the loss is no longer a number, naming the step.
    """
    run.mkdir(parents=True, exist_ok=True)
    (run / "config.json").write_text(json.dumps(asdict(schedule), indent=2) + "\n", encoding="utf-8")
    torch.manual_seed(schedule.seed)
    network.to(memory_format=torch.channels_last)
    normalise = Normalise()
    steps_per_epoch = len(photos) // schedule.batch_size
    if not steps_per_epoch:
        raise TrainingError(
            f"{len(photos)} photos do not fill one batch of {schedule.batch_size}; add photos or lower the batch size."
        )
    steps = steps_per_epoch * schedule.epochs
    # Bounded steps: some channels of the starting weights have next to no variance, and behind their batch norms the
    # gradients are so large that SGD left them at a rate of 0.003.
    optimizer = torch.optim.AdamW(_parameter_groups(network, schedule), schedule.learning_rate)
    # Batch-norm statistics are averaged with the weights: they belong together.
    mean_of_weights = get_ema_multi_avg_fn(schedule.average_decay)  # type: ignore[no-untyped-call]
    averaged = AveragedModel(network, multi_avg_fn=mean_of_weights, use_buffers=True)
    first_epoch = _resume(run, network, averaged, optimizer)

    for epoch in range(first_epoch, schedule.epochs):
        _set_training(network, schedule.frozen_statistics)
        torch.manual_seed(schedule.seed + 1000 + epoch)  # dropout repeats after a resume, too
        losses = []
        for index, (images, targets) in enumerate(_batches(photos, schedule, epoch)):
            step = epoch * steps_per_epoch + index
            for group in optimizer.param_groups:
                group["lr"] = group["rate"] * _learning_rate(schedule, step, steps)
            pixels = normalise(images).contiguous(memory_format=torch.channels_last)
            loss = nn.functional.cross_entropy(network(pixels), targets, label_smoothing=schedule.label_smoothing)
            if not torch.isfinite(loss):
                raise TrainingError(
                    f"the loss is {loss.item()} at step {step} (epoch {epoch + 1}); lower the learning rate of "
                    f"{schedule.learning_rate:g}. The last whole epoch is kept in {run}."
                )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            averaged.update_parameters(network)
            losses.append(loss.item())
            on_step(step + 1, steps, losses[-1])
        logits = predict_logits(averaged.module, held_out)
        top1, top5 = (float(top_k_hits(logits, held_out.targets, k).mean()) for k in (1, 5))
        result = EpochResult(epoch + 1, float(np.mean(losses)), top1, top5)
        with (run / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(asdict(result)) + "\n")
        _save(run, network, averaged, optimizer, epoch + 1)
        on_epoch(result)
    trained = averaged.module
    assert isinstance(trained, SceneNetwork)
    return trained.eval()


def has_checkpoint(run: Path) -> bool:
    """Whether a run has at least one whole epoch to go on from."""
    return (run / _CHECKPOINT).is_file()


def predict_logits(network: nn.Module, photos: LabelledPhotos, batch_size: int = 100) -> np.ndarray[Any, Any]:
    """Logits float32 ``[n, classes]`` of unchanged photos."""
    network.eval()
    normalise = Normalise()
    with torch.inference_mode():
        batches = torch.split(torch.from_numpy(photos.pixels), batch_size)
        logits = [network(normalise(batch).contiguous(memory_format=torch.channels_last)) for batch in batches]
    result: np.ndarray[Any, Any] = torch.cat(logits).numpy()
    return result


def _batches(photos: LabelledPhotos, schedule: Schedule, epoch: int) -> Iterable[tuple[Tensor, Tensor]]:
    dataset = AugmentedPhotos(photos, schedule.side, schedule.augmentation, schedule.seed, epoch)
    order = torch.Generator().manual_seed(schedule.seed * 1000 + epoch)
    # One worker keeps two training threads fed; more would take their cores.
    return DataLoader(dataset, schedule.batch_size, shuffle=True, generator=order, drop_last=True, num_workers=1)


def _set_training(network: nn.Module, frozen_statistics: bool) -> None:
    network.train()
    for module in network.modules():
        if frozen_statistics and isinstance(module, nn.BatchNorm2d):
            module.eval()


def _learning_rate(schedule: Schedule, step: int, steps: int) -> float:
    warm_up = min(1.0, (step + 1) / schedule.warm_up_steps)
    return schedule.learning_rate * warm_up * 0.5 * (1 + math.cos(math.pi * step / steps))


def _parameter_groups(network: SceneNetwork, schedule: Schedule) -> list[dict[str, Any]]:
    # Biases and batch norms have one dimension; decaying them only costs accuracy (He et al. 2019, "Bag of Tricks").
    return [
        {"params": chosen, "rate": rate, "weight_decay": schedule.weight_decay if matrices else 0.0}
        for part, rate in ((network.features, 1.0), (network.classifier, schedule.classifier_rate))
        for matrices in (True, False)
        if (chosen := [p for p in part.parameters() if (p.ndim > 1) == matrices])
    ]


def _save(run: Path, network: nn.Module, averaged: nn.Module, optimizer: torch.optim.Optimizer, epoch: int) -> None:
    state = {
        "epoch": epoch,
        "network": network.state_dict(),
        "averaged": averaged.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    temporary = run / f"{_CHECKPOINT}.tmp"
    torch.save(state, temporary)
    temporary.replace(run / _CHECKPOINT)


def _resume(run: Path, network: nn.Module, averaged: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """The number of whole epochs that the run already has."""
    if not has_checkpoint(run):
        return 0
    state = torch.load(run / _CHECKPOINT, weights_only=True)
    network.load_state_dict(state["network"])
    averaged.load_state_dict(state["averaged"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["epoch"])
