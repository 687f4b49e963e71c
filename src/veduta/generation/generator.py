"""The three generators: from latent numbers and a class to a picture.

Each takes ``latents`` float ``[n, latent]``, drawn from a standard normal, and ``classes`` float ``[n, c]``, rows that
sum to 1 (one 1 for a class; a mixture lies between classes), and gives float ``[n, channels, side, side]`` from -1 to
1. Nothing else is drawn: a picture follows from its numbers, in torch and in the exported graph.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from veduta.generation.presets import Preset

# A class is told to the networks in so many numbers.
_CLASS_NUMBERS = 32


class Condition(nn.Module):
    """Latent numbers and class as one vector ``[n, size]``; the class as learnt numbers, the same for a mixture."""

    def __init__(self, latent: int, classes: int) -> None:
        super().__init__()
        self.of_class = nn.Linear(classes, _CLASS_NUMBERS, bias=False)
        # As nn.Embedding begins, whatever the number of classes.
        nn.init.normal_(self.of_class.weight)
        self.size = latent + _CLASS_NUMBERS

    def forward(self, latents: Tensor, classes: Tensor) -> Tensor:
        return torch.cat((latents, self.of_class(classes)), dim=1)


class DenseGenerator(nn.Module):
    """Linear layers alone, each twice as wide as the one before (Goodfellow et al. 2014, arXiv:1406.2661)."""

    def __init__(self, preset: Preset, classes: int) -> None:
        super().__init__()
        self.condition = Condition(preset.latent, classes)
        self.shape = (preset.channels, preset.side, preset.side)
        widths = [self.condition.size, *(preset.filters * 2**step for step in range(3))]
        layers: list[nn.Module] = []
        for before, width in pairwise(widths):
            layers += [nn.Linear(before, width, bias=False), nn.BatchNorm1d(width), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], math.prod(self.shape)))

    def forward(self, latents: Tensor, classes: Tensor) -> Tensor:
        pixels: Tensor = self.layers(self.condition(latents, classes))
        return torch.tanh(pixels).reshape(-1, *self.shape)


class ConvolutionalGenerator(nn.Module):
    """DCGAN's: transposed convolutions double the side and halve the width (Radford et al. 2016, arXiv:1511.06434)."""

    def __init__(self, preset: Preset, classes: int) -> None:
        super().__init__()
        self.condition = Condition(preset.latent, classes)
        doublings = int(math.log2(preset.side)) - 2
        widths = [preset.filters * 2**step for step in reversed(range(doublings))]
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(self.condition.size, widths[0], 4, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        ]
        for before, width in pairwise(widths):
            layers += [
                nn.ConvTranspose2d(before, width, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(widths[-1], preset.channels, 4, stride=2, padding=1))
        for layer in self.modules():
            if isinstance(layer, nn.ConvTranspose2d):
                nn.init.normal_(layer.weight, 0.0, 0.02)

    def forward(self, latents: Tensor, classes: Tensor) -> Tensor:
        return torch.tanh(self.layers(self.condition(latents, classes)[:, :, None, None]))


class ConditionalNorm(nn.Module):
    """A batch norm whose scale and shift follow from the condition (de Vries et al. 2017, arXiv:1707.00683)."""

    def __init__(self, width: int, condition: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(width, affine=False)
        self.gain = nn.Linear(condition, 2 * width)
        nn.init.normal_(self.gain.weight, 0.0, 0.02)
        nn.init.zeros_(self.gain.bias)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.gain(condition)[:, :, None, None].chunk(2, dim=1)
        changed: Tensor = self.norm(features) * (1 + scale) + shift
        return changed


class UpBlock(nn.Module):
    """Twice the side: nearest neighbour, then two convolutions, each with a norm and an activation."""

    def __init__(self, before: int, width: int, condition: int) -> None:
        super().__init__()
        self.widen = nn.Conv2d(before, width, 3, padding=1, bias=False)
        self.widen_norm = ConditionalNorm(width, condition)
        self.refine = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.refine_norm = ConditionalNorm(width, condition)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        features = functional.interpolate(features, scale_factor=2.0, mode="nearest")
        features = functional.silu(self.widen_norm(self.widen(features), condition))
        return functional.silu(self.refine_norm(self.refine(features), condition))


class SkipLayerExcitation(nn.Module):
    """Small features say which channels of much larger ones count (Liu et al. 2021, section 3.1)."""

    def __init__(self, small: int, large: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(4),
            nn.Conv2d(small, large, 4),
            nn.SiLU(),
            nn.Conv2d(large, large, 1),
            nn.Sigmoid(),
        )

    def forward(self, small: Tensor, large: Tensor) -> Tensor:
        gated: Tensor = large * self.gate(small)
        return gated


class SkipLayerGenerator(nn.Module):
    """After FastGAN (Liu et al. 2021, arXiv:2101.04775): from 4 by 4 up, gated by what was eight times smaller.

    It differs in that latent numbers and class scale and shift every norm, that no noise is added on the way, and that
    activations are SiLU, not gated linear units: at the same width a step takes half of the time on a CPU.
    """

    def __init__(self, preset: Preset, classes: int) -> None:
        super().__init__()
        self.condition = Condition(preset.latent, classes)
        size = self.condition.size
        sides = [2**step for step in range(3, int(math.log2(preset.side)) + 1)]
        # 16 times the filters at 4 by 4, half as many at each doubling.
        widths = {4: 16 * preset.filters, **{side: max(16, 64 * preset.filters // side) for side in sides}}
        self.first = nn.ConvTranspose2d(size, widths[4], 4, bias=False)
        self.first_norm = ConditionalNorm(widths[4], size)
        self.blocks = nn.ModuleDict({str(side): UpBlock(widths[side // 2], widths[side], size) for side in sides})
        self.gates = nn.ModuleDict(
            {str(side): SkipLayerExcitation(widths[side // 8], widths[side]) for side in sides if side >= 32}
        )
        self.to_pixels = nn.Conv2d(widths[preset.side], preset.channels, 3, padding=1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.orthogonal_(layer.weight)

    def forward(self, latents: Tensor, classes: Tensor) -> Tensor:
        condition = self.condition(latents, classes)
        features = functional.silu(self.first_norm(self.first(condition[:, :, None, None]), condition))
        seen = {"4": features}
        for side, block in self.blocks.items():
            features = block(features, condition)
            if side in self.gates:
                features = self.gates[side](seen[str(int(side) // 8)], features)
            seen[side] = features
        return torch.tanh(self.to_pixels(features))


def make_generator(preset: Preset, classes: int) -> nn.Module:
    """A fresh generator of ``classes`` classes, drawn by torch's current seed."""
    match preset.network:
        case "dense":
            return DenseGenerator(preset, classes)
        case "dcgan":
            return ConvolutionalGenerator(preset, classes)
        case "fastgan":
            return SkipLayerGenerator(preset, classes)
