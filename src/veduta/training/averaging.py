"""Averaged weights: what a training leaves is the moving mean of what it went through."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

Tensors = tuple[Tensor, ...] | list[Tensor]


def average_of(network: nn.Module, decay: float) -> AveragedModel:
    """A copy of ``network`` that ``update_parameters`` draws to it: each step keeps ``decay`` of what was.

    After t steps no more than (1 + t) / (10 + t) is kept, so that fresh weights leave it soon. The statistics of batch
    norms are averaged with the weights: they belong together.
    """

    def update(averaged: Tensors, current: Tensors, count: Tensor | int) -> None:
        steps = int(count)
        moving: Any = get_ema_multi_avg_fn(min(decay, (1 + steps) / (10 + steps)))  # type: ignore[no-untyped-call]
        moving(averaged, current, count)

    return AveragedModel(network, multi_avg_fn=update, use_buffers=True)
