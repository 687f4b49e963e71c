"""Differentiable augmentation: what the discriminator sees is changed, real and generated pictures alike.

A discriminator that sees few photos soon knows them by heart. Changing photos alone would teach the generator to make
changed ones; changing what it makes as well, with gradients that pass, does not (Zhao et al. 2020, arXiv:2006.10738).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from veduta.generation.presets import Change

# As in the paper: an eighth of the side to each direction, a square of half of the side.
_SHIFT, _CUT = 1 / 8, 1 / 2


def diff_augment(pictures: Tensor, changes: Sequence[Change], draws: torch.Generator) -> Tensor:
    """Pictures float ``[n, channels, side, side]`` from -1 to 1, each changed in its own way as ``draws`` say."""
    for change in changes:
        match change:
            case "colour":
                pictures = _colour(pictures, draws)
            case "translation":
                pictures = _translate(pictures, draws)
            case "cutout":
                pictures = _cut_out(pictures, draws)
    return pictures


def _colour(pictures: Tensor, draws: torch.Generator) -> Tensor:
    """Brightness by up to 0.5 of the range -1 to 1, saturation to 0 to 2 times, contrast to 0.5 to 1.5 times."""
    brightness, saturation, contrast = (_each(pictures, draws) for _ in range(3))
    pictures = pictures + (brightness - 0.5)
    grey = pictures.mean(dim=1, keepdim=True)
    pictures = (pictures - grey) * (2 * saturation) + grey
    mean = pictures.mean(dim=(1, 2, 3), keepdim=True)
    return (pictures - mean) * (contrast + 0.5) + mean


def _translate(pictures: Tensor, draws: torch.Generator) -> Tensor:
    """Moved by whole pixels; what was outside is grey."""
    side = pictures.shape[2]
    most = round(side * _SHIFT)
    padded = functional.pad(pictures, (most, most, most, most))
    down, right = torch.randint(0, 2 * most + 1, (2, len(pictures)), generator=draws).tolist()
    moved = [
        picture[:, top : top + side, left : left + side] for picture, top, left in zip(padded, down, right, strict=True)
    ]
    return torch.stack(moved).contiguous(memory_format=torch.channels_last)


def _cut_out(pictures: Tensor, draws: torch.Generator) -> Tensor:
    """A grey square somewhere, which may hang over the edge."""
    side = pictures.shape[2]
    half = round(side * _CUT) / 2
    middles = torch.rand((2, len(pictures), 1), generator=draws) * side
    places = torch.arange(side) + 0.5
    rows, columns = ((places - middle).abs() < half for middle in middles)
    kept = ~(rows[:, None, :, None] & columns[:, None, None, :])
    return pictures.mul(kept.to(pictures))


def _each(pictures: Tensor, draws: torch.Generator) -> Tensor:
    """A number from 0 to 1 for each picture, ``[n, 1, 1, 1]``."""
    return torch.rand((len(pictures), 1, 1, 1), generator=draws).to(pictures)
