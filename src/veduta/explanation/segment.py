"""The region of a photo that a map marks, and pictures of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from veduta.errors import UsageError
from veduta.explanation.overlay import resized

#: Two fifths of the map's range.
THRESHOLD = 0.4

_CONTOUR = (255, 214, 66)
_OUTSIDE_LIGHT, _OUTSIDE_COLOUR = 0.42, 0.35


def region(values: NDArray[np.float32], size: tuple[int, int], threshold: float = THRESHOLD) -> NDArray[np.bool_]:
    """Where the map is at least ``threshold``: bool ``[height, width]`` for ``size`` (width, height).

    Raises ``UsageError`` for a threshold out of [0, 1].
    """
    if not 0.0 <= threshold <= 1.0:
        raise UsageError(f"threshold {threshold}: must be from 0 (the whole photo) to 1 (the hottest point).")
    return resized(values, size) >= threshold


def segmentation(photo: Image.Image, inside: NDArray[np.bool_]) -> Image.Image:
    """The photo with what is outside the region dimmed and greyed, and a line around the region: RGB.

    ``inside`` is bool ``[height, width]`` of the photo's size.
    """
    pixels = np.asarray(photo.convert("RGB"), dtype=np.float32)
    grey = pixels @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    dimmed = _OUTSIDE_LIGHT * (grey[..., None] + _OUTSIDE_COLOUR * (pixels - grey[..., None]))
    picture = np.where(inside[..., None], pixels, dimmed)
    picture = np.where(_contour(inside)[..., None], np.array(_CONTOUR, dtype=np.float32), picture)
    return Image.fromarray(np.rint(picture).astype(np.uint8))


def side_by_side(pictures: Sequence[Image.Image], background: tuple[int, int, int] = (255, 255, 255)) -> Image.Image:
    """Pictures of one height in a row with a narrow gap: RGB."""
    gap = max(4, round(pictures[0].height / 60))
    width = sum(picture.width for picture in pictures) + gap * (len(pictures) - 1)
    row = Image.new("RGB", (width, max(picture.height for picture in pictures)), background)
    left = 0
    for picture in pictures:
        row.paste(picture, (left, 0))
        left += picture.width + gap
    return row


def _contour(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The inner edge of the region; the border of the photo is no edge."""
    thickness = max(1, round(max(inside.shape) / 400))
    padded = np.pad(inside, thickness, mode="edge").astype(np.uint8) * 255
    eroded = Image.fromarray(padded).filter(ImageFilter.MinFilter(2 * thickness + 1))
    inner = np.asarray(eroded)[thickness:-thickness, thickness:-thickness] > 0
    return inside & ~inner
