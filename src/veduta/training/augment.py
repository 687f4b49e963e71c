"""Random changes to training photos, each from its own seed.

The seed of a photo is (seed, epoch, index), that of a batch's mixture (seed, epoch, step): the same photo in the same
epoch is always changed in the same way, however many workers or processes there are and wherever a killed run went on.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from veduta.errors import TrainingError
from veduta.images.preprocess import FILTERS
from veduta.training.people import People

# How much red, green and blue weigh in the brightness of a colour (ITU-R 601, as in Pillow's conversion to grey).
_GREY = np.array([0.299, 0.587, 0.114])

#: Degrees; a photo that is sheared further shows nothing.
STEEPEST = 60

#: What may be asked for by name, see ``with_changes``.
CHANGES = ("crop", "flip", "jitter", "rotation", "shift", "zoom", "shear", "brightness", "mixup", "cutmix")

# The seed of a mixture must not be that of a photo.
_MIXTURE = 1


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far a training photo may be changed; 0 or False leaves a step out.

    ``min_area``: the smallest part of the photo that a random crop keeps. ``max_aspect``: the crop's longest side over
    its shortest, ``filter`` what resizes it. ``jitter``: brightness, contrast and saturation vary by 1 ± this.
    ``brightness``: so does brightness once more, ``sharpness``: so does sharpness (0 is blurred, 2 sharpened). ``grey``
    and ``erase`` are probabilities: of losing all colour, and of a rectangle of noise over 2 to 33 % of the photo
    (Zhong et al. 2020, "Random Erasing").

    Before the crop the photo may be moved as a whole; what then is outside of it has its mean colour. ``rotation`` and
    ``shear``: degrees to either side, the shear along rows. ``shift``: the share of its width and of its height, to
    either side. ``zoom``: things get larger or smaller by a factor of up to 1 + this.

    ``degrade`` and ``people`` are probabilities: of losing pixels and being compressed as JPEG, so that a sharp photo
    and a blurred one are of the same place; and of a person standing before it (``people``; whoever trains gives them).

    ``mixup`` and ``cutmix`` are the parameter α of Beta(α, α), from which the share of a photo that stays is drawn: the
    rest is another photo of the batch, blended in (Zhang et al. 2018, "mixup") or as a rectangle (Yun et al. 2019,
    "CutMix"). With both, each has half the batches; ``mix_share`` is the share of batches that are mixed at all.
    """

    min_area: float = 0.5
    max_aspect: float = 4 / 3
    filter: str = "bicubic"
    jitter: float = 0.2
    flip: bool = True
    sharpness: float = 0.0
    rotation: float = 0.0
    grey: float = 0.0
    erase: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    mix_share: float = 1.0
    brightness: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0
    shear: float = 0.0
    degrade: float = 0.0
    people: float = 0.0

    def __post_init__(self) -> None:
        for name in ("min_area", "grey", "erase", "mix_share", "shift", "zoom", "degrade", "people"):
            if not 0 <= getattr(self, name) <= 1:
                raise TrainingError(f"the augmentation's {name} is {getattr(self, name):g}; it must be from 0 to 1.")
        for name in ("jitter", "brightness", "sharpness", "mixup", "cutmix"):
            if not 0 <= getattr(self, name) < math.inf:
                raise TrainingError(f"the augmentation's {name} is {getattr(self, name):g}; it must be 0 or more.")
        for name, most in (("rotation", 180), ("shear", STEEPEST)):
            if not 0 <= getattr(self, name) <= most:
                raise TrainingError(
                    f"the augmentation's {name} is {getattr(self, name):g}; it must be from 0 to {most} degrees."
                )
        if self.filter not in FILTERS:
            raise TrainingError(f"the augmentation's filter {self.filter!r} is not known; give {', '.join(FILTERS)}.")
        if not self.min_area > 0 or not 1 <= self.max_aspect < math.inf:
            raise TrainingError(
                f"min_area {self.min_area:g} must be above 0 and max_aspect {self.max_aspect:g} at least 1."
            )

    @property
    def moves(self) -> bool:
        """Whether a photo is moved as a whole before its crop."""
        return bool(self.rotation or self.shift or self.zoom or self.shear)


def with_changes(usual: Augmentation, asked: Mapping[str, Any]) -> Augmentation:
    """``usual`` with the changes that are asked for by name, those of ``CHANGES``.

    ``crop`` is the smallest part of a photo that a random crop keeps; at 1 all of a square photo is kept, as it is.
    Raises TrainingError for impossible values.
    """
    named = {name: value for name, value in asked.items() if name != "crop"}
    if "crop" in asked:
        named |= {"min_area": asked["crop"], "max_aspect": 1.0 if asked["crop"] == 1 else usual.max_aspect}
    return replace(usual, **named)


def augment(
    pixels: NDArray[np.uint8],
    side: int,
    how: Augmentation,
    seed: tuple[int, int, int],
    people: People | None = None,
) -> NDArray[np.uint8]:
    """Random resized crop (Szegedy et al. 2015) and what ``how`` allows: uint8 ``[h, w, 3]`` to ``[side, side, 3]``."""
    random = np.random.default_rng(seed)
    image = Image.fromarray(pixels)
    if how.people and people is not None and random.random() < how.people:
        image = people.paste(image, random)
    if how.moves:
        fill = tuple(int(level) for level in pixels[::8, ::8].mean((0, 1)))
        map_back = _movement(image.size, how, random)
        image = image.transform(image.size, Image.Transform.AFFINE, map_back, Image.Resampling.BILINEAR, fillcolor=fill)
    image = image.resize((side, side), FILTERS[how.filter], box=_random_box(image.size, how, random))
    if how.flip and random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if how.jitter or how.brightness or how.grey:
        image = _recolour(image, how, random)
    if how.sharpness:
        image = ImageEnhance.Sharpness(image).enhance(max(0.0, 1 + random.uniform(-how.sharpness, how.sharpness)))
    if how.degrade and random.random() < how.degrade:
        image = _degrade(image, random)
    changed = np.array(image)
    if how.erase and random.random() < how.erase:
        _erase(changed, random)
    return changed


