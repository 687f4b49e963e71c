"""Bytes to upright sRGB, once, for everything that later steps want of the photo."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL
import simplejpeg
from blake3 import blake3
from numpy.typing import NDArray
from PIL import Image

from veduta.errors import (
    CorruptPhoto,
    PhotoError,
    PhotoNotFound,
    PhotoTooLarge,
    PhotoUnreadable,
    UnsupportedFormat,
    UsageError,
)
from veduta.images.colour import Colours, flatten
from veduta.images.exif import Exif, read_exif
from veduta.images.formats import RAW_FORMATS, SUPPORTED, describe_unsupported, sniff
from veduta.images.jpeg import JpegHeader, decode_jpeg, read_header
from veduta.images.limits import Limits, printable
from veduta.images.pillow import check_size, has_more_frames, open_still, quiet, said
from veduta.images.preprocess import Preprocessing, prepare
from veduta.images.raw import find_preview
from veduta.records import Box, Facts

#: Changes when the pixels of some photo may change; a ledger keeps it beside each answer.
DECODER_VERSION = f"1+pillow{PIL.__version__}+simplejpeg{simplejpeg.__version__}"

# A JPEG is shrunk on load to no less than this many times the target. Straight to the target cost 10 % of the top-1
# agreement with a full decode, twice the target 3 % (60 photos).
_MARGIN = 2.0
# Averaging whole pixels is a poorer filter than JPEG's, and saves less; it keeps twice that.
_REDUCE_MARGIN = 4.0

__all__ = ["DECODER_VERSION", "Limits", "Photo", "Thumbnail", "Wanted", "decode", "digest", "read_bytes"]

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small JPEG of the whole photo, for people: it fits into a square of ``side`` pixels and is never enlarged.

    It is cut from the pixels that the inputs need, so it asks for no more than its own side when the photo is shrunk
    on load. JPEG, because encoding it took 0.5 ms where WebP took 9 (320 pixels).
    """

    side: int
    quality: int = 80

    def __post_init__(self) -> None:
        if self.side < 1 or not 1 <= self.quality <= 100:
            raise UsageError(
                f"A thumbnail of side {self.side} and quality {self.quality} can't be made; "
                "the side must be at least 1, the quality 1 to 100."
            )


Wanted = Preprocessing | Thumbnail


@dataclass(frozen=True, slots=True)
class Photo:
    """A decoded photo: ``inputs`` and ``boxes`` have one entry for each ``Wanted``, in its order.

    An input is uint8 ``[height, width, 3]`` for a Preprocessing and an encoded JPEG for a Thumbnail; its box is what it
    shows of the upright photo. ``digest`` is ``digest(data)`` of the whole file.
    """

    facts: Facts
    digest: str
    inputs: tuple[NDArray[np.uint8] | bytes, ...]
    boxes: tuple[Box, ...]

    def pixels(self, index: int) -> NDArray[np.uint8]:
        """The input that was asked for by a Preprocessing, uint8 ``[height, width, 3]``."""
        found = self.inputs[index]
        assert isinstance(found, np.ndarray), "a thumbnail was asked for at this index"
        return found


@dataclass(frozen=True, slots=True)
class _Loaded:
    """Pixels in RGB, perhaps shrunk, not turned yet; what is still to do, and what the file told."""

    pixels: Image.Image
    colours: Colours
    stored_size: tuple[int, int]
    exif: Exif
    format: str
    marks: tuple[str, ...]


def digest(data: bytes) -> str:
    """The BLAKE3 of the content, 32 hexadecimal digits (128 bits)."""
    return blake3(data).hexdigest(length=16)


def read_bytes(path: str | os.PathLike[str], limits: Limits = Limits()) -> bytes:  # noqa: B008
    """The whole file. Raises PhotoNotFound, PhotoUnreadable, PhotoTooLarge."""
    name = printable(os.fspath(path))
    try:
        # A pipe or a device would block at opening, so it is asked first what it is.
        kind = Path(path).stat()
        if not stat.S_ISREG(kind.st_mode):
            raise PhotoUnreadable(f"{name} is {_not_a_file(path, kind)}; give a photo file.")
        _check_bytes(kind.st_size, limits, name)
        with Path(path).open("rb", buffering=0) as file:
            # One byte over what is expected, so that a file which grows meanwhile is noticed.
            data = file.read(kind.st_size + 1)
            while len(data) > kind.st_size and (more := file.read(2**20)):
                data += more
                _check_bytes(len(data), limits, name)
            return data
    except (FileNotFoundError, NotADirectoryError) as error:
        raise PhotoNotFound(f"{name} is not there; check the path, or whether its disk is still connected.") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise PhotoUnreadable(f"{name} can't be read ({reason}); check its permissions and its disk.") from error


def _not_a_file(path: str | os.PathLike[str], kind: os.stat_result) -> str:
    if not stat.S_ISDIR(kind.st_mode):
        return "not a regular file"
    return "a folder" if os.access(path, os.R_OK | os.X_OK) else "a folder that can't be listed"


def _check_bytes(count: int, limits: Limits, name: str) -> None:
    if count > limits.max_bytes:
        raise PhotoTooLarge(
            f"{name} is {count / 2**20:.0f} MB, over the limit of {limits.max_bytes / 2**20:.0f} MB; raise the limit."
        )


