"""The frames between a pool and its decoding processes: a JSON header, then the bytes of the inputs as they are.

    frame = length of header (u32), length of payload (u64), header, payload

No pickle: a decoder that a hostile photo has taken over can send wrong pixels and nothing worse.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from veduta.errors import (
    CorruptPhoto,
    PhotoError,
    PhotoNotFound,
    PhotoTooLarge,
    PhotoUnreadable,
    UnsupportedFormat,
)
from veduta.images.decode import Photo, Thumbnail, Wanted
from veduta.images.preprocess import Preprocessing
from veduta.records import Facts

PREFIX = struct.Struct("<IQ")
MAX_HEADER = 2**20
_MAX_ENCODED = 2**26

_ERRORS: dict[str, type[PhotoError]] = {
    one.__name__: one
    for one in (PhotoError, PhotoNotFound, PhotoUnreadable, UnsupportedFormat, CorruptPhoto, PhotoTooLarge)
}

Part = NDArray[np.uint8] | bytes


class BrokenFrame(Exception):
    """The other side has ended, or sent what is not a frame; the pool takes it for the death of the process."""


def encode_wanted(wanted: Sequence[Wanted]) -> list[dict[str, Any]]:
    """What is wanted, for a request."""
    return [
        {"side": one.side, "quality": one.quality}
        if isinstance(one, Thumbnail)
        else {"fit": one.fit, "sizes": one.sizes, "filter": one.filter, "short_side": one.short_side}
        for one in wanted
    ]


def decode_wanted(parts: list[dict[str, Any]]) -> tuple[Wanted, ...]:
    """What is wanted, from a request."""
    return tuple(
        Thumbnail(part["side"], part["quality"])
        if "side" in part
        else Preprocessing(
            part["fit"], tuple((height, width) for height, width in part["sizes"]), part["filter"], part["short_side"]
        )
        for part in parts
    )


def request(path: str, wanted: Sequence[Wanted], data: bytes | None = None) -> list[bytes]:
    """The frame that asks for one photo, in pieces; ``data`` is its content where it lies in no file."""
    header = json.dumps({"path": path, "wanted": encode_wanted(wanted), "inline": data is not None}).encode("ascii")
    return [PREFIX.pack(len(header), len(data or b"")) + header, *([data] if data else [])]


def answer(photo: Photo) -> list[bytes | memoryview]:
    """The frame of a decoded photo, in pieces that are sent one after the other."""
    facts = photo.facts
    header = json.dumps(
        {
            "facts": [facts.format, facts.width, facts.height, facts.taken, facts.position, facts.marks],
            "digest": photo.digest,
            "parts": [one.shape if isinstance(one, np.ndarray) else len(one) for one in photo.inputs],
            "boxes": photo.boxes,
        }
    ).encode("ascii")
    payload = [one if isinstance(one, bytes) else np.ascontiguousarray(one).data.cast("B") for one in photo.inputs]
    return [PREFIX.pack(len(header), sum(len(piece) for piece in payload)) + header, *payload]


def refusal(error: PhotoError) -> list[bytes | memoryview]:
    """The frame of a photo that can't be decoded."""
    name = type(error).__name__ if type(error).__name__ in _ERRORS else "PhotoError"
    header = json.dumps({"error": name, "message": str(error), "digest": error.digest}).encode("ascii")
    return [PREFIX.pack(len(header), 0) + header]


def read_header(stream: BinaryIO) -> tuple[dict[str, Any], int]:
    """The next header and the length of its payload. Raises BrokenFrame."""
    prefix = bytearray(PREFIX.size)
    read_exactly(stream, memoryview(prefix))
    header_length, payload_length = PREFIX.unpack(prefix)
    if header_length > MAX_HEADER:
        raise BrokenFrame("a header over the limit")
    text = bytearray(header_length)
    read_exactly(stream, memoryview(text))
    try:
        header = json.loads(text)
    except ValueError as error:
        raise BrokenFrame("a header that is not JSON") from error
    if not isinstance(header, dict):
        raise BrokenFrame("a header that is not an object")
    return header, payload_length


def read_photo(stream: BinaryIO, wanted: Sequence[Wanted]) -> Photo | PhotoError:
    """The next answer, or the error that was sent instead. Raises BrokenFrame."""
    header, payload_length = read_header(stream)
    try:
        if "error" in header:
            error = _ERRORS[header["error"]](str(header["message"]))
            error.digest = header["digest"]
            return error
        parts = [_room_for(part, one) for part, one in zip(header["parts"], wanted, strict=True)]
        if sum(part.nbytes for part in parts) != payload_length:
            raise BrokenFrame("a payload of another length than its header says")
        name, width, height, taken, position, marks = header["facts"]
        facts = Facts(name, width, height, taken, None if position is None else tuple(position), tuple(marks))
        boxes = tuple((left, top, right, bottom) for left, top, right, bottom in header["boxes"])
    except (KeyError, TypeError, ValueError) as error:
        raise BrokenFrame("a header without what an answer needs") from error
    for part in parts:
        read_exactly(stream, part.data.cast("B"))
    inputs = tuple(
        part.tobytes() if isinstance(one, Thumbnail) else part for part, one in zip(parts, wanted, strict=True)
    )
    return Photo(facts, header["digest"], inputs, boxes)


def read_exactly(stream: BinaryIO, room: memoryview) -> None:
    """Fill ``room`` from an unbuffered stream. Raises BrokenFrame where it ends before."""
    at = 0
    while at < len(room):
        count = stream.readinto(room[at:])  # type: ignore[attr-defined]
        if not count:
            raise BrokenFrame("the stream has ended")
        at += count


def _room_for(part: Any, wanted: Wanted) -> NDArray[np.uint8]:
    """An empty array for one input; the sizes come from what was asked, not from what the other side claims."""
    if isinstance(wanted, Thumbnail):
        if not (isinstance(part, int) and 0 < part <= _MAX_ENCODED):
            raise BrokenFrame("a thumbnail over the limit")
        return np.empty(part, np.uint8)
    height, width, channels = part
    if (height, width) not in wanted.sizes or channels != 3:
        raise BrokenFrame("an input of a size that was not asked for")
    return np.empty((height, width, 3), np.uint8)
