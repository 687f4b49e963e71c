"""Differentiable augmentation: what the discriminator sees is changed, real and generated pictures alike.

A discriminator that sees few photos soon knows them by heart. Changing photos alone would teach the generator to make
changed ones; changing what it makes as well, with gradients that pass, does not (Zhao et al. 2020, arXiv:2006.10738).
How many pictures are changed may follow from how well it knows the photos (Karras et al. 2020, arXiv:2006.06676).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from veduta.generation.presets import Change

# As in the paper: an eighth of the side to each direction, a square of half of the side.
_SHIFT, _CUT = 1 / 8, 1 / 2
# Photos until all are changed that were not at all, at the earliest.
_PHOTOS_TO_ALL = 100_000


def diff_augment(
    pictures: Tensor, changes: Sequence[Change], draws: torch.Generator, probability: float = 1.0
) -> Tensor:
    """Pictures float ``[n, channels, side, side]`` from -1 to 1, each changed in its own way as ``draws`` say.

    Each of the ``changes`` comes to a picture with ``probability``.
    """
    for change in changes if probability > 0 else ():
        match change:
            case "colour":
                changed = _colour(pictures, draws)
            case "translation":
                changed = _translate(pictures, draws)
            case "cutout":
                changed = _cut_out(pictures, draws)
        pictures = changed if probability >= 1 else torch.where(_each(pictures, draws) < probability, changed, pictures)
    return pictures


def next_probability(probability: float, real_right: float, above: float | None, photos: int) -> float:
    """That of a change after a batch of ``photos``, of which the discriminator called the share ``real_right`` real.

    It rises where that share is ``above`` what it should be, else it falls; without such a limit it stays.
    """
    if above is None:
        return probability
    step = photos / _PHOTOS_TO_ALL
    return min(1.0, max(0.0, probability + (step if real_right > above else -step)))


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
