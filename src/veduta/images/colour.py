"""Any mode that a decoder gives, and any colour profile, to 8-bit sRGB."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsTransform

# A printing press's profile takes 2 MB, a camera's some KB.
MAX_PROFILE_BYTES = 4 * 2**20

_PROFILE_SPACES = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}
_WHITE = 255


def flatten(image: Image.Image, reduce_by: int = 1) -> Image.Image:
    """To RGB, L, CMYK or LAB of 8 bits, transparency laid over white, shrunk by a whole factor on the way.

    White is what browsers and viewers show behind a transparent picture. 16-bit grey keeps its whole range.
    """
    mode = image.mode
    if "transparency" in image.info and mode in ("1", "L", "P", "RGB"):
        image = image.convert("RGBA")
    elif mode in ("LA", "PA", "La"):
        image = image.convert("RGBA" if mode == "PA" else "LA")
    elif mode == "P":
        image = image.convert("RGB")
    elif mode == "1":
        image = image.convert("L")
    elif mode.startswith("I") or mode == "F":
        image = _to_eight_bits(image)
    elif mode in ("YCbCr", "HSV", "RGBX"):
        image = image.convert("RGB")
    if image.mode in ("LA", "RGBA", "RGBa"):
        return _over_white(image, reduce_by)
    return image if reduce_by == 1 else image.reduce(reduce_by)


def _over_white(image: Image.Image, reduce_by: int) -> Image.Image:
    opaque = "L" if image.mode == "LA" else "RGB"
    if image.mode != "RGBa" and image.getchannel("A").getextrema() == (_WHITE, _WHITE):
        image = image.convert(opaque)
        return image if reduce_by == 1 else image.reduce(reduce_by)
    if reduce_by > 1:
        # Averaged with premultiplied colours, or the invisible colours of transparent pixels would bleed in.
        premultiplied = "La" if image.mode == "LA" else "RGBa"
        image = image.convert(premultiplied).reduce(reduce_by)
    if image.mode in ("La", "RGBa"):
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    backdrop = Image.new(opaque, image.size, "white")
    backdrop.paste(image.convert(opaque), mask=image.getchannel("A"))
    return backdrop


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Integers and floats to L: scaled to the range that the file can mean, never clipped."""
    values = np.asarray(image)
    if values.dtype.kind == "f":
        values = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if low >= 0 and values.dtype.kind == "f" and high <= 1:
        high = 1.0
    elif low >= 0:
        # Sensors of 12 and 14 bits are kept in 16; the smallest such range that holds the values is meant.
        ranges: tuple[float, ...] = (255.0,) if values.dtype.kind == "f" else (4095.0, 16383.0, 65535.0)
        if image.format == "PNG":
            ranges = (65535.0,)
        low, high = 0.0, next((most for most in ranges if high <= most), high)
    scaled = (values.astype(np.float32) - low) * (255.0 / max(high - low, 1e-30))
    return Image.fromarray(np.clip(scaled + 0.5, 0, 255).astype(np.uint8))


class Colours:
    """The conversion of one photo's colours to sRGB: ``profile`` is what the file embeds, or None."""

    def __init__(self, profile: bytes | None, mode: str) -> None:
        self.ignored = False
        self._transform: ImageCmsTransform | None = None
        if profile is None and mode != "LAB":
            return
        try:
            self._transform = _transform(profile or b"", mode)
        except Exception:
            # LittleCMS has many ways to refuse a broken profile, and each means the same: the colours stay as they are.
            self.ignored = True

    def before_resize(self, image: Image.Image) -> Image.Image:
        """Give RGB; by the profile where the pixels are not RGB yet."""
        if image.mode == "RGB":
            return image
        if self._transform is None:
            return image.convert("RGB")
        return self._apply(image)

    @property
    def pending(self) -> bool:
        """Whether RGB pixels still need ``after_resize``."""
        return self._transform is not None and self._transform.input_mode == "RGB"

    def after_resize(self, image: Image.Image) -> Image.Image:
        """Apply a profile of RGB pixels: at the end, because there are fewest of them then."""
        return self._apply(image) if self.pending else image

    def _apply(self, image: Image.Image) -> Image.Image:
        assert self._transform is not None
        converted = self._transform.apply(image)
        converted.info.clear()
        return converted


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCmsTransform | None:
    """The transform to sRGB, or None where the profile says that it is sRGB. A library has few profiles."""
    from PIL import ImageCms

    target = ImageCms.createProfile("sRGB")
    if mode == "LAB":
        return ImageCms.buildTransform(ImageCms.createProfile("LAB"), target, "LAB", "RGB")
    if len(profile) > MAX_PROFILE_BYTES:
        raise ValueError("the profile is over the limit of bytes")
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    if source.profile.xcolor_space.strip() != _PROFILE_SPACES.get(mode):
        raise ValueError("the profile is for other colours than the pixels'")
    if mode == "RGB" and (source.profile.profile_description or "").startswith("sRGB"):
        return None
    return ImageCms.buildTransform(source, target, mode, "RGB")
