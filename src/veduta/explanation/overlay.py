"""A heat map as colour over a photo.

The colours rise evenly in lightness from violet over red to pale yellow, so that they read in grey and to most
colour-blind eyes as well; where the map is low the photo shows through untouched.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from veduta.errors import UsageError

#: Position in the map and sRGB colour there; between them the colours are interpolated.
_ANCHORS: tuple[tuple[float, tuple[int, int, int]], ...] = (
    (0.00, (46, 12, 88)),
    (0.20, (98, 20, 120)),
    (0.40, (166, 34, 110)),
    (0.58, (218, 62, 74)),
    (0.75, (246, 118, 34)),
    (0.90, (252, 190, 46)),
    (1.00, (255, 246, 164)),
)
#: Below the first value the colour is not there at all, from the second on it has its full opacity.
_FADE = (0.22, 0.62)
_LAYER_SIDE = 96


def resized(values: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """A map ``[h', w']`` in [0, 1] as ``[height, width]`` for ``size`` (width, height), by bicubic interpolation."""
    image = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32)).resize(size, Image.Resampling.BICUBIC)
    return np.clip(np.asarray(image, dtype=np.float32), 0.0, 1.0)


def heat_layer(values: NDArray[np.float32], size: tuple[int, int], opacity: float = 0.5) -> Image.Image:
    """The map alone, RGBA of ``size`` (width, height), to be laid over the photo.

    ``values`` is ``[h', w']`` in [0, 1]; ``opacity`` in [0, 1] is that of the hottest place.
    Raises ``UsageError`` for an opacity out of range.
    """
    if not 0.0 <= opacity <= 1.0:
        raise UsageError(f"opacity {opacity}: must be from 0 (photo only) to 1 (colour only).")
    fine = resized(values, size)
    ramp = np.clip((fine - _FADE[0]) / (_FADE[1] - _FADE[0]), 0.0, 1.0)
    alpha = opacity * ramp * ramp * (3.0 - 2.0 * ramp)
    layer = np.dstack([_COLOURS[np.rint(fine * 255).astype(np.uint8)], np.rint(alpha * 255).astype(np.uint8)])
    return Image.fromarray(layer)


def overlay(photo: Image.Image, values: NDArray[np.float32], opacity: float = 0.5) -> Image.Image:
    """The photo with its map over it: RGB of the photo's size. Raises ``UsageError`` for an opacity out of range."""
    base = photo.convert("RGBA")
    return Image.alpha_composite(base, heat_layer(values, photo.size, opacity)).convert("RGB")


def layer_bytes(values: NDArray[np.float32], size: tuple[int, int], opacity: float = 0.75) -> bytes:
    """The map alone as a small WebP with transparency, of the aspect of ``size`` (width, height).

    A report lays it over the thumbnail, and the browser scales it smoothly; it takes about a kilobyte.
    Raises ``UsageError`` for an opacity out of range.
    """
    scale = min(1.0, _LAYER_SIDE / max(size))
    small = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
    buffer = io.BytesIO()
    # Method 0 takes a fifth of the time of the default.
    heat_layer(values, small, opacity).save(buffer, "WEBP", quality=60, method=0)
    return buffer.getvalue()


def _colours() -> NDArray[np.uint8]:
    positions = [position for position, _ in _ANCHORS]
    channels = np.array([colour for _, colour in _ANCHORS], dtype=np.float64).T
    ramp = np.linspace(0.0, 1.0, 256)
    return np.stack([np.interp(ramp, positions, channel) for channel in channels], axis=1).round().astype(np.uint8)


_COLOURS = _colours()
