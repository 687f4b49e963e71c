"""How a photo becomes the input of a graph: one function, used by training, tagging, explaining and evaluation."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from veduta.errors import UsageError
from veduta.records import Box

Fit = Literal["crop", "stretch"]

#: Sides of an input that can be asked for.
SMALLEST_SIDE, LARGEST_SIDE = 32, 1024

FILTERS: dict[str, Image.Resampling] = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """The resize and crop of a graph's input.

    ``crop``: the short side becomes ``short_side`` and the middle of the one size in ``sizes`` is cut out.
    ``stretch``: the whole photo is resized to that size of ``sizes`` (height, width) whose aspect is nearest, so that
    nothing at the edges is lost; heat maps use it.

    Raises UsageError for a fit or filter that is not known, or sizes that can't be cut from such a resize.
    """

    fit: Fit
    sizes: tuple[tuple[int, int], ...]
    filter: str = "bicubic"
    short_side: int = 0

    def __post_init__(self) -> None:
        if self.fit not in ("crop", "stretch"):
            raise UsageError(f"The fit {self.fit!r} is not known; it must be 'crop' or 'stretch'.")
        if self.filter not in FILTERS:
            raise UsageError(f"The filter {self.filter!r} is not known; it must be one of {', '.join(FILTERS)}.")
        if not self.sizes or min(min(size) for size in self.sizes) < 1:
            raise UsageError(f"The sizes {self.sizes} must be one or more pairs (height, width) of at least 1 pixel.")
        if self.fit == "crop" and (len(self.sizes) != 1 or self.short_side < max(self.sizes[0])):
            raise UsageError(
                f"A crop needs one size and a short side of at least its longer side, but got the sizes {self.sizes} "
                f"and the short side {self.short_side}."
            )

    @classmethod
    def squeezed(cls, side: int, filter: str = "bilinear") -> Preprocessing:
        """The whole photo as a square of ``side`` pixels."""
        return cls("stretch", ((side, side),), filter)

    @property
    def side(self) -> int:
        """The side, in pixels, below which shrinking on load would lose what this input needs."""
        return max(self.short_side, *(max(size) for size in self.sizes))

    def resized(self, side: int) -> Preprocessing:
        """The same resize and crop for an input whose shorter side is ``side`` pixels, all in proportion.

        Raises UsageError for a side that no network here can take.
        """
        if not SMALLEST_SIDE <= side <= LARGEST_SIDE:
            raise UsageError(
                f"The size {side} is not possible; give a side from {SMALLEST_SIDE} to {LARGEST_SIDE} pixels."
            )
        now = min(self.sizes[0])
        return replace(
            self,
            sizes=tuple((round(height * side / now), round(width * side / now)) for height, width in self.sizes),
            short_side=round(self.short_side * side / now),
        )

    def scale(self, full_size: tuple[int, int]) -> float:
        """How many pixels of an upright photo of ``full_size`` (width, height) make one of the input, at the least."""
        if self.fit == "crop":
            return min(full_size) / self.short_side
        height, width = _choose_size(full_size, self)
        return min(full_size[0] / width, full_size[1] / height)


def prepare(pixels: Image.Image, wanted: Preprocessing, full_size: tuple[int, int]) -> tuple[NDArray[np.uint8], Box]:
    """Resize and crop an upright RGB image.

    ``pixels`` may have been shrunk on load; ``full_size`` is (width, height) before that.
    Returns uint8 ``[height, width, 3]`` and the box of ``full_size`` that it shows.
    """
    height, width = _choose_size(full_size, wanted)
    if wanted.fit == "stretch":
        source: tuple[float, float, float, float] = (0.0, 0.0, float(pixels.width), float(pixels.height))
    else:
        # Cutting the source box in the one resize touches only the pixels that stay.
        scale = min(pixels.size) / wanted.short_side
        crop_width, crop_height = min(width * scale, pixels.width), min(height * scale, pixels.height)
        left, top = (pixels.width - crop_width) / 2, (pixels.height - crop_height) / 2
        source = (left, top, left + crop_width, top + crop_height)
    resized = pixels.resize((width, height), FILTERS[wanted.filter], box=source)
    across, down = full_size[0] / pixels.width, full_size[1] / pixels.height
    box = (source[0] * across, source[1] * down, source[2] * across, source[3] * down)
    return np.asarray(resized), box


def _choose_size(full_size: tuple[int, int], wanted: Preprocessing) -> tuple[int, int]:
    """The size (height, width) whose aspect is nearest; by the full size, which shrinking does not round."""
    if len(wanted.sizes) == 1:
        return wanted.sizes[0]
    aspect = math.log(full_size[0] / full_size[1])
    return min(wanted.sizes, key=lambda size: abs(math.log(size[1] / size[0]) - aspect))