def _movement(
    size: tuple[int, int], how: Augmentation, random: np.random.Generator
) -> tuple[float, float, float, float, float, float]:
    """The affine map (a, b, c, d, e, f) from a place in the moved photo to (a x + b y + c, d x + e y + f) in the photo.

    About its middle the photo is sheared and turned, then zoomed and shifted. Only what ``how`` asks for is drawn, and
    turning alone is what Pillow's ``rotate`` does, to the last bit.
    """
    width, height = size
    turn = -math.radians(random.uniform(-how.rotation, how.rotation) % 360.0) if how.rotation else 0.0
    right, down = random.uniform(-how.shift, how.shift, 2) * size if how.shift else (0.0, 0.0)
    larger = (1 + how.zoom) ** random.uniform(-1, 1) if how.zoom else 1.0
    slant = math.tan(math.radians(random.uniform(-how.shear, how.shear))) if how.shear else 0.0
    cosine, sine = round(math.cos(turn), 15), round(math.sin(turn), 15)
    a, b = (cosine + slant * sine) / larger, (sine - slant * cosine) / larger
    d, e = -sine / larger, cosine / larger
    x, y = -width / 2.0 - right, -height / 2.0 - down
    return a, b, a * x + b * y + width / 2.0, d, e, d * x + e * y + height / 2.0


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


def _recolour(image: Image.Image, how: Augmentation, random: np.random.Generator) -> Image.Image:
    """Saturation, contrast and brightness as one affine map of the colours: one pass, and nothing is clipped between.

    With grey g(x), mean grey m: x becomes b (c (s x + (1 - s) g(x)) + (1 - c) m).
    """
    brightness, contrast, saturation = 1 + random.uniform(-how.jitter, how.jitter, 3)
    if how.grey and random.random() < how.grey:
        saturation = 0.0
    if how.brightness:
        brightness *= max(0.0, 1 + random.uniform(-how.brightness, how.brightness))
    mean = _GREY @ np.array(image.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0)))
    matrix = np.empty((3, 4))
    matrix[:, :3] = brightness * contrast * (saturation * np.eye(3) + (1 - saturation) * _GREY)
    matrix[:, 3] = brightness * (1 - contrast) * mean
    return image.convert("RGB", tuple(matrix.ravel().tolist()))


def _degrade(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """Shrunk to a third or more of its side and back, compressed, or both."""
    side = image.width
    if random.random() < 0.6:
        smaller = max(1, round(side * random.uniform(0.35, 0.9)))
        image = image.resize((smaller, smaller), Image.Resampling.BILINEAR)
    if random.random() < 0.7:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=int(random.integers(25, 91)))
        image = Image.open(file).convert("RGB")
    return image if image.width == side else image.resize((side, side), Image.Resampling.BILINEAR)


def _erase(pixels: NDArray[np.uint8], random: np.random.Generator) -> None:
    side = len(pixels)
    area, aspect = side * side * random.uniform(0.02, 0.33), math.exp(random.uniform(-math.log(3.3), math.log(3.3)))
    height, width = (min(side, max(1, round(math.sqrt(part)))) for part in (area * aspect, area / aspect))
    top, left = (int(random.integers(0, side - length + 1)) for length in (height, width))
    pixels[top : top + height, left : left + width] = random.integers(0, 256, (height, width, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class Mixture:
    """How the photos of one batch are mixed, each with its neighbour: 0 with 1, 2 with 3, and so on.

    ``kept`` float32 ``[n]`` is the share of each photo that stays its own. ``boxes`` int64 ``[n, 4]`` (left, top,
    right, bottom) are the rectangles that show the neighbour; without them the neighbour is blended in.
    """

    kept: NDArray[np.float32]
    boxes: NDArray[np.int64] | None

    def part(self, first: int, last: int) -> Mixture:
        """The mixture of the photos from ``first`` up to ``last``, both even, so that neighbours stay together."""
        return Mixture(self.kept[first:last], None if self.boxes is None else self.boxes[first:last])


def draw_mixture(how: Augmentation, size: int, side: int, seed: tuple[int, int, int]) -> Mixture | None:
    """How a batch of ``size`` photos of ``side`` pixels is mixed, from (seed, epoch, step); None for not at all.

    The draw is for the whole batch of all processes; each takes its part.
    """
    if not how.mixup and not how.cutmix:
        return None
    random = np.random.default_rng((*seed, _MIXTURE))
    if random.random() >= how.mix_share:
        return None
    cut = bool(how.cutmix) and (not how.mixup or random.random() < 0.5)
    alpha = how.cutmix if cut else how.mixup
    kept = random.beta(alpha, alpha, size).astype(np.float32)
    # The last of an odd number has no neighbour.
    alone = slice(size - size % 2, None)
    if not cut:
        kept[alone] = 1
        return Mixture(kept, None)
    half = side * np.sqrt(1 - kept) / 2
    centres = random.uniform(0, side, (2, size))
    low, high = (np.clip(np.rint(centres + sign * half), 0, side).astype(np.int64) for sign in (-1, 1))
    boxes = np.stack([low[0], low[1], high[0], high[1]], axis=1)
    boxes[alone] = 0
    # Clipped at the edges, a rectangle is smaller than was drawn: the targets follow what is seen.
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return Mixture((1 - areas / side**2).astype(np.float32), boxes)