def decode(
    data: bytes,
    wanted: Sequence[Wanted],
    limits: Limits = Limits(),  # noqa: B008
    name: str = "photo",
) -> Photo:
    """Decode a photo once and give everything that is wanted of it.

    ``name`` stands in the sentences of errors. The size of what is wanted decides how far a JPEG is shrunk on load, to
    no less than twice the largest target. Raises UnsupportedFormat, CorruptPhoto, PhotoTooLarge, each with ``digest``.
    """
    content = digest(data)
    try:
        loaded = _load(data, wanted, limits, printable(name))
        return _finish(loaded, wanted, content)
    except PhotoError as error:
        error.digest = content
        raise
    except MemoryError as error:
        failure: PhotoError = PhotoTooLarge(
            f"{printable(name)} took more memory than there is; raise the limit of memory or shrink the photo."
        )
        failure.digest = content
        raise failure from error
    except Image.DecompressionBombError as error:
        failure = PhotoTooLarge(
            f"{printable(name)} has more pixels than Pillow decodes in its format; shrink the photo."
        )
        failure.digest = content
        raise failure from error
    except Exception as error:
        # Decoders answer hostile bytes with any exception at all, so here, and only here, all are one.
        failure = CorruptPhoto(f"{printable(name)} can't be decoded ({said(error)}); restore the file.")
        failure.digest = content
        raise failure from error


def _load(data: bytes, wanted: Sequence[Wanted], limits: Limits, name: str) -> _Loaded:
    _check_bytes(len(data), limits, name)
    if not data:
        raise CorruptPhoto(f"{name} is empty; restore the file.")
    kind = sniff(data)
    if kind is None:
        raise UnsupportedFormat(f"{name} seems to be {describe_unsupported(data)}; supported are {SUPPORTED}.")
    if kind in RAW_FORMATS:
        preview = find_preview(data, kind)
        if preview is None:
            raise UnsupportedFormat(f"{name} is a {kind} raw file without a JPEG preview in it; export it as JPEG.")
        return _load_jpeg(preview.jpeg, preview.header, preview.exif, wanted, limits, name=name, kind=kind)
    if kind == "JPEG":
        header = read_header(data)
        if header is None:
            raise CorruptPhoto(f"{name} begins as JPEG does but its header is broken or cut off; restore the file.")
        return _load_jpeg(data, header, read_exif(header.exif), wanted, limits, name=name, kind=kind)
    with quiet():
        return _load_still(data, kind, wanted, limits, name)


def _load_jpeg(
    data: bytes,
    header: JpegHeader,
    exif: Exif,
    wanted: Sequence[Wanted],
    limits: Limits,
    *,
    name: str,
    kind: str,
) -> _Loaded:
    size = header.width, header.height
    check_size(size, limits, name)
    factor = _greatest_factor(_upright(size, exif.orientation), wanted, _MARGIN)
    pixels, marks = decode_jpeg(data, header, factor, limits, name)
    if kind != "JPEG":
        marks = ("preview", *marks)
    colours = Colours(header.profile, pixels.mode)
    return _Loaded(colours.before_resize(pixels), colours, size, exif, kind, marks)


def _load_still(data: bytes, kind: str, wanted: Sequence[Wanted], limits: Limits, name: str) -> _Loaded:
    image = open_still(data, kind, limits, name)
    marks = ("first frame",) if has_more_frames(image, data, kind) else ()
    # Pillow turns a TIFF itself while loading, and pillow-heif a HEIC; both report the upright size.
    exif = read_exif(data if kind == "TIFF" else image.info.get("exif"))
    if kind in ("TIFF", "HEIC"):
        exif = Exif(1, exif.taken, exif.position)
    size = image.size
    factor = _greatest_factor(_upright(size, exif.orientation), wanted, _REDUCE_MARGIN)
    profile = image.info.get("icc_profile")
    image.load()
    pixels = flatten(image, max(1, int(factor)))
    colours = Colours(profile, pixels.mode)
    return _Loaded(colours.before_resize(pixels), colours, size, exif, kind, marks)


def _upright(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    return (size[1], size[0]) if orientation >= 5 else size


def _greatest_factor(full_size: tuple[int, int], wanted: Sequence[Wanted], margin: float) -> float:
    """How far the photo may be shrunk before anything that is wanted would suffer."""
    factors = [
        max(full_size) / one.side if isinstance(one, Thumbnail) else one.scale(full_size) / margin for one in wanted
    ]
    return min(factors, default=8.0)


def _finish(loaded: _Loaded, wanted: Sequence[Wanted], content: str) -> Photo:
    full_size = _upright(loaded.stored_size, loaded.exif.orientation)
    marks = (*loaded.marks, "colour profile ignored") if loaded.colours.ignored else loaded.marks
    facts = Facts(loaded.format, *full_size, loaded.exif.taken, loaded.exif.position, marks)
    turn = _TURNS.get(loaded.exif.orientation)
    upright = loaded.pixels if turn is None else loaded.pixels.transpose(turn)
    inputs: list[NDArray[np.uint8] | bytes] = []
    boxes: list[Box] = []
    for one in wanted:
        if isinstance(one, Thumbnail):
            inputs.append(_encode(upright, one, full_size, loaded.colours))
            boxes.append((0.0, 0.0, float(full_size[0]), float(full_size[1])))
            continue
        pixels, box = prepare(upright, one, full_size)
        if loaded.colours.pending:
            pixels = np.asarray(loaded.colours.after_resize(Image.fromarray(pixels)))
        inputs.append(pixels)
        boxes.append(box)
    return Photo(facts, content, tuple(inputs), tuple(boxes))


def _encode(upright: Image.Image, wanted: Thumbnail, full_size: tuple[int, int], colours: Colours) -> bytes:
    scale = min(1.0, wanted.side / max(full_size))
    width, height = (max(1, round(side * scale)) for side in full_size)
    # Reducing first is invisible at this margin and halves the time.
    small = upright.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0)
    pixels = np.ascontiguousarray(np.asarray(colours.after_resize(small)))
    encoded: bytes = simplejpeg.encode_jpeg(pixels, wanted.quality, "RGB", "420")
    return encoded
