"""Photos that are wrong on purpose, in ways that a parser meets: their structure is kept, and a part of it lies.

Lengths, counts and offsets are changed to what hurts most; checksums and outer sizes are repaired afterwards, so that
the lie is met where it is and not at the door.
"""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator

from PIL import Image

Mutate = Callable[[bytes, random.Random], bytes]

_NUMBERS_16 = (0, 1, 2, 3, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF)
_NUMBERS_32 = (0, 1, 2, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF, 0x10000, 0x01000000)


def mutations(photos: dict[str, bytes], count: int, seed: int = 1) -> Iterator[tuple[str, bytes]]:
    """``count`` wrong photos, made of the right ones in turn, each with what it is."""
    chance = random.Random(seed)
    kinds = list(photos.items())
    for number in range(count):
        kind, data = kinds[number % len(kinds)]
        mutate = _MUTATES.get(kind, _bytes)
        wrong = data
        for _ in range(chance.choice((1, 1, 2, 5))):
            wrong = mutate(wrong, chance)
        if chance.random() < 0.15:
            wrong = wrong[: chance.randrange(len(wrong) + 1)]
        yield f"{number}-{kind}", wrong or b"\0"


def right_photos(image: Image.Image) -> dict[str, bytes]:
    """One photo of each kind, small, with metadata where the kind has any."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "a camera"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 12.0), 3: "E", 4: (11.0, 34.0, 30.0)})

    def encoded(kind: str, picture: Image.Image = image, **options: object) -> bytes:
        file = io.BytesIO()
        picture.save(file, kind, **options)
        return file.getvalue()

    return {
        "jpeg": encoded("JPEG", exif=exif.tobytes(), quality=80),
        "jpeg-progressive": encoded("JPEG", progressive=True),
        "png": encoded("PNG", exif=exif.tobytes()),
        "png-palette": encoded("PNG", image.quantize(16)),
        "webp": encoded("WEBP", exif=exif.tobytes()),
        "webp-lossless": encoded("WEBP", lossless=True),
        "gif": encoded("GIF", image.quantize(32)),
        "bmp": encoded("BMP"),
        "tiff": encoded("TIFF"),
        "tiff-lzw": encoded("TIFF", compression="tiff_lzw"),
        "tiff-jpeg": encoded("TIFF", compression="jpeg"),
        "avif": encoded("AVIF"),
    }


def _jpeg(data: bytes, chance: random.Random) -> bytes:
    """A segment's length or content, or its place among the others."""
    segments, rest = _segments(data)
    if not segments:
        return _bytes(data, chance)
    at = chance.randrange(len(segments))
    marker, body = segments[at]
    match chance.randrange(6):
        case 0:
            length = chance.choice(_NUMBERS_16)
            broken = bytes([0xFF, marker]) + struct.pack(">H", length) + body
            return _joined(segments[:at]) + broken + _joined(segments[at + 1 :], start=False) + rest
        case 1:
            segments[at] = (marker, _bytes(body, chance) if body else b"")
        case 2:
            segments.insert(chance.randrange(len(segments) + 1), segments[at])
        case 3:
            del segments[at]
        case 4:
            segments[at] = (chance.choice((0xC0, 0xC2, 0xC4, 0xDA, 0xDB, 0xDD, 0xE1, 0xE2, 0xFE)), body)
        case _:
            rest = _bytes(rest, chance) if rest else rest
    return _joined(segments) + rest


