"""Every format but JPEG, decoded by Pillow (HEIC by pillow-heif), with Pillow's global switches left alone."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import ImageFile

from veduta.errors import CorruptPhoto, PhotoTooLarge, UnsupportedFormat
from veduta.images.formats import webp_size
from veduta.images.limits import Limits, printable
from veduta.images.tiff import TiffReader

# Catching warnings changes a table of the whole process, so one thread at a time does it.
_warnings_lock = threading.RLock()

# What a pixel takes while it is decoded and brought to RGB: the decoder's buffer, the picture, and a converted copy.
_BYTES_PER_PIXEL = {"1": 5, "L": 2, "P": 5, "LA": 12, "RGBA": 12, "I;16": 8, "I": 12, "F": 12}
_BYTES_PER_OTHER_PIXEL = 8
# WebP and AVIF decoders keep a canvas of their own.
_OWN_CANVAS = {"WEBP": 8, "AVIF": 4, "HEIC": 4}


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Pillow's warnings about odd files to ourselves: what matters becomes an error or a mark."""
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def check_size(size: tuple[int, int], limits: Limits, name: str) -> None:
    """Raise PhotoTooLarge over the limit of pixels, CorruptPhoto where a side is none."""
    width, height = size
    if min(width, height) < 1:
        raise CorruptPhoto(
            f"{printable(name)} says that it is {width}×{height} pixels; the file is broken, restore it."
        )
    if width * height > limits.max_pixels:
        raise PhotoTooLarge(
            f"{printable(name)} is {width}×{height} pixels, over the limit of {limits.max_pixels / 1e6:.0f} million; "
            "raise the limit or shrink the photo."
        )


def open_still(data: bytes, kind: str, limits: Limits, name: str) -> ImageFile.ImageFile:
    """Open a file of the given kind (``formats.sniff``) without decoding its pixels, checked against the limits.

    Raises UnsupportedFormat, CorruptPhoto, PhotoTooLarge; what Pillow raises else is the caller's to translate.
    """
    if kind == "WEBP":
        size = webp_size(data)
        if size is None:
            raise CorruptPhoto(f"{printable(name)} begins as WebP does but holds no picture; restore the file.")
        check_size(size, limits, name)
    plugin = _plugin(kind, name)
    try:
        image = plugin(io.BytesIO(data))
    except SyntaxError as error:
        raise CorruptPhoto(
            f"{printable(name)} begins as {kind} does but can't be read ({said(error)}); restore the file."
        ) from error
    check_size(image.size, limits, name)
    per_pixel = _BYTES_PER_PIXEL.get(image.mode, _BYTES_PER_OTHER_PIXEL) + _OWN_CANVAS.get(kind, 0)
    needed = image.width * image.height * per_pixel
    if needed > limits.max_memory:
        raise PhotoTooLarge(
            f"{printable(name)} would take {needed / 2**20:.0f} MB to decode, over the limit of "
            f"{limits.max_memory / 2**20:.0f} MB; raise the limit or shrink the photo."
        )
    return image


def has_more_frames(image: ImageFile.ImageFile, data: bytes, kind: str) -> bool:
    """Whether the file holds more than the frame that is shown, told without walking through all of them."""
    if kind == "TIFF":
        reader = TiffReader.open(data)
        return reader is not None and reader.has_more_pages()
    if kind == "HEIC":
        return False
    return bool(getattr(image, "is_animated", False))


def _plugin(kind: str, name: str) -> type[ImageFile.ImageFile]:
    """Pillow's class for one kind. Naming it keeps out every other format, and Pillow's own size warning."""
    match kind:
        case "PNG":
            from PIL.PngImagePlugin import PngImageFile as Plugin
        case "WEBP":
            from PIL.WebPImagePlugin import WebPImageFile as Plugin  # type: ignore[assignment]
        case "GIF":
            from PIL.GifImagePlugin import GifImageFile as Plugin  # type: ignore[assignment]
        case "BMP":
            from PIL.BmpImagePlugin import BmpImageFile as Plugin  # type: ignore[assignment]
        case "TIFF":
            from PIL.TiffImagePlugin import TiffImageFile as Plugin  # type: ignore[assignment]
        case "AVIF":
            from PIL.AvifImagePlugin import AvifImageFile as Plugin  # type: ignore[assignment]
        case _:
            return _heif_plugin(name)
    return Plugin


def _heif_plugin(name: str) -> type[ImageFile.ImageFile]:
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise UnsupportedFormat(
            f'{printable(name)} is a HEIC photo, which needs an extra; install it with: pip install "veduta[heic]".'
        ) from error
    plugin: type[ImageFile.ImageFile] = HeifImageFile
    return plugin


def said(error: BaseException) -> str:
    """What a library said, on one short line, or the name of its exception."""
    text = printable(" ".join(str(error).split()))
    return text[:120] or type(error).__name__
