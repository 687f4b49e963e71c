"""What a file is, told from its first bytes alone; its name and extension have no say."""

from __future__ import annotations

import struct

from veduta.images.tiff import TiffReader

SUPPORTED = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, HEIC (extra heic), CR2, CR3, NEF, ARW and DNG"

RAW_FORMATS = frozenset({"CR2", "CR3", "NEF", "ARW", "DNG"})

_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"})

_MAKE, _PHOTOMETRIC, _DNG_VERSION = 0x010F, 0x0106, 0xC612
_COLOUR_FILTER_ARRAY = 32803

_PLAIN = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
)
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_MARKUP = (
    (b"<svg", "an SVG drawing"),
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<?xml", "an XML document"),
)

# What people drop into photo folders, by the bytes that it begins with; only to say so in a sentence.
_KNOWN_BUT_REFUSED: tuple[tuple[bytes, str], ...] = (
    (b"%!PS", "an EPS or PostScript drawing"),
    (b"\xc5\xd0\xd3\xc6", "an EPS drawing"),
    (b"\0\0\1\0", "a Windows icon"),
    (b"\0\0\2\0", "a Windows cursor"),
    (b"BA", "an OS/2 bitmap array"),
    (b"%PDF", "a PDF document"),
    (b"8BPS", "a Photoshop document"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (b"FUJIFILMCCD-RAW", "a Fujifilm raw file"),
    (b"IIRO", "an Olympus raw file"),
    (b"IIU\0", "a Panasonic raw file"),
    (b"PK\3\4", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"#?RADIANCE", "a Radiance HDR picture"),
    (b"v/1\1", "an OpenEXR picture"),
)


def sniff(data: bytes) -> str | None:
    """The format's name, one of those in ``SUPPORTED``, or None."""
    for magic, name in _PLAIN:
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith(_TIFF):
        return _tiff_kind(data)
    return _iso_media_kind(data) if data[4:8] == b"ftyp" else None


def describe_unsupported(data: bytes) -> str:
    """What a file outside the allow-list seems to be, in a few words."""
    for magic, name in _KNOWN_BUT_REFUSED:
        if data.startswith(magic):
            return name
    if data[4:8] == b"ftyp":
        return "a video or another ISO media file"
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for word, name in _MARKUP:
        if word in start:
            return name
    is_text = bool(data) and all(byte >= 32 or byte in b"\t\n\f\r\x1b" for byte in data[:1024])
    return "text" if is_text else "of an unknown format"


def webp_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) of a WebP canvas. Its decoder allocates the canvas when it opens, so this is read before."""
    chunk = data[12:16]
    if chunk == b"VP8X" and len(data) >= 30:
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if chunk == b"VP8 " and len(data) >= 30 and data[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if chunk == b"VP8L" and len(data) >= 25 and data[20] == 0x2F:
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1
    return None


def _tiff_kind(data: bytes) -> str:
    """A camera raw file of TIFF structure has sensor data in some directory; a plain TIFF has none."""
    if data[8:10] == b"CR":
        return "CR2"
    reader = TiffReader.open(data)
    if reader is None:
        return "TIFF"
    main, _ = reader.directory(reader.first)
    if _DNG_VERSION in main:
        return "DNG"
    if not any(reader.number(one, _PHOTOMETRIC, -1) == _COLOUR_FILTER_ARRAY for one in reader.directories()):
        return "TIFF"
    make = reader.text(main, _MAKE).upper()
    if make.startswith("NIKON"):
        return "NEF"
    return "ARW" if make.startswith("SONY") else "DNG"


def _iso_media_kind(data: bytes) -> str | None:
    (length,) = struct.unpack_from(">I", data, 0)
    brands = [data[8:12], *(data[at : at + 4] for at in range(16, min(length, 256, len(data)), 4))]
    if brands[0] == b"crx ":
        return "CR3"
    if _AVIF_BRANDS.intersection(brands):
        return "AVIF"
    return "HEIC" if _HEIC_BRANDS.intersection(brands) else None
