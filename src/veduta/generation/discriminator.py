"""The three discriminators: from a picture and its class to how real it looks.

Each takes float ``[n, channels, side, side]`` from -1 to 1 and ``classes`` float ``[n, c]``, and gives a ``Verdict``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from veduta.generation.presets import Preset

# In so many planes it is told how pictures of one class differ.
_PLANES = 8
# Wraps a layer; the identity where nothing is asked for.
_Wrap = Callable[[nn.Module], nn.Module]


class Verdict(NamedTuple):
    """``logits`` ``[n, k]``, above 0 for real, one for each of k places; ``features`` for its own task, or none."""

    logits: Tensor
    features: tuple[Tensor, ...] = ()


class DenseDiscriminator(nn.Module):
    """Linear layers alone, each half as wide as the one before, on pixels and class."""

    def __init__(self, preset: Preset, classes: int) -> None:
        super().__init__()
        wrap = _wrapping(preset)
        pixels = preset.channels * preset.side**2
        widths = [pixels + classes, *(preset.filters * 2**step for step in reversed(range(3)))]
        layers: list[nn.Module] = []
        for before, width in pairwise(widths):
            layers += [wrap(nn.Linear(before, width)), nn.LeakyReLU(0.2), nn.Dropout(0.3)]
        self.layers = nn.Sequential(*layers, wrap(nn.Linear(widths[-1], 1)))

    def forward(self, pictures: Tensor, classes: Tensor) -> Verdict:
        return Verdict(self.layers(torch.cat((pictures.flatten(1), classes), dim=1)))


class ConvolutionalDiscriminator(nn.Module):
    """DCGAN's: strided convolutions halve the side and double the width; the class is planes beside the colours."""

    def __init__(self, preset: Preset, classes: int) -> None:
        super().__init__()
        wrap = _wrapping(preset)
        halvings = int(math.log2(preset.side)) - 2
        widths = [preset.channels + classes, *(preset.filters * 2**step for step in range(halvings))]
        layers: list[nn.Module] = []
        for step, (before, width) in enumerate(pairwise(widths)):
            layers.append(wrap(_drawn(nn.Conv2d(before, width, 4, stride=2, padding=1, bias=step == 0))))
            layers += [nn.BatchNorm2d(width)] if step else []
            layers.append(nn.LeakyReLU(0.2))
        self.layers = nn.Sequential(*layers, wrap(_drawn(nn.Conv2d(widths[-1], 1, 4))))

    def forward(self, pictures: Tensor, classes: Tensor) -> Verdict:
        planes = classes[:, :, None, None].expand(-1, -1, *pictures.shape[2:])
        return Verdict(self.layers(torch.cat((pictures, planes), dim=1)).flatten(1))


class DownBlock(nn.Module):
    """Half the side: strided and plain convolution, and a short way by the mean of four (Liu et al. 2021)."""

    def __init__(self, before: int, width: int, wrap: _Wrap) -> None:
        super().__init__()
        self.main = nn.Sequential(
            wrap(nn.Conv2d(before, width, 4, stride=2, padding=1, bias=False)),
            nn.BatchNorm2d(width),
            nn.LeakyReLU(0.2),
            wrap(nn.Conv2d(width, width, 3, padding=1, bias=False)),
            nn.BatchNorm2d(width),
            nn.LeakyReLU(0.2),
        )
        self.short = nn.Sequential(
            nn.AvgPool2d(2), wrap(nn.Conv2d(before, width, 1, bias=False)), nn.BatchNorm2d(width), nn.LeakyReLU(0.2)
        )

    def forward(self, features: Tensor) -> Tensor:
        both: Tensor = (self.main(features) + self.short(features)) / math.sqrt(2)
        return both


