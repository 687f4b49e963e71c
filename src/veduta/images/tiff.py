"""Reads TIFF directories, in which EXIF and camera raw files keep their facts, and trusts none of their numbers."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

# A camera writes below a hundred entries into a directory; a directory can say 65,535.
MAX_ENTRIES = 1_000
# A raw file has three to eight directories; loops are caught apart from this.
MAX_DIRECTORIES = 32

_FORMATS = {1: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I"}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_NEW_SUBFILE_TYPE = 0x00FE
_SUB_DIRECTORIES = 0x014A


@dataclass(frozen=True, slots=True)
class Field:
    """One entry of a directory: its type, its count, and where in the data its values begin."""

    kind: int
    count: int
    offset: int


Directory = dict[int, Field]


class TiffReader:
    """The directories of TIFF-structured bytes; whatever points outside the data is as if it were not there."""

    def __init__(self, data: bytes, order: str, first: int) -> None:
        self.data = data
        self.order = order
        self.first = first

    @classmethod
    def open(cls, data: bytes) -> TiffReader | None:
        """A reader, or None where the data does not begin as TIFF does."""
        order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
        if order is None or len(data) < 8:
            return None
        return cls(data, order, struct.unpack_from(order + "I", data, 4)[0])

    def directory(self, offset: int) -> tuple[Directory, int]:
        """The fields of the directory at ``offset`` by tag, and the offset of the next directory (0: none)."""
        fields: Directory = {}
        if not 8 <= offset <= len(self.data) - 2:
            return fields, 0
        (count,) = struct.unpack_from(self.order + "H", self.data, offset)
        for index in range(min(count, MAX_ENTRIES)):
            at = offset + 2 + 12 * index
            if at + 12 > len(self.data):
                return fields, 0
            tag, kind, number, value = struct.unpack_from(self.order + "HHII", self.data, at)
            size = _SIZES.get(kind, 0) * number
            start = at + 8 if size <= 4 else value
            if size and start + size <= len(self.data):
                fields[tag] = Field(kind, number, start)
        end = offset + 2 + 12 * count
        following = struct.unpack_from(self.order + "I", self.data, end)[0] if end + 4 <= len(self.data) else 0
        return fields, following

    def directories(self) -> Iterator[Directory]:
        """Each directory of the chain and of its sub-directories, once, at most ``MAX_DIRECTORIES``."""
        pending, seen = [self.first], set[int]()
        while pending and len(seen) < MAX_DIRECTORIES:
            offset = pending.pop(0)
            if offset in seen:
                continue
            seen.add(offset)
            fields, following = self.directory(offset)
            if not fields:
                continue
            pending.extend(self.numbers(fields, _SUB_DIRECTORIES, MAX_DIRECTORIES))
            if following:
                pending.append(following)
            yield fields

    def has_more_pages(self) -> bool:
        """Whether a second full picture follows the first; a reduced copy of it does not count."""
        _, following = self.directory(self.first)
        if not following or following == self.first:
            return False
        fields, _ = self.directory(following)
        return bool(fields) and not self.number(fields, _NEW_SUBFILE_TYPE, 0) & 1

    def numbers(self, fields: Directory, tag: int, most: int = 16) -> tuple[int, ...]:
        """The whole numbers of a field, at most ``most``; none where the field is absent or of another type."""
        field = fields.get(tag)
        if field is None or field.kind not in _FORMATS:
            return ()
        return struct.unpack_from(
            f"{self.order}{min(field.count, most)}{_FORMATS[field.kind]}", self.data, field.offset
        )

    def number(self, fields: Directory, tag: int, default: int) -> int:
        """The first whole number of a field, or ``default``."""
        found = self.numbers(fields, tag, 1)
        return found[0] if found else default

    def rationals(self, fields: Directory, tag: int, most: int = 3) -> tuple[float | None, ...]:
        """The fractions of a field, at most ``most``; one with the denominator 0 is None."""
        field = fields.get(tag)
        if field is None or field.kind not in (5, 10):
            return ()
        code = "I" if field.kind == 5 else "i"
        parts = struct.unpack_from(f"{self.order}{2 * min(field.count, most)}{code}", self.data, field.offset)
        return tuple(a / b if b else None for a, b in zip(parts[::2], parts[1::2], strict=True))

    def text(self, fields: Directory, tag: int, most: int = 64) -> str:
        """The text of a field up to its first NUL, at most ``most`` bytes; empty where there is none."""
        field = fields.get(tag)
        if field is None or field.kind not in (2, 7):
            return ""
        raw = self.data[field.offset : field.offset + min(field.count, most)]
        return raw.split(b"\0", 1)[0].decode("ascii", "replace").strip()
