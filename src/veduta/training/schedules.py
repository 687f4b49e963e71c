"""How long, how fast and with what a network is trained: one frozen value that a run's folder keeps as JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch.optim import SGD, AdamW, Optimizer

from veduta.errors import TrainingError
from veduta.training.augment import Augmentation
from veduta.training.networks import SceneNetwork

OptimizerName = Literal["adamw", "sgd"]
Decay = Literal["cosine", "exponential", "constant"]
Weighting = Literal["none", "balanced", "effective"]


@dataclass(frozen=True, slots=True)
class Schedule:
    """What the loop does with a network; everything that decides which weights come out.

    ``side`` is that of the random crops; 0 is the side at which the network sees whole photos: theirs, times what the
    graph enlarges them by. It may be smaller: crops enlarge what they show, and training on smaller ones evens that out
    (Touvron et al. 2019, "Fixing the train-test resolution discrepancy").

    The learning rate rises over ``warm_up_steps``, then follows ``decay``: ``cosine`` to zero at the last step
    (Loshchilov and Hutter 2017), ``exponential``, times ``epoch_factor`` after each epoch, or ``constant``. The
    classifier learns ``classifier_rate`` times as fast as the layers below it. ``clip_norm`` bounds the norm of the
    gradients, 0 does not.

    ``train_last`` lets only so many blocks at the end of the network learn, and the classifier (see ``freezing``); 0 is
    the classifier alone, None all layers.

    ``frozen_statistics`` keeps the means and variances of the batch norms as they are and trains only their scales and
    shifts: for weights whose statistics are not those of a batch (the ImageNet weights here, recovered from 8 bits,
    lose from 1.67 to 2.63 in cross-entropy when their own are replaced by a batch's), and for several processes.

    ``average_decay`` is that of the averaged weights, which are what is validated and kept; 0 takes the weights as
    they are. ``best_by`` names the validation figure that chooses the epoch to keep (``loss``, ``calibrated_loss``,
    ``top1``, ``top5``, or ``mean_average_precision`` and ``f1`` for many labels; None is ``top1`` or
    ``mean_average_precision``), or ``last``, which keeps the last one;
    ``patience`` epochs without a better one end the training, 0 never does. ``teacher_share`` and
    ``teacher_temperature`` count where the photos carry a teacher's logits.
    """

    side: int = 0
    epochs: int = 2
    batch_size: int = 64
    optimizer: OptimizerName = "adamw"
    learning_rate: float = 1e-4
    classifier_rate: float = 2.0
    decay: Decay = "cosine"
    epoch_factor: float = 0.9
    warm_up_steps: int = 100
    momentum: float = 0.9
    weight_decay: float = 0.05
    clip_norm: float = 0.0
    label_smoothing: float = 0.1
    class_weights: Weighting = "none"
    average_decay: float = 0.996
    train_last: int | None = None
    frozen_statistics: bool = True
    best_by: str | None = None
    patience: int = 0
    teacher_share: float = 0.5
    teacher_temperature: float = 2.0
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        for name in ("learning_rate", "classifier_rate", "epoch_factor", "teacher_temperature"):
            if not 0 < getattr(self, name) < math.inf:
                raise TrainingError(f"{name} is {getattr(self, name):g}; it must be above 0.")
        for name in ("side", "warm_up_steps", "momentum", "weight_decay", "clip_norm", "patience", "seed"):
            if not 0 <= getattr(self, name) < math.inf:
                raise TrainingError(f"{name} is {getattr(self, name):g}; it must be 0 or more.")
        if self.train_last is not None and self.train_last < 0:
            raise TrainingError(f"train_last is {self.train_last}; it must be 0 or more, or None for all layers.")
        for name in ("label_smoothing", "average_decay", "teacher_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise TrainingError(f"{name} is {getattr(self, name):g}; it must be from 0 to 1.")
        known: dict[str, tuple[str, ...]] = {
            "optimizer": ("adamw", "sgd"),
            "decay": ("cosine", "exponential", "constant"),
            "class_weights": ("none", "balanced", "effective"),
        }
        for name, values in known.items():
            if getattr(self, name) not in values:
                raise TrainingError(f"{name} {getattr(self, name)!r} is not known; give {' or '.join(values)}.")


def with_side(schedule: Schedule, photo_side: int, enlarge: float) -> Schedule:
    """The schedule with the side of its crops, for photos of ``photo_side`` pixels that the graph makes ``enlarge``
    times as large; one that names a side keeps it.
    """
    return schedule if schedule.side else replace(schedule, side=round(photo_side * enlarge))


def for_photos(schedule: Schedule, photos: int) -> Schedule:
    """The schedule for a training on so many photos: an epoch has four batches or more, and the warm-up ends in it."""
    batch_size = min(schedule.batch_size, max(2, photos // 4 // 2 * 2))
    warm_up_steps = min(schedule.warm_up_steps, photos // batch_size)
    return replace(schedule, batch_size=batch_size, warm_up_steps=warm_up_steps)


# Smoothing would first unlearn how sure the fitted classifier is: on 988 photos of 27 classes ten epochs with it ended
# at a calibrated loss of 0.433 on the held-out photos, without it at 0.337; the fitted classifier has 0.438.
_FINE_TUNE = Schedule(epochs=10, patience=3, label_smoothing=0.0, best_by="calibrated_loss")
_FROM_SCRATCH = Schedule(
    epochs=60,
    patience=10,
    classifier_rate=1.0,
    frozen_statistics=False,
    average_decay=0.999,
    augmentation=Augmentation(0.25),
)
_SGD: dict[str, Any] = {"optimizer": "sgd", "decay": "exponential", "weight_decay": 1e-4, "clip_norm": 5.0}

#: What a recipe does where nothing else is asked of it, by recipe and optimizer.
DEFAULTS: dict[tuple[str, str], Schedule] = {
    ("finetune", "adamw"): _FINE_TUNE,
    ("finetune", "sgd"): replace(_FINE_TUNE, learning_rate=0.002, **_SGD),
    ("scratch", "adamw"): replace(_FROM_SCRATCH, learning_rate=1e-3),
    ("scratch", "sgd"): replace(_FROM_SCRATCH, learning_rate=0.1, epoch_factor=0.94, **_SGD),
}


def learning_rate(schedule: Schedule, step: int, steps_per_epoch: int) -> float:
    """The rate of ``step``, counted from 0, before a group's own factor.

    With r the learning rate and w the warm-up, it is min(1, (step + 1) / w) times r for ``constant``, times
    (1 + cos(π step / steps)) / 2 for ``cosine``, times factor^⌊step / steps per epoch⌋ for ``exponential``.
    """
    rate = schedule.learning_rate * min(1.0, (step + 1) / max(1, schedule.warm_up_steps))
    match schedule.decay:
        case "cosine":
            return rate * 0.5 * (1 + math.cos(math.pi * step / (steps_per_epoch * schedule.epochs)))
        case "exponential":
            return float(rate * schedule.epoch_factor ** (step // steps_per_epoch))
        case "constant":
            return rate


def make_optimizer(network: SceneNetwork, schedule: Schedule) -> Optimizer:
    """AdamW, or SGD with Nesterov's momentum, over ``parameter_groups``."""
    groups = parameter_groups(network, schedule)
    # One pass over all tensors in C++ instead of one a tensor.
    if schedule.optimizer == "adamw":
        return AdamW(groups, schedule.learning_rate, fused=True)
    return SGD(groups, schedule.learning_rate, schedule.momentum, nesterov=schedule.momentum > 0, fused=True)


def parameter_groups(network: SceneNetwork, schedule: Schedule) -> list[dict[str, Any]]:
    """The body's and the classifier's parameters, those of one dimension apart; a new head goes with the classifier.

    Biases and batch norms have one dimension; decaying them only costs accuracy (He et al. 2019, "Bag of Tricks").
    ``rate`` of a group multiplies the schedule's learning rate.
    """
    new = [network.classifier] if network.head is None or not network.new_head else [network.head, network.classifier]
    own = {id(parameter) for module in new for parameter in module.parameters()}
    groups = []
    for of_classifier, rate in ((False, 1.0), (True, schedule.classifier_rate)):
        for matrices in (True, False):
            chosen = [
                parameter
                for parameter in network.parameters()
                if parameter.requires_grad
                and (id(parameter) in own) == of_classifier
                and (parameter.ndim > 1) == matrices
            ]
            if chosen:
                weight_decay = schedule.weight_decay if matrices else 0.0
                groups.append({"params": chosen, "rate": rate, "weight_decay": weight_decay})
    return groups


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Give each group its share of ``rate``."""
    for group in optimizer.param_groups:
        group["lr"] = group["rate"] * rate


def seed_step(seed: int, step: int, device: torch.device) -> None:
    """What is drawn within a step, dropout alone, follows from its number: a resumed run need not remember a state."""
    drawn = (seed * 1_000_003 + step) % 2**63
    torch.default_generator.manual_seed(drawn)
    if device.type == "cuda":
        torch.cuda.manual_seed(drawn)
