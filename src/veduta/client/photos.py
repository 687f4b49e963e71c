"""A photo in any of the forms in which a user has it, as the bytes of a file to send."""

from __future__ import annotations

import io
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Union

from veduta.client.values import one_line
from veduta.errors import CorruptPhoto, PhotoNotFound, PhotoTooLarge, PhotoUnreadable, UsageError

if TYPE_CHECKING:
    from PIL import Image

#: What a photo may be given as: a file's path, the bytes of a file, or an image in memory.
Photo: TypeAlias = Union[str, os.PathLike[str], bytes, "Image.Image"]

#: As a local decoder's limit; a server takes less (20 MB, unless its owner allows more) and says so itself.
MOST_BYTES = 256 * 2**20
# Lossless as long as even noise stays below a server's 20 MB: five million pixels of three bytes.
_MOST_LOSSLESS = 5_000_000
_MOST_SIDE = 65_000  # of a JPEG


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to send, under the name that the answer will tell; never its folder, which is nobody's business there."""

    name: str
    content: bytes = field(repr=False)


def upload(photo: Photo, unnamed: str = "photo") -> Upload:
    """The file to send; ``unnamed`` is what a photo without a file is called.

    An image in memory is sent upright and in RGB, as a local tagger sees it, without its metadata: as PNG, or from five
    million pixels as JPEG of quality 95 without colour subsampling.
    Raises PhotoNotFound, PhotoUnreadable, PhotoTooLarge, CorruptPhoto, UsageError.
    """
    if isinstance(photo, bytes):
        return Upload(unnamed, photo)
    if isinstance(photo, str | os.PathLike):
        path = Path(photo)
        if str(photo).lower().startswith(("http://", "https://")):
            raise UsageError(
                f"{one_line(str(photo))} is an address, not a file: give it as url=, then the server fetches it."
            )
        return Upload(_sendable(path.name), _contents(path))
    from PIL import Image

    if not isinstance(photo, Image.Image):
        raise UsageError(
            f"A photo can't be a {type(photo).__name__}: give a path, the bytes of a file, or a PIL image."
        )
    return Upload(unnamed, _encoded(photo))


def shown_name(photo: object, place: int) -> str:
    """What a photo is called in a list of results: its path, or its place in the list, counted from 1."""
    return os.fspath(photo) if isinstance(photo, str | os.PathLike) else f"photo {place}"


def _sendable(name: str) -> str:
    # Bytes of a file name that are no UTF-8 stand in Python as lone surrogates, which can't be sent.
    return one_line(name.encode("utf-8", "replace").decode("utf-8"), 200) or "photo"


def _contents(path: Path) -> bytes:
    name = one_line(str(path))
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise PhotoUnreadable(f"{name}: is no file (a folder or a device), so no photo; name a file.")
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise PhotoNotFound(f"{name}: no such file; check the path.") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise PhotoUnreadable(f"{name}: can't be read ({reason}); check the path and its permissions.") from error
    if len(content) > MOST_BYTES:
        raise PhotoTooLarge(f"{name}: has more than {MOST_BYTES:,} bytes, which no photo may have; make it smaller.")
    return content


def _encoded(image: Image.Image) -> bytes:
    from PIL import ImageOps

    if min(image.size) < 1 or max(image.size) > _MOST_SIDE:
        width, height = image.size
        raise UsageError(
            f"An image of {width:,} by {height:,} pixels can't be sent: give sides of 1 to {_MOST_SIDE:,}."
        )
    file = io.BytesIO()
    try:
        upright = ImageOps.exif_transpose(image).convert("RGB")
        # A colour profile would be applied there and is not here, where a tagger sees the same image.
        upright.info.clear()
        if upright.width * upright.height <= _MOST_LOSSLESS:
            upright.save(file, "PNG", compress_level=1)
        else:
            upright.save(file, "JPEG", quality=95, subsampling=0)
    except (OSError, ValueError, SyntaxError) as error:  # a lazily opened file is only read now
        raise CorruptPhoto(
            f"The image can't be read to be sent ({one_line(str(error), 200)}): open its file again."
        ) from error
    return file.getvalue()
