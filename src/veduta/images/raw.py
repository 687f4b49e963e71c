"""Camera raw files: the largest JPEG preview that the camera put inside, found under limits; no sensor data is read."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from veduta.images.exif import Exif, read_exif, read_orientation, read_position, read_time
from veduta.images.jpeg import JpegHeader, read_header
from veduta.images.tiff import TiffReader

MAX_BOXES = 500
MAX_DEPTH = 8

_JPEG_OFFSET, _JPEG_LENGTH = 0x0201, 0x0202
_STRIP_OFFSETS, _STRIP_LENGTHS, _COMPRESSION = 0x0111, 0x0117, 0x0103
_JPEG_COMPRESSIONS = (6, 7)

_CANON_UUID = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
_PREVIEW_UUID = bytes.fromhex("eaf42b5e1c984b88b9fbb7dc406e4d16")
_CONTAINERS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl"})


@dataclass(frozen=True, slots=True)
class Preview:
    """The JPEG, its header, and the facts that the raw file around it tells."""

    jpeg: bytes
    header: JpegHeader
    exif: Exif


def find_preview(data: bytes, kind: str) -> Preview | None:
    """The preview with the most pixels in a raw file of the kind that ``formats.sniff`` gave; None without one."""
    spans, exif = _search_boxes(data) if kind == "CR3" else _search_directories(data)
    best: tuple[int, bytes, JpegHeader] | None = None
    for start, end in spans:
        if not (0 < start < end <= len(data) and data[start : start + 3] == b"\xff\xd8\xff"):
            continue
        jpeg = data[start:end]
        header = read_header(jpeg)
        # Sensor data is JPEG too, but lossless; that is no picture.
        if header is None or not header.lossy:
            continue
        pixels = header.width * header.height
        if best is None or pixels > best[0]:
            best = pixels, jpeg, header
    if best is None:
        return None
    return Preview(best[1], best[2], exif if exif is not None else read_exif(best[2].exif))


def _search_directories(data: bytes) -> tuple[list[tuple[int, int]], Exif | None]:
    """Where JPEG data may lie in a raw file of TIFF structure, as (start, end)."""
    reader = TiffReader.open(data)
    if reader is None:
        return [], None
    spans = []
    for fields in reader.directories():
        start = reader.number(fields, _JPEG_OFFSET, 0)
        if start:
            spans.append((start, start + reader.number(fields, _JPEG_LENGTH, 0)))
        strips = reader.numbers(fields, _STRIP_OFFSETS, 2)
        if len(strips) == 1 and reader.number(fields, _COMPRESSION, 0) in _JPEG_COMPRESSIONS:
            spans.append((strips[0], strips[0] + reader.number(fields, _STRIP_LENGTHS, 0)))
    return spans, read_exif(data)


def _search_boxes(data: bytes) -> tuple[list[tuple[int, int]], Exif | None]:
    """Where JPEG data may lie in a CR3, which is boxes of ISO/IEC 14496-12, and the facts in its ``CMT`` boxes."""
    spans: list[tuple[int, int]] = []
    facts: dict[bytes, bytes] = {}
    chunks: list[int] = []
    sizes: list[int] = []
    for kind, start, end in _boxes(data):
        if kind in (b"CMT1", b"CMT2", b"CMT4"):
            facts.setdefault(kind, data[start:end])
        elif kind in (b"PRVW", b"THMB"):
            jpeg = data.find(b"\xff\xd8\xff", start, min(end, start + 64))
            spans.append((jpeg, end))
        elif kind == b"stsz" and end - start >= 12:
            (same,) = struct.unpack_from(">I", data, start + 4)
            # One size for all samples, or a table of them.
            sizes.append(struct.unpack_from(">I", data, start + 12)[0] if not same and end - start >= 16 else same)
        elif kind in (b"stco", b"co64") and end - start >= 16:
            chunks.append(struct.unpack_from(">Q" if kind == b"co64" else ">I", data, start + 8)[0])
    # Each track has one table of sizes and one of places, in the same order.
    spans.extend((place, place + size) for place, size in zip(chunks, sizes, strict=False))
    return spans, _facts_of_boxes(facts)


def _facts_of_boxes(boxes: dict[bytes, bytes]) -> Exif | None:
    main, details, places = (TiffReader.open(boxes.get(kind, b"")) for kind in (b"CMT1", b"CMT2", b"CMT4"))
    if main is None:
        return None
    return Exif(
        read_orientation(main, main.directory(main.first)[0]),
        read_time(details, details.directory(details.first)[0]) if details else None,
        read_position(places, places.directory(places.first)[0]) if places else None,
    )


def _boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Each box's kind and the (start, end) of its content, containers entered, at most ``MAX_BOXES`` of them."""
    pending = [(0, len(data), 0)]
    seen = 0
    while pending:
        at, limit, depth = pending.pop()
        while at + 8 <= limit and seen < MAX_BOXES:
            seen += 1
            length, kind = struct.unpack_from(">I4s", data, at)
            start = at + 8
            if length == 1 and at + 16 <= limit:
                (length,) = struct.unpack_from(">Q", data, at + 8)
                start = at + 16
            end = limit if length == 0 else at + length
            if end < start or end > limit:
                break
            if kind == b"uuid":
                inside = _inside_uuid(data, start, end)
                if inside is not None and depth < MAX_DEPTH:
                    pending.append((inside, end, depth + 1))
            elif kind in _CONTAINERS and depth < MAX_DEPTH:
                pending.append((start, end, depth + 1))
            else:
                yield kind, start, end
            at = end


def _inside_uuid(data: bytes, start: int, end: int) -> int | None:
    """Where the boxes within one of Canon's own boxes begin; None for anybody else's."""
    name = data[start : min(start + 16, end)]
    if name == _CANON_UUID:
        return start + 16
    # The preview's box has eight bytes of its own before the boxes in it.
    return start + 24 if name == _PREVIEW_UUID else None
