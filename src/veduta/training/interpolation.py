"""A trained network drawn back a little to where its training began.

Fine-tuning makes a network better at its task and forgets what else its start knew, on which its answers for other
photos rest. On the straight line between the two lie networks that are as good at the task and remember more (Wortsman
et al. 2022, "Robust fine-tuning of zero-shot models").
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from veduta.errors import TrainingError


def interpolate(features: nn.Module, start: Mapping[str, Tensor], trained_share: float) -> None:
    """Make every parameter of ``features`` ``trained_share`` times itself plus the rest of the same in ``start``.

    ``start`` is the state dict before the training. Means and variances of batch norms must be what they were then, as
    a training with frozen statistics leaves them: a line between weights that belong to different statistics leads
    nowhere. Raises TrainingError where they are others, or where a tensor has another name or shape.
    """
    if not 0 <= trained_share <= 1:
        raise TrainingError(f"the trained share is {trained_share:g}; it must be from 0 to 1.")
    state = features.state_dict()
    if {name: each.shape for name, each in state.items()} != {name: each.shape for name, each in start.items()}:
        raise TrainingError("the start weights are those of another network; give those that the training began with.")
    moved = [name for name, _ in features.named_buffers() if not torch.equal(state[name], start[name])]
    if moved:
        raise TrainingError(
            f"{moved[0]} is no longer what it was before the training; interpolate weights whose batch-norm statistics "
            "were kept (frozen_statistics)."
        )
    with torch.no_grad():
        for name, parameter in features.named_parameters():
            parameter.lerp_(start[name], 1 - trained_share)
