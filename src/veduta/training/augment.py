"""Random changes to training photos. The seed of each is (seed, epoch, index): the same photo in the same epoch is
always changed in the same way, however many workers there are and wherever a killed run went on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from torch import Tensor
from torch.utils.data import Dataset

from veduta.datasets.folders import LabelledPhotos


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far a training photo may be changed.

    ``min_area``: the smallest part of the photo that a random crop keeps. ``max_aspect``: its longest side over its
    shortest. ``jitter``: brightness, contrast and saturation vary by 1 ± this.
    """

    min_area: float = 0.5
    max_aspect: float = 4 / 3
    jitter: float = 0.2
    flip: bool = True


def augment(pixels: NDArray[np.uint8], side: int, how: Augmentation, seed: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Random resized crop (Szegedy et al. 2015), flip and colour jitter: uint8 ``[h, w, 3]`` to ``[side, side, 3]``."""
    random = np.random.default_rng(seed)
    image = Image.fromarray(pixels)
    image = image.resize((side, side), Image.Resampling.BICUBIC, box=_random_box(image.size, how, random))
    if how.flip and random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if how.jitter:
        for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            image = enhance(image).enhance(1 + random.uniform(-how.jitter, how.jitter))
    return np.asarray(image)


def _random_box(
    size: tuple[int, int], how: Augmentation, random: np.random.Generator
) -> tuple[float, float, float, float]:
    width, height = size
    area = width * height * random.uniform(how.min_area, 1.0)
    aspect = math.exp(random.uniform(-math.log(how.max_aspect), math.log(how.max_aspect)))
    crop_width = min(width, math.sqrt(area * aspect))
    crop_height = min(height, math.sqrt(area / aspect))
    left, top = random.uniform(0, width - crop_width), random.uniform(0, height - crop_height)
    return left, top, left + crop_width, top + crop_height


class AugmentedPhotos(Dataset[tuple[Tensor, int]]):
    """One epoch's view of the training photos: uint8 ``[side, side, 3]`` and the target."""

    def __init__(self, photos: LabelledPhotos, side: int, how: Augmentation, seed: int, epoch: int) -> None:
        self.photos, self.side, self.how, self.seed, self.epoch = photos, side, how, seed, epoch

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        pixels = augment(self.photos.pixels[index], self.side, self.how, (self.seed, self.epoch, index))
        return torch.from_numpy(pixels.copy()), int(self.photos.targets[index])