def _segments(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    found: list[tuple[int, bytes]] = []
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xFF:
        (length,) = struct.unpack_from(">H", data, at + 2)
        if length < 2 or at + 2 + length > len(data):
            break
        found.append((data[at + 1], data[at + 4 : at + 2 + length]))
        at += 2 + length
        if found[-1][0] == 0xDA:
            break
    return found, data[at:]


def _joined(segments: list[tuple[int, bytes]], start: bool = True) -> bytes:
    return (b"\xff\xd8" if start else b"") + b"".join(
        bytes([0xFF, marker]) + struct.pack(">H", min(0xFFFF, len(body) + 2)) + body for marker, body in segments
    )


def _png(data: bytes, chance: random.Random) -> bytes:
    """A chunk's content with its checksum repaired, its length, its place, or a field of the header."""
    chunks = _chunks(data)
    if not chunks:
        return _bytes(data, chance)
    at = chance.randrange(len(chunks))
    kind, body = chunks[at]
    match chance.randrange(6):
        case 0 if body:
            chunks[at] = (kind, _bytes(body, chance))
        case 1:
            chunks.insert(chance.randrange(len(chunks) + 1), chunks[at])
        case 2:
            del chunks[at]
        case 3:
            chunks[at] = (bytes(chance.choice(b"ABCacdeIDATEXPLTRNSiCP") for _ in range(4)), body)
        case 4 if kind == b"IDAT":
            # What is unpacked is wrong, and the packing is right.
            try:
                rows = bytearray(zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT")))
            except zlib.error:
                return _bytes(data, chance)
            for _ in range(10):
                rows[chance.randrange(len(rows))] = chance.randrange(256)
            chunks[at] = (kind, zlib.compress(bytes(rows[: chance.randrange(1, len(rows) + 1)])))
        case _:
            header = bytearray(chunks[0][1].ljust(13, b"\0"))
            place = chance.choice((0, 4))
            struct.pack_into(">I", header, place, chance.choice((*_NUMBERS_32, 50_000)))
            if chance.random() < 0.5:
                header[chance.choice((8, 9, 10, 11, 12))] = chance.randrange(256)
            chunks[0] = (chunks[0][0], bytes(header[:13]))
    packed = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return data[:8] + packed


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = []
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if at + 12 + length > len(data):
            break
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def _riff(data: bytes, chance: random.Random) -> bytes:
    """A chunk of a WebP, with the outer size repaired."""
    chunks: list[tuple[bytes, bytes]] = []
    at = 12
    while at + 8 <= len(data):
        (length,) = struct.unpack_from("<I", data, at + 4)
        body = data[at + 8 : at + 8 + length]
        chunks.append((data[at : at + 4], body))
        at += 8 + length + length % 2
    if not chunks:
        return _bytes(data, chance)
    at = chance.randrange(len(chunks))
    kind, body = chunks[at]
    lied = len(body)
    match chance.randrange(4):
        case 0 if body:
            chunks[at] = (kind, _bytes(body, chance))
        case 1:
            chunks.insert(chance.randrange(len(chunks) + 1), chunks[at])
        case 2:
            chunks[at] = (chance.choice((b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"EXIF", b"ICCP")), body)
        case _:
            lied = chance.choice(_NUMBERS_32)
    packed = b""
    for place, (kind, body) in enumerate(chunks):
        length = lied if place == at and lied != len(body) else len(body)
        packed += kind + struct.pack("<I", length & 0xFFFFFFFF) + body + b"\0" * (len(body) % 2)
    return b"RIFF" + struct.pack("<I", len(packed) + 4) + b"WEBP" + packed


def _tiff(data: bytes, chance: random.Random) -> bytes:
    """A field of a directory: its tag, type, count, or the value that is often an offset."""
    if len(data) < 8:
        return _bytes(data, chance)
    order = "<" if data[:2] == b"II" else ">"
    wrong = bytearray(data)
    (at,) = struct.unpack_from(order + "I", data, 4)
    if at + 2 > len(data):
        return _bytes(data, chance)
    (count,) = struct.unpack_from(order + "H", data, at)
    field = at + 2 + 12 * chance.randrange(max(1, count))
    if field + 12 > len(data):
        return _bytes(data, chance)
    match chance.randrange(6):
        case 0:
            struct.pack_into(
                order + "H", wrong, field, chance.choice((256, 257, 258, 259, 262, 273, 277, 279, 324, 330))
            )
        case 1:
            struct.pack_into(order + "H", wrong, field + 2, chance.choice((0, 1, 2, 3, 4, 5, 7, 12, 16, 99)))
        case 2:
            struct.pack_into(order + "I", wrong, field + 4, chance.choice(_NUMBERS_32))
        case 3:
            struct.pack_into(order + "I", wrong, field + 8, chance.choice((*_NUMBERS_32, at, 8, len(data) - 1)))
        case 4:
            struct.pack_into(order + "H", wrong, at, chance.choice(_NUMBERS_16))
        case _:
            struct.pack_into(order + "I", wrong, 4, chance.choice((0, 4, 8, at - 2 if at > 2 else at, len(data))))
    return bytes(wrong)


def _boxes(data: bytes, chance: random.Random) -> bytes:
    """A size or a kind of a box of an AVIF."""
    wrong, places, at = bytearray(data), [], 0
    while at + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        places.append(at)
        inner = at + (12 if data[at + 4 : at + 8] == b"meta" else 8)
        at = inner if data[at + 4 : at + 8] in (b"meta", b"iprp", b"ipco", b"iinf") else at + max(8, length)
    place = chance.choice(places or [0])
    if chance.random() < 0.5 and place + 4 <= len(wrong):
        struct.pack_into(">I", wrong, place, chance.choice((*_NUMBERS_32, 7, 8, 9)))
        return bytes(wrong)
    end = min(len(data), place + 64)
    return data[:place] + _bytes(data[place:end], chance) + data[end:]


def _head(data: bytes, chance: random.Random) -> bytes:
    """Numbers of the first bytes, where GIF and BMP have their sizes and offsets."""
    wrong = bytearray(data)
    at = chance.randrange(2, min(54, len(wrong) - 4))
    if chance.random() < 0.5:
        struct.pack_into("<H", wrong, at, chance.choice(_NUMBERS_16))
    else:
        struct.pack_into("<I", wrong, at, chance.choice(_NUMBERS_32))
    return bytes(wrong)


def _bytes(data: bytes, chance: random.Random) -> bytes:
    """A few bytes anywhere: changed, put in, taken out."""
    wrong = bytearray(data)
    for _ in range(chance.choice((1, 2, 8))):
        at = chance.randrange(len(wrong)) if wrong else 0
        match chance.randrange(4):
            case 0 if wrong:
                wrong[at] ^= 1 << chance.randrange(8)
            case 1 if wrong:
                wrong[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF))
            case 2:
                wrong[at:at] = bytes(chance.randrange(256) for _ in range(chance.choice((1, 4, 64))))
            case _:
                del wrong[at : at + chance.choice((1, 4, 64))]
    return bytes(wrong)


_MUTATES: dict[str, Mutate] = {
    "jpeg": _jpeg,
    "jpeg-progressive": _jpeg,
    "png": _png,
    "png-palette": _png,
    "webp": _riff,
    "webp-lossless": _riff,
    "gif": _head,
    "bmp": _head,
    "tiff": _tiff,
    "tiff-lzw": _tiff,
    "tiff-jpeg": _tiff,
    "avif": _boxes,
}