class Decoder(nn.Module):
    """Draws a small picture from features ``[n, width, s, s]``: ``[n, channels, 4 s, 4 s]`` from -1 to 1."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in ((width, 64), (64, 32)):
            layers += [
                nn.Upsample(scale_factor=2.0, mode="nearest"),
                nn.Conv2d(before, after, 3, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.SiLU(),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(32, channels, 3, padding=1), nn.Tanh())

    def forward(self, features: Tensor) -> Tensor:
        drawn: Tensor = self.layers(features)
        return drawn


class SelfSupervisedDiscriminator(nn.Module):
    """After FastGAN: it judges 25 overlapping parts of a picture, and must be able to draw what it has seen.

    Features at 8 by 8 draw the whole picture, those at 16 by 16 a quarter of it, so that neither may forget the photo
    (Liu et al. 2021, section 3.2). The class is told by projection (Miyato and Koyama 2018, arXiv:1802.05637). Where
    pictures of one class are in a row, it sees how much these differ, for pictures of one layout can't be told from
    photos one by one (after Karras et al. 2018, arXiv:1710.10196, section 3).
    """

    def __init__(self, preset: Preset, classes: int) -> None:
        super().__init__()
        wrap = _wrapping(preset)
        filters = preset.filters
        # 2 filters at half the side, doubled at each halving, down to 8 by 8.
        sides = [preset.side // 2]
        while sides[-1] > 8:
            sides.append(sides[-1] // 2)
        widths = [min(8 * filters, 2 * filters * 2**step) for step in range(len(sides))]
        self.first = nn.Sequential(
            wrap(nn.Conv2d(preset.channels, widths[0], 4, stride=2, padding=1, bias=False)), nn.LeakyReLU(0.2)
        )
        self.blocks = nn.ModuleList(DownBlock(before, width, wrap) for before, width in pairwise(widths))
        self.alike = preset.alike
        planes = _PLANES if preset.alike > 1 else 0
        self.judge = nn.Sequential(
            wrap(nn.Conv2d(widths[-1] + planes, widths[-1], 1, bias=False)),
            nn.BatchNorm2d(widths[-1]),
            nn.LeakyReLU(0.2),
            wrap(nn.Conv2d(widths[-1], 1, 4, bias=False)),
        )
        self.of_class = wrap(nn.Linear(classes, widths[-1], bias=False))
        self.draw_whole = Decoder(widths[-1], preset.channels)
        self.draw_part = Decoder(widths[-2], preset.channels)

    def forward(self, pictures: Tensor, classes: Tensor) -> Verdict:
        features = self.first(pictures)
        seen = []
        for block in self.blocks:
            features = block(features)
            if features.requires_grad:
                features.register_hook(_channels_last)
            seen.append(features)
        pooled = functional.leaky_relu(features, 0.2).mean(dim=(2, 3))
        fits_class = (self.of_class(classes) * pooled).sum(dim=1, keepdim=True)
        if self.alike > 1:
            features = torch.cat((features, differences(features, self.alike)), dim=1)
        return Verdict(self.judge(features).flatten(1) + fits_class, (seen[-2], seen[-1]))

    def reconstruction_loss(self, pictures: Tensor, verdict: Verdict, quarter: int) -> Tensor:
        """How far what it draws is from the ``pictures`` that it saw: mean absolute difference, whole and a quarter.

        ``quarter``, 0 to 3, says which one.
        """
        part_features, whole_features = verdict.features
        whole = self.draw_whole(whole_features)
        rows, columns = (slice(half * 8, half * 8 + 8) for half in divmod(quarter, 2))
        part = self.draw_part(part_features[:, :, rows, columns])
        middle = pictures.shape[2] // 2
        below, right = (slice(half * middle, (half + 1) * middle) for half in divmod(quarter, 2))
        wanted = functional.adaptive_avg_pool2d(pictures[:, :, below, right], part.shape[2:])
        seen = functional.adaptive_avg_pool2d(pictures, whole.shape[2:])
        return functional.l1_loss(whole, seen) + functional.l1_loss(part, wanted)


def differences(features: Tensor, alike: int) -> Tensor:
    """How much ``alike`` rows in a row of features ``[n, d, h, w]`` differ at each place: ``[n, 8, h, w]``.

    The standard deviation over a group, the mean over each eighth of the d; all rows of a group get the same.
    """
    count, width, height, breadth = features.shape
    # Channels last, as the features lie in memory: the other way costs a copy there and one back.
    groups = features.permute(0, 2, 3, 1).reshape(count // alike, alike, height, breadth, width)
    # A little above nothing, for the root has no slope there.
    spread = (groups.var(dim=1, correction=0) + 1e-6).sqrt()
    planes = spread.reshape(count // alike, height, breadth, _PLANES, width // _PLANES).mean(dim=4)
    return planes.repeat_interleave(alike, dim=0).permute(0, 3, 1, 2)


Discriminator = DenseDiscriminator | ConvolutionalDiscriminator | SelfSupervisedDiscriminator


def make_discriminator(preset: Preset, classes: int) -> Discriminator:
    """A fresh discriminator of ``classes`` classes, drawn by torch's current seed."""
    match preset.network:
        case "dense":
            return DenseDiscriminator(preset, classes)
        case "dcgan":
            return ConvolutionalDiscriminator(preset, classes)
        case "fastgan":
            return SelfSupervisedDiscriminator(preset, classes)


def _channels_last(gradient: Tensor) -> Tensor:
    """That of a quarter has another memory layout; a batch norm that gets it so takes five times as long on a CPU."""
    return gradient.contiguous(memory_format=torch.channels_last)


def _drawn(layer: nn.Conv2d) -> nn.Conv2d:
    """As DCGAN begins; before a layer is wrapped, for then its weight is computed."""
    nn.init.normal_(layer.weight, 0.0, 0.02)
    return layer


def _wrapping(preset: Preset) -> _Wrap:
    """Spectral normalisation (Miyato et al. 2018, arXiv:1802.05957) where the preset asks for it."""
    return spectral_norm if preset.spectral_norm else lambda layer: layer
