"""How good a network is on photos that it does not train on."""

from __future__ import annotations

import warnings
from typing import cast

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from veduta.errors import TrainingError
from veduta.models.bundle import Task
from veduta.training.batches import as_probabilities
from veduta.training.calibrated_loss import calibrated_loss
from veduta.training.losses import multi_label_loss, single_label_loss
from veduta.training.networks import SceneNetwork
from veduta.training.normalise import Normalise
from veduta.training.photo_sets import PhotoSet

#: The validation figure that chooses the epoch to keep, where nobody says otherwise.
BEST_BY: dict[Task, str] = {"single_label": "top1", "multi_label": "mean_average_precision"}

#: The loss at the best temperature, see ``calibrated_loss``; computed where it chooses.
CALIBRATED = "calibrated_loss"
#: No figure: the last epoch is the one to keep.
LAST = "last"


def predict_logits(network: SceneNetwork, photos: PhotoSet, batch_size: int = 100) -> NDArray[np.float32]:
    """Logits float32 ``[n, classes]`` of unchanged photos, the network at rest."""
    network.eval()
    device = next(network.parameters()).device
    normalise = Normalise(network.enlarge).to(device)
    with torch.inference_mode():
        logits = [
            network(normalise(images.to(device)).contiguous(memory_format=torch.channels_last)).float().cpu()
            for images in photos.batches(batch_size)
        ]
    found: NDArray[np.float32] = torch.cat(logits).numpy()
    return found


def figures(
    logits: NDArray[np.float32], targets: NDArray[np.int64] | NDArray[np.float32], *, calibrated: bool = False
) -> dict[str, float]:
    """What the log tells of ``logits`` ``[n, c]``.

    ``loss``: plain cross-entropy, no smoothing and no weights; with ``calibrated`` also ``calibrated_loss``. For one
    label, targets ``[n]``: ``top1``, and ``top5`` where there are more than five classes. For many, targets ``[n, c]``:
    ``mean_average_precision`` and ``f1`` (at probability 1/2), each a mean over the labels that some photo has.
    """
    scores, classes = torch.from_numpy(logits), logits.shape[1]
    truth = as_probabilities(targets, classes)
    loss_of = multi_label_loss if targets.ndim == 2 else single_label_loss
    found = {"loss": float(loss_of(scores, truth))}
    if calibrated:
        found[CALIBRATED] = calibrated_loss(logits, targets)
    if targets.ndim == 2:
        return {**found, **_of_many(scores, truth)}
    from torchmetrics.functional.classification import multiclass_accuracy

    answers = torch.from_numpy(targets.astype(np.int64))
    for k in (1, 5):
        if k < classes or k == 1:
            right = multiclass_accuracy(scores, answers, classes, average="micro", top_k=k)
            found[f"top{k}"] = float(right)
    return found


class Tally:
    """What was said of each label while training: right, wrong, missed, ``counts`` float64 ``[3, c]``."""

    def __init__(self, task: Task, classes: int) -> None:
        self.task = task
        self.counts = torch.zeros(3, classes, dtype=torch.float64)

    def add(self, logits: Tensor, targets: Tensor) -> None:
        """Count ``logits`` and ``targets`` ``[n, c]``; mixed photos count as what they show most of."""
        if self.task == "single_label":
            said = nn.functional.one_hot(logits.argmax(1), logits.shape[1]).bool()
            true = nn.functional.one_hot(targets.argmax(1), logits.shape[1]).bool()
        else:
            said, true = logits > 0, targets > 0.5
        self.counts += torch.stack([(said & true).sum(0), (said & ~true).sum(0), (~said & true).sum(0)]).cpu()

    def together(self, fabric: Fabric) -> Tensor:
        """The counts of all processes; each of them must ask."""
        if fabric.world_size == 1:
            return self.counts
        # A copy, for the sum is written into what is handed over.
        counts = self.counts.clone().to(fabric.device)
        return cast("Tensor", fabric.all_reduce(counts, reduce_op="sum")).cpu()

    def figures(self, fabric: Fabric) -> dict[str, float]:
        """``top1`` for one label, ``f1`` for many, of all processes together."""
        right, wrong, missed = self.together(fabric)
        if self.task == "single_label":
            return {"top1": float(right.sum() / (right + missed).sum())}
        there = right + missed > 0
        return {"f1": float((2 * right / (2 * right + wrong + missed))[there].mean())}

    def clear(self) -> None:
        """Begin a new epoch."""
        self.counts.zero_()


def check_figure(name: str, task: Task, classes: int) -> None:
    """Raises TrainingError where ``figures`` will not tell ``name``."""
    known = ["loss", LAST, CALIBRATED, *(("mean_average_precision", "f1") if task == "multi_label" else ("top1",))]
    if task == "single_label" and classes > 5:
        known.append("top5")
    if name not in known:
        raise TrainingError(f"the best epoch can't be chosen by {name!r}; give {', '.join(known)}.")


def is_better(name: str, value: float, than: float | None) -> bool:
    """Whether a figure is better than the best so far: a lower loss, a higher share."""
    if than is None:
        return True
    return value < than if name in ("loss", CALIBRATED) else value > than


def _of_many(scores: Tensor, truth: Tensor) -> dict[str, float]:
    from torchmetrics.functional.classification import multilabel_average_precision, multilabel_f1_score

    there = truth.sum(0) > 0
    count = int(there.sum())
    if not count:
        return {"mean_average_precision": 0.0, "f1": 0.0}
    chances, present = scores[:, there].sigmoid(), truth[:, there].long()
    if count == 1:
        # With one label left torchmetrics takes the task for another; it is counted twice instead.
        chances, present, count = chances.repeat(1, 2), present.repeat(1, 2), 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        precision = multilabel_average_precision(chances, present, count, average="macro")
        f1 = multilabel_f1_score(chances, present, count, average="macro")
    return {"mean_average_precision": float(precision), "f1": float(f1)}
