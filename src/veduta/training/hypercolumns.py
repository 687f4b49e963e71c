"""Features that say what several layers of a network saw at each position, not only what its last one did.

The last layers of a network forget what its own classes did not need. What the layers before them knew helps to tell
other classes apart (Hariharan et al. 2015, "Hypercolumns for Object Segmentation and Fine-grained Localization").
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import Tensor, nn

# The numbers of earlier layers are smaller than those of the last; by as much as this in MobileNetV2 with ImageNet's
# weights, and a regularised classifier would hardly hear them.
_LOUDER = 2.5


class Hypercolumns(nn.Sequential):
    """The layers of ``features``, by their own names, so that the same weights fit; what those of ``read`` give are
    more channels of what comes out.

    From ``[n, 3, h, w]`` to ``[n, d, h', w']``, h' and w' those of the last layer. ``read`` tells how many times as
    many positions along each side a layer has; the mean of so many is taken.
    """

    def __init__(self, features: nn.Sequential, read: Mapping[str, int]) -> None:
        super().__init__(OrderedDict(features.named_children()))
        self._read = dict(read)

    def forward(self, images: Tensor) -> Tensor:
        """Features of normalised images."""
        heard = []
        for name, layer in self.named_children():
            images = layer(images)
            if name in self._read:
                # Sides that are odd have half a position more: rounded up, as strides round.
                heard.append(nn.functional.avg_pool2d(images, self._read[name], ceil_mode=True))
        return torch.cat([images, *(_LOUDER * each for each in heard)], dim=1)
