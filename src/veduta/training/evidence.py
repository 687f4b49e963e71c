"""Evidence: how much a photo looks like those that a model learnt from, so that it can say "nothing fits".

Some layers of the network are averaged over positions, each is scaled to length one, and all are joined. Photos of one
class are then taken for a normal distribution around their mean, with one covariance for all classes; evidence falls
with the Mahalanobis distance to the nearest mean (Lee et al. 2018, "A Simple Unified Framework for Detecting
Out-of-Distribution Samples and Adversarial Attacks") and rises with the certainty of the answer, the negative entropy
of its probabilities, and with the energy of its logits.

What was tried beside it, and the figures, are in ``docs/evidence.md``; ``python -m bench evidence`` measures again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veduta.errors import TrainingError
from veduta.evaluation.evidence import KEPT, threshold_for
from veduta.training.memory import keep_freed_memory
from veduta.training.networks import Normalise, SceneNetwork
from veduta.training.photo_sets import PhotoSet
from veduta.training.taps import EvidenceModule, Reading, run_with_taps
from veduta.training.validation import predict_logits

#: What evidence reads, by architecture: of MobileNetV2 the ends of three blocks, before their next rectifier, and
#: photos as they come, not enlarged. Others read the embedding.
READINGS: dict[str, Reading] = {
    "mobilenet_v2": Reading(("10", "13", "17")),
    "mobilenet_v2_128": Reading(("10", "13", "17"), enlarge=1.0),
}

# Evidence of held-out photos has this mean and this standard deviation, as test scores in psychology do.
_MEAN, _DEVIATION = 50.0, 10.0


class Evidence(EvidenceModule):
    """Evidence ``[n]`` of pooled layers, a list of ``[n, d]``, and logits ``[n, classes]``.

    Made by ``fit_evidence``. Its tensors hold what float16 can hold, so that a graph which stores them so computes
    the same.

    Attributes:
        reading: the layers that it reads, and at which size.
        centre: mean of the joined layers, ``[d]``, d the sum of their sizes.
        whiten: ``[d, d]``, makes the covariance within a class the identity.
        means: the whitened class means ``[classes, d]``.
        scales: mean and deviation of the distance, of the certainty, of the energy, and of their sum ``[8]``.
    """

    centre: Tensor
    whiten: Tensor
    means: Tensor
    scales: Tensor

    def __init__(
        self, reading: Reading, sizes: Sequence[int], classes: int, certainty: float, energy: float = 0.0
    ) -> None:
        super().__init__()
        total = sum(sizes)
        self.reading = reading
        self.certainty, self.energy = certainty, energy
        self.register_buffer("centre", torch.zeros(total))
        self.register_buffer("whiten", torch.zeros(total, total))
        self.register_buffer("means", torch.zeros(classes, total))
        self.register_buffer("scales", torch.tensor([0.0, 1.0] * 4))

    def forward(self, pooled: Sequence[Tensor], logits: Tensor) -> Tensor:
        *_, mean, spread = self.scales.unbind()
        return _MEAN + _DEVIATION * (self.total(pooled, logits) - mean) / spread

    def total(self, pooled: Sequence[Tensor], logits: Tensor) -> Tensor:
        """Nearness, certainty and energy ``[n]``, each in units of its deviation, by their weights."""
        distance_mean, distance_spread, certainty_mean, certainty_spread, energy_mean, energy_spread, *_ = (
            self.scales.unbind()
        )
        nearness = (distance_mean - self.distance(pooled)) / distance_spread
        certainty = (certainty_of(logits) - certainty_mean) / certainty_spread
        energy = (energy_of(logits) - energy_mean) / energy_spread
        return nearness + self.certainty * certainty + self.energy * energy

    def distance(self, pooled: Sequence[Tensor]) -> Tensor:
        """The Mahalanobis distance ``[n]`` to the nearest class mean."""
        whitened = (join(pooled) - self.centre) @ self.whiten
        squares = (
            whitened.square().sum(1, keepdim=True) - 2 * whitened @ self.means.T + self.means.square().sum(1)[None]
        )
        return squares.amin(1).clamp(min=0).sqrt()


def join(pooled: Sequence[Tensor]) -> Tensor:
    """Layers ``[n, d_i]``, each scaled to a mean square of one, side by side ``[n, d]``.

    A photo of little contrast moves all numbers of a layer together. Unscaled, noise and plain surfaces lie nearer to
    the mean than any photo.
    """
    return torch.cat([each / each.square().mean(1, keepdim=True).clamp(min=1e-12).sqrt() for each in pooled], 1)


def certainty_of(logits: Tensor) -> Tensor:
    """The negative entropy ``[n]`` of the softmax of logits ``[n, classes]``: Σ p log p, 0 where one class has all."""
    return (logits.softmax(1) * logits.log_softmax(1)).sum(1)


def energy_of(logits: Tensor) -> Tensor:
    """log Σ exp ``[n]`` of logits ``[n, classes]`` (Liu et al. 2020, "Energy-based Out-of-distribution Detection").

    Mixup takes much of what it tells (``docs/evidence.md``).
    """
    return logits.logsumexp(1)


def fit_evidence(
    network: SceneNetwork,
    training: PhotoSet,
    held_out: PhotoSet,
    *,
    reading: Reading | None = None,
    shrinkage: float = 0.03,
    certainty: float = 0.25,
    energy: float = 0.5,
) -> Evidence:
    """Evidence for ``network``, which must be in its final state, fitted to the photos that it was trained on.

    ``shrinkage`` is the part of the covariance that is the same in all directions; ``certainty`` and ``energy``
    are what these weigh against the distance, all in units of their deviation over ``held_out``. Photos of many labels
    have one mean.
    Raises TrainingError for a layer that the network lacks.
    """
    if reading is None:
        reading = READINGS.get(network.architecture or "", Reading())
    pooled = read_layers(network, training, reading)
    targets = training.labels if training.task == "single_label" else np.zeros(len(training), np.int64)
    evidence = fit_distance(
        pooled, targets.astype(np.int64), reading=reading, shrinkage=shrinkage, certainty=certainty, energy=energy
    )
    del pooled
    logits = torch.from_numpy(predict_logits(network, held_out))
    return fit_scales(evidence, read_layers(network, held_out, reading), logits)


def fit_distance(
    pooled: Sequence[Tensor],
    targets: NDArray[np.int64],
    *,
    reading: Reading,
    shrinkage: float,
    certainty: float,
    energy: float = 0.0,
) -> Evidence:
    """Centre, covariance and class means, from pooled layers ``[n, d_i]`` and targets ``[n]`` of training photos."""
    centre, whiten, means = fit_normal(join(pooled), targets, shrinkage)
    evidence = Evidence(reading, [each.shape[1] for each in pooled], len(means), certainty, energy)
    with torch.no_grad():
        evidence.centre.copy_(_half(centre))
        evidence.whiten.copy_(_half(whiten))
        evidence.means.copy_(_half(means @ evidence.whiten.double()))
    return evidence.eval()


def fit_normal(values: Tensor, targets: NDArray[np.int64], shrinkage: float) -> tuple[Tensor, Tensor, Tensor]:
    """Normal distributions of one covariance around the mean of each class: ``values`` ``[n, d]``, targets ``[n]``.

    Returns the centre ``[d]``, the whitening ``[d, d]`` of the covariance, shrunk towards the same in all directions,
    and the class means about the centre ``[classes, d]``, in float64.
    """
    values = values.double()
    classes = torch.from_numpy(np.unique(targets, return_inverse=True)[1])
    centre = values.mean(0)
    values = values - centre
    means = torch.zeros(int(classes.max()) + 1, values.shape[1], dtype=torch.float64).index_add_(0, classes, values)
    means /= torch.bincount(classes)[:, None]
    within = values - means[classes]
    covariance = within.T @ within / len(within)
    even = covariance.diagonal().mean().clamp(min=1e-12) * torch.eye(len(covariance), dtype=torch.float64)
    variances, directions = torch.linalg.eigh((1 - shrinkage) * covariance + shrinkage * even)
    return centre, directions / variances.sqrt(), means


def fit_scales(evidence: Evidence, pooled: Sequence[Tensor], logits: Tensor) -> Evidence:
    """Give evidence the mean 50 and the deviation 10 over photos that served no fit; returns it."""
    with torch.no_grad():
        parts = (evidence.distance(pooled), certainty_of(logits), energy_of(logits))
        evidence.scales[:6] = torch.stack([figure for part in parts for figure in (part.mean(), _spread(part))])
        total = evidence.total(pooled, logits)
        evidence.scales[6:] = torch.stack([total.mean(), _spread(total)])
    return evidence


def choose_threshold(evidence: NDArray[np.floating], keep: float = KEPT) -> float:
    """The threshold that keeps the share ``keep`` of held-out photos, given their evidence ``[n]`` from the graph.

    It is rounded down to a hundredth, a thousandth of the deviation, so that people can read it.
    """
    return float(np.floor(100 * threshold_for(evidence, keep)) / 100)


def read_layers(network: SceneNetwork, photos: PhotoSet, reading: Reading, batch_size: int = 100) -> list[Tensor]:
    """The pooled layers ``[n, d_i]`` of unchanged photos that a reading asks for.

    Raises TrainingError for a layer that the network lacks.
    """
    keep_freed_memory()
    network.eval()
    normalise = Normalise(network.enlarge if reading.enlarge is None else reading.enlarge)
    found: list[list[Tensor]] = [[] for _ in reading.layers]
    with torch.inference_mode():
        for batch in photos.batches(batch_size):
            planes = normalise(batch).contiguous(memory_format=torch.channels_last)
            try:
                _, pooled = run_with_taps(network.features, planes, reading.layers)
            except AttributeError as error:
                raise TrainingError(
                    f"evidence can't be read from the network: {error}; name layers that it has."
                ) from error
            for kept, values in zip(found, pooled, strict=True):
                kept.append(values)
    return [torch.cat(values).clone() for values in found]


def _half(values: Tensor) -> Tensor:
    return values.half().float()


def _spread(values: Tensor) -> Tensor:
    return values.std().clamp(min=1e-6)
