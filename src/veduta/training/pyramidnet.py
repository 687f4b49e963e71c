"""PyramidNet: a residual network whose width grows by a little at every unit, not by a lot at every stage.

Han, Kim and Kim 2017, "Deep Pyramidal Residual Networks" (CVPR). The additive form: unit k of N has the width
floor(64 + k α / N). A unit begins and ends with a batch norm and has no ReLU before its first convolution; what goes
around it is widened with channels of zeros.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

#: How much wider than its middle a bottleneck's output is.
EXPANSION = 4

_STEM = 64


class PyramidUnit(nn.Module):
    """A pre-activated bottleneck of ``width`` channels in its middle; its output has four times as many."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        after = EXPANSION * width
        self.bn1 = nn.BatchNorm2d(before)
        self.conv1 = nn.Conv2d(before, width, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, after, 1, bias=False)
        self.bn4 = nn.BatchNorm2d(after)
        self.relu = nn.ReLU(inplace=True)
        self.added = after - before
        # As many positions as the strided convolution leaves, for odd sides too.
        self.shrink = nn.AvgPool2d(3, 2, padding=1, count_include_pad=False) if stride == 2 else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """``[n, before, h, w]`` to ``[n, 4 width, h', w']``; with a stride of 2, h' is half of h, rounded up."""
        inside = self.conv1(self.bn1(features))
        inside = self.conv2(self.relu(self.bn2(inside)))
        inside = self.bn4(self.conv3(self.relu(self.bn3(inside))))
        around = nn.functional.pad(self.shrink(features), (0, 0, 0, 0, 0, self.added))
        total: Tensor = inside + around
        return total


def pyramidnet(units: Sequence[int], widening: int) -> nn.Sequential:
    """Float ``[n, 3, h, w]`` to features of ``feature_channels(widening)`` channels, a position for 32 pixels.

    ``units`` are counted by stage; the network has three layers for each, and two more. ``widening`` is α, what the
    last unit's middle has more channels than the first convolution.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=nn.Conv2d(3, _STEM, 7, 2, padding=3, bias=False),
        bn1=nn.BatchNorm2d(_STEM),
        relu=nn.ReLU(inplace=True),
        maxpool=nn.MaxPool2d(3, 2, padding=1),
    )
    before, done = _STEM, 0
    for stage, count in enumerate(units):
        made = []
        for number in range(count):
            done += 1
            width = _STEM + done * widening // sum(units)
            made.append(PyramidUnit(before, width, stride=2 if stage and not number else 1))
            before = EXPANSION * width
        layers[f"layer{stage + 1}"] = nn.Sequential(*made)
    layers["bn_last"] = nn.BatchNorm2d(before)
    layers["relu_last"] = nn.ReLU(inplace=True)
    network = nn.Sequential(layers)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network


def feature_channels(widening: int) -> int:
    """The channels of the features of a network that widens by ``widening``."""
    return EXPANSION * (_STEM + widening)
