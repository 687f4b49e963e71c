"""Dropout that draws for the whole batch, so that it is the same however many processes share it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from veduta.training.batches import Share


class SharedDropout(nn.Dropout):
    """Each process draws the mask of all processes' photos, from the same seed, and takes its part."""

    def __init__(self, p: float, share: Share) -> None:
        super().__init__(p)
        self.share = share

    def forward(self, values: Tensor) -> Tensor:
        """``values`` ``[n, ...]``, in training with a share ``p`` of them 0 and the others larger for it."""
        if not self.training or not self.p:
            return values
        own, shape = len(values), (len(values) * self.share.processes, *values.shape[1:])
        kept = torch.rand(shape, device=values.device) >= self.p
        mine = kept[self.share.rank * own : (self.share.rank + 1) * own]
        # All dropped: nothing is left to be made larger.
        return values * mine / max(1.0 - self.p, torch.finfo(values.dtype).tiny)


def share_dropout(network: nn.Module, share: Share) -> None:
    """Put one that draws for the whole batch in place of each dropout layer of ``network``."""
    for parent in list(network.modules()):
        for name, module in parent.named_children():
            if isinstance(module, nn.Dropout):
                setattr(parent, name, SharedDropout(module.p, share))
