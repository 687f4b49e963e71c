"""What the two networks of a generator are trained by."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from veduta.generation.presets import LossName

# Real photos are called 0.9 real by cross-entropy, so that no logit need grow without end (Salimans et al. 2016).
_SMOOTHED = 0.9


def discriminator_loss(loss: LossName, real: Tensor, made: Tensor) -> Tensor:
    """Of logits ``[n, k]`` for real and generated pictures.

    ``hinge``: max(0, 1 - real) + max(0, 1 + made) (Lim and Ye 2017, arXiv:1705.02894); ``cross_entropy``: the binary
    one of Goodfellow et al. 2014.
    """
    if loss == "hinge":
        return functional.relu(1 - real).mean() + functional.relu(1 + made).mean()
    wanted = torch.full_like(real, _SMOOTHED)
    return functional.binary_cross_entropy_with_logits(real, wanted) + functional.softplus(made).mean()


def generator_loss(loss: LossName, made: Tensor) -> Tensor:
    """Of logits ``[n, k]`` for generated pictures: -made, or the non-saturating -log sigmoid(made)."""
    return -made.mean() if loss == "hinge" else functional.softplus(-made).mean()


def r1_penalty(pictures: Tensor, logits: Tensor) -> Tensor:
    """The mean over photos of the squared gradient of their logits (Mescheder et al. 2018, arXiv:1801.04406).

    ``pictures`` require gradients, and ``logits`` were computed from them. Where a batch norm lies between, photos of a
    batch share what it takes from each.
    """
    (gradient,) = torch.autograd.grad(logits.mean(dim=1).sum(), pictures, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()
