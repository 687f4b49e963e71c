"""Batch norms that say what they normalise.

A network may carry statistics that are not those of its photos: they came from other data, from a rounded file, or
were kept while all else was trained. It answers well, but training goes on from there badly, since training mode puts a
batch's statistics in their place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from veduta.training.memory import keep_freed_memory
from veduta.training.networks import Normalise, SceneNetwork
from veduta.training.photo_sets import PhotoSet

_BATCH = 64


def rebase_statistics(network: SceneNetwork, photos: PhotoSet) -> None:
    """Give each batch norm the mean and variance that its channels have on ``photos``; the function stays the same.
    Those that did not learn stay as they are.

    With y = g (x - m) / sqrt(v + e) + b and the measured M and V, the scale becomes g sqrt((V + e) / (v + e)) and the
    shift b + g (M - m) / sqrt(v + e).
    """
    norms = [
        module for module in network.modules() if isinstance(module, nn.BatchNorm2d) and module.weight.requires_grad
    ]
    if not norms:
        return
    if not norms:
        return
    sums = {norm: torch.zeros(3, norm.num_features, dtype=torch.float64) for norm in norms}
    hooks = [norm.register_forward_pre_hook(_adding(sums[norm])) for norm in norms]
    keep_freed_memory()
    network.eval()
    normalise = Normalise(network.enlarge)
    try:
        with torch.inference_mode():
            for batch in photos.batches(_BATCH):
                network.embed(normalise(batch).contiguous(memory_format=torch.channels_last))
    finally:
        for hook in hooks:
            hook.remove()
    for norm in norms:
        count, total, squares = sums[norm]
        mean = total / count
        _rebase(norm, mean, (squares / count - mean.square()).clamp(min=0))


def _adding(sums: Tensor) -> Callable[[nn.Module, tuple[Any, ...]], None]:
    def add(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
        values = inputs[0].permute(0, 2, 3, 1).flatten(0, 2)
        # A batch in float32 around its own mean is exact enough, and takes a third of the time of float64.
        mean = values.mean(0)
        variance = (values - mean).square().mean(0).double()
        sums[0] += len(values)
        sums[1] += len(values) * mean.double()
        sums[2] += len(values) * (variance + mean.double().square())

    return add


def _rebase(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    with torch.no_grad():
        spread = (norm.running_var.double() + norm.eps).sqrt()
        norm.bias.add_((norm.weight * (mean - norm.running_mean) / spread).float())
        norm.weight.mul_(((variance + norm.eps).sqrt() / spread).float())
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
