"""What a training makes small: cross-entropy for one label, one sigmoid for each of many, and a teacher's answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from veduta.errors import TrainingError
from veduta.models.bundle import Task
from veduta.training.photo_sets import PhotoSet
from veduta.training.schedules import Schedule, Weighting

#: β of the effective number of photos: classes of more than some thousand photos weigh nearly the same.
EFFECTIVE_BETA = 0.999

#: A loss of logits ``[n, c]`` and embeddings ``[n, d]``, of targets ``[n, c]``, and of a teacher's probabilities.
LossOfBoth = Callable[[tuple[Tensor, Tensor], Tensor, Tensor | None], Tensor]


@dataclass(frozen=True, slots=True)
class Loss:
    """The training loss of a batch, a mean over its photos.

    ``class_weights`` float32 ``[c]`` multiply a class's term. ``positive_weights`` float32 ``[c]``, for many labels
    only, multiply the terms of labels that are present. ``alpha`` is the teacher's share (0 is none) and
    ``temperature`` softens both sides.
    """

    task: Task
    smoothing: float = 0.0
    class_weights: Tensor | None = None
    positive_weights: Tensor | None = None
    alpha: float = 0.0
    temperature: float = 1.0

    def to(self, device: torch.device) -> Loss:
        """The same with its weights on ``device``."""
        weights = {name: getattr(self, name) for name in ("class_weights", "positive_weights")}
        return replace(self, **{name: each.to(device) for name, each in weights.items() if each is not None})

    def __call__(self, logits: Tensor, targets: Tensor, teacher: Tensor | None = None) -> Tensor:
        """The loss of ``logits`` ``[n, c]`` for ``targets`` ``[n, c]`` (probabilities, for they may be mixed).

        ``teacher`` ``[n, c]`` are the softened probabilities that ``soften`` gives.
        """
        if self.task == "single_label":
            loss = single_label_loss(logits, targets, self.smoothing, self.class_weights)
        else:
            loss = multi_label_loss(logits, targets, self.smoothing, self.class_weights, self.positive_weights)
        if teacher is None or not self.alpha:
            return loss
        taught = distillation_loss(logits, teacher, self.temperature, self.task)
        return (1 - self.alpha) * loss + self.alpha * taught


def single_label_loss(
    logits: Tensor, targets: Tensor, smoothing: float = 0.0, class_weights: Tensor | None = None
) -> Tensor:
    """Cross-entropy with probabilities ``[n, c]`` as targets, divided by the number of photos.

    Weighted losses are divided by the number of photos too, not by the sum of their weights: the mean over the parts
    of a batch is then the mean over the batch, however many processes share it.
    """
    return functional.cross_entropy(logits, targets, weight=class_weights, label_smoothing=smoothing)


def multi_label_loss(
    logits: Tensor,
    targets: Tensor,
    smoothing: float = 0.0,
    class_weights: Tensor | None = None,
    positive_weights: Tensor | None = None,
) -> Tensor:
    """Binary cross-entropy of each label's sigmoid, a mean over photos and labels; smoothing draws targets to 1/2."""
    smoothed = targets * (1 - smoothing) + smoothing / 2
    return functional.binary_cross_entropy_with_logits(
        logits, smoothed, weight=class_weights, pos_weight=positive_weights
    )


def distillation_loss(logits: Tensor, teacher: Tensor, temperature: float, task: Task = "single_label") -> Tensor:
    """T² times the divergence of the network's softened answer from the teacher's (Hinton et al. 2015).

    ``teacher`` are probabilities ``[n, c]`` at that temperature. T² keeps the gradients as large as at 1.
    For many labels it is the mean over the labels of each one's divergence.
    """
    if task == "single_label":
        answer = functional.log_softmax(logits / temperature, dim=1)
        divergence = functional.kl_div(answer, teacher, reduction="batchmean")
    else:
        cross = functional.binary_cross_entropy_with_logits(logits / temperature, teacher)
        divergence = cross - functional.binary_cross_entropy(teacher, teacher)
    return temperature**2 * divergence


def soften(teacher_logits: Tensor, temperature: float, task: Task = "single_label") -> Tensor:
    """A teacher's probabilities ``[n, c]`` at a temperature."""
    scaled = teacher_logits / temperature
    return scaled.softmax(dim=1) if task == "single_label" else scaled.sigmoid()


def class_weights(counts: NDArray[np.int64], how: Weighting) -> NDArray[np.float32] | None:
    """Weights ``[c]`` that let rare classes count, from the number of photos of each; their mean over photos is 1.

    ``balanced``: n / (c nₖ). ``effective``: proportional to (1 - β) / (1 - β^nₖ), the inverse of the effective number
    of photos (Cui et al. 2019, "Class-Balanced Loss Based on Effective Number of Samples"), β 0.999.
    Raises TrainingError for a class without photos.
    """
    if how == "none":
        return None
    if how not in ("balanced", "effective"):
        raise TrainingError(f"the class weights {how!r} are not known; give none, balanced or effective.")
    if not counts.min(initial=1):
        raise TrainingError(f"class {int(counts.argmin())} has no photo to train on; add some or leave the class out.")
    inverse = 1 / counts if how == "balanced" else (1 - EFFECTIVE_BETA) / (1 - EFFECTIVE_BETA**counts)
    weights: NDArray[np.float32] = (inverse * counts.sum() / (inverse * counts).sum()).astype(np.float32)
    return weights


def positive_weights(targets: NDArray[np.float32], most: float = 20.0) -> NDArray[np.float32]:
    """For many labels: photos without a label over photos with it, ``[c]``, at most ``most``.

    ``targets`` is ``[n, c]``. Raises TrainingError for a label that no photo has.
    """
    present = targets.sum(axis=0)
    if not present.min(initial=1):
        raise TrainingError(f"label {int(present.argmin())} is on no photo to train on; add some or leave it out.")
    weights: NDArray[np.float32] = np.minimum((len(targets) - present) / present, most).astype(np.float32)
    return weights


def make_loss(photos: PhotoSet, classes: int, schedule: Schedule) -> Loss:
    """The loss of a schedule on these training photos."""
    targets, weighting = photos.labels, schedule.class_weights
    of_classes = of_present = None
    if photos.task == "multi_label":
        of_present = None if weighting == "none" else positive_weights(targets.astype(np.float32))
    else:
        of_classes = class_weights(np.bincount(targets.astype(np.int64), minlength=classes), weighting)
    return Loss(
        photos.task,
        schedule.label_smoothing,
        None if of_classes is None else torch.from_numpy(of_classes),
        None if of_present is None else torch.from_numpy(of_present),
        schedule.teacher_share if photos.teacher is not None else 0.0,
        schedule.teacher_temperature,
    )
