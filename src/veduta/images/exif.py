"""The three facts that we take from EXIF: which side is up, when, and where."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from veduta.images.tiff import Directory, TiffReader

_ORIENTATION, _EXIF, _GPS = 0x0112, 0x8769, 0x8825
_TIME_ORIGINAL, _TIME_DIGITIZED = 0x9003, 0x9004
_OFFSET, _OFFSET_ORIGINAL, _OFFSET_DIGITIZED = 0x9010, 0x9011, 0x9012
_LATITUDE_SIDE, _LATITUDE, _LONGITUDE_SIDE, _LONGITUDE = 1, 2, 3, 4

_TIME = re.compile(r"(\d{4})[:\-](\d\d)[:\-](\d\d)[ T](\d\d):(\d\d):(\d\d)")
_ZONE = re.compile(r"[+-](?:0\d|1[0-4]):[0-5]\d")


@dataclass(frozen=True, slots=True)
class Exif:
    """``orientation`` is 1 to 8 as the standard numbers them; ``taken`` and ``position`` as in ``records.Facts``."""

    orientation: int = 1
    taken: str | None = None
    position: tuple[float, float] | None = None


def read_exif(block: bytes | None) -> Exif:
    """Read an EXIF block, with or without its ``Exif\\0\\0`` prefix. What can't be read is absent; never raises."""
    if not block:
        return Exif()
    reader = TiffReader.open(block.removeprefix(b"Exif\0\0"))
    if reader is None:
        return Exif()
    main, _ = reader.directory(reader.first)
    details, _ = reader.directory(reader.number(main, _EXIF, 0))
    places, _ = reader.directory(reader.number(main, _GPS, 0))
    return Exif(read_orientation(reader, main), read_time(reader, details), read_position(reader, places))


def read_orientation(reader: TiffReader, fields: Directory) -> int:
    """The orientation in a main directory, 1 where it is absent or out of range."""
    value = reader.number(fields, _ORIENTATION, 1)
    return value if 1 <= value <= 8 else 1


def read_time(reader: TiffReader, fields: Directory) -> str | None:
    """When the photo was taken, or else digitized, from an EXIF directory: ISO 8601, with a zone if one is given."""
    for tag, zone_tag in ((_TIME_ORIGINAL, _OFFSET_ORIGINAL), (_TIME_DIGITIZED, _OFFSET_DIGITIZED)):
        match = _TIME.match(reader.text(fields, tag))
        if match is None:
            continue
        try:
            moment = datetime(*(int(part) for part in match.groups()))  # type: ignore[arg-type]
        except ValueError:
            continue
        zone = reader.text(fields, zone_tag) or reader.text(fields, _OFFSET)
        return moment.isoformat() + (zone if _ZONE.fullmatch(zone) else "")
    return None


def read_position(reader: TiffReader, fields: Directory) -> tuple[float, float] | None:
    """(latitude, longitude) in degrees from a GPS directory, or None where any part is missing or out of range."""
    latitude = _degrees(reader.text(fields, _LATITUDE_SIDE), reader.rationals(fields, _LATITUDE), "NS", 90.0)
    longitude = _degrees(reader.text(fields, _LONGITUDE_SIDE), reader.rationals(fields, _LONGITUDE), "EW", 180.0)
    if latitude is None or longitude is None:
        return None
    # Cameras without a fix write zeros; nobody photographs that point of the Gulf of Guinea.
    return None if latitude == longitude == 0.0 else (latitude, longitude)


def _degrees(side: str, parts: tuple[float | None, ...], sides: str, most: float) -> float | None:
    side = side.upper()
    if len(parts) != 3 or side not in (sides[0], sides[1]):
        return None
    degrees, minutes, seconds = parts
    if degrees is None or minutes is None or seconds is None:
        return None
    if not (degrees >= 0 and 0 <= minutes <= 60 and 0 <= seconds <= 60):
        return None
    value = degrees + minutes / 60 + seconds / 3600
    if value > most:
        return None
    return round(value if side == sides[0] else -value, 7)
