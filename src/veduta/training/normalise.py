"""From the bytes of a photo to the numbers that a network takes."""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import Tensor, nn
from torch.nn import functional

# Channel statistics of ImageNet, which the starting weights were trained with.
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


class Normalise(nn.Module):
    """uint8 ``[n, h, w, 3]`` to float ``[n, 3, h', w']`` with the statistics of ImageNet; part of every graph.

    Both sides become ``enlarge`` times as long, bilinearly: a network that learnt from enlarged small photos gets every
    photo as small, then as soft as those, whatever it was taken with.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, enlarge: float = 1.0) -> None:
        super().__init__()
        self.enlarge = enlarge
        self._parts = Fraction(enlarge).limit_denominator(16).as_integer_ratio()
        self.register_buffer("mean", 255 * torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        planes = (images.permute(0, 3, 1, 2).float() - self.mean) / self.std
        if self.enlarge == 1.0:
            return planes
        # In whole numbers, for the exporter can't reason about sizes that went through a float.
        height, width = (side * self._parts[0] // self._parts[1] for side in planes.shape[2:])
        return functional.interpolate(planes, size=(height, width), mode="bilinear", align_corners=False)


class Recentre(nn.Module):
    """From ImageNet's statistics to [-1, 1], which Inception-v3 was trained on (torchvision's ``transform_input``)."""

    def forward(self, images: Tensor) -> Tensor:
        scale = images.new_tensor(_STD).view(1, 3, 1, 1)
        shift = images.new_tensor(_MEAN).view(1, 3, 1, 1)
        # images * std + mean lies in [0, 1].
        return (images * scale + shift) * 2 - 1
