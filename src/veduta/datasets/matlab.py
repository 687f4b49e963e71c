"""Texts and numbers from MATLAB's files of version 5, as published sets come in them, and nothing else.

scipy.io.loadmat is not for files of strangers: one of 232 bytes made it ask for 16 GB, and cells nested 200,000 deep
ended the process. Checking what it is about to read means reading all of it, so the two kinds of variable that are
needed are read here: a cell array of texts and a matrix of real numbers. (The MathWorks, "MAT-File Format".)
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veduta.errors import UsageError
from veduta.images.limits import printable

#: Larger files, and files that unpack to more, are no lists of photos.
MOST_BYTES, MOST_UNPACKED = 64 * 2**20, 256 * 2**20
MOST_TEXTS, MOST_LETTERS = 1_000_000, 4096

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_CELL, _CHAR, _NUMERIC, _COMPLEX = 1, 4, range(6, 16), 0x800
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_LETTERS = {2: "utf-8", 4: "utf-16", 16: "utf-8", 17: "utf-16"}
# Each element begins at a multiple of this.
_ALIGNED = 8


class _Damage(Exception):
    """What is wrong with a file, in words that go on after its name."""


@dataclass(frozen=True, slots=True)
class _Matrix:
    """What MATLAB calls an array: ``type`` is its class, ``parts`` are the elements behind its name."""

    type: int
    is_complex: bool
    shape: tuple[int, ...]
    name: str
    parts: Iterator[tuple[int, memoryview]]


@dataclass(slots=True)
class _Reader:
    """Elements of a file whose numbers have the byte order ``order``, ``<`` or ``>``; ``left`` may yet be unpacked."""

    order: str
    left: int

    def variables(self, content: memoryview) -> Iterator[_Matrix]:
        for kind, each in self.elements(content, padded=False):
            if kind == _COMPRESSED:
                yield from self.variables_within(self.unpacked(each))
            elif kind == _MATRIX:
                yield self.matrix(each)
            else:
                raise _Damage(f"holds an element of type {kind} where a variable should be")

    def variables_within(self, content: memoryview) -> Iterator[_Matrix]:
        for kind, each in self.elements(content):
            if kind != _MATRIX:
                raise _Damage("has something else than a variable packed")
            yield self.matrix(each)

    def unpacked(self, content: memoryview) -> memoryview:
        try:
            found = zlib.decompressobj().decompress(content, self.left + 1)
        except zlib.error as error:
            raise _Damage(f"can't be unpacked ({error})") from error
        self.left -= len(found)
        if self.left < 0:
            raise _Damage(f"unpacks to more than {MOST_UNPACKED >> 20} MB")
        return memoryview(found)

    def elements(self, content: memoryview, padded: bool = True) -> Iterator[tuple[int, memoryview]]:
        """The type and the bytes of each element, one after the other."""
        at = 0
        while at < len(content):
            if len(content) - at < _ALIGNED:
                raise _Damage("is cut off")
            kind, size = struct.unpack_from(f"{self.order}II", content, at)
            if kind >> 16:  # a small one: type and size share four bytes, the content has the other four
                kind, size, first, after = kind & 0xFFFF, kind >> 16, at + 4, at + 8
            else:
                first = at + 8
                after = first + size + (-size % _ALIGNED if padded else 0)
            if first + size > (at + 8 if first == at + 4 else len(content)):
                raise _Damage("is cut off")
            yield kind, content[first : first + size]
            at = after

    def matrix(self, content: memoryview) -> _Matrix:
        parts = self.elements(content)
        head = [next(parts, (0, memoryview(b""))) for _ in range(3)]
        if [kind for kind, _ in head] != [6, 5, 1] or len(head[0][1]) != 8 or len(head[1][1]) not in range(8, 33, 4):
            raise _Damage("has a variable without class, size and name")
        (flags,) = struct.unpack_from(f"{self.order}I", head[0][1])
        shape = tuple(int(side) for side in np.frombuffer(head[1][1], f"{self.order}i4"))
        name = bytes(head[2][1]).decode("ascii", "replace")
        return _Matrix(flags & 0xFF, bool(flags & _COMPLEX), shape, name, parts)

    def texts(self, variable: _Matrix) -> list[str]:
        if variable.type != _CELL:
            raise _Damage(f"has another kind of variable for {variable.name!r}, expected a cell array of texts")
        found: list[str] = []
        for kind, content in variable.parts:
            if kind != _MATRIX or len(found) >= MOST_TEXTS:
                raise _Damage(f"holds no {MOST_TEXTS:,} texts or fewer in {variable.name!r}")
            found.append(self.text(self.matrix(content), variable.name))
        if math.prod(variable.shape) != len(found) or min(variable.shape) < 0:
            raise _Damage(f"holds {len(found)} texts in {variable.name!r}, and says {variable.shape}")
        return found

    def text(self, cell: _Matrix, where: str) -> str:
        kind, content = next(cell.parts, (16, memoryview(b"")))
        if cell.type != _CHAR or kind not in _LETTERS or (cell.shape[0] > 1 and content):
            raise _Damage(f"holds something else than one line of text in {where!r}")
        if len(content) > MOST_LETTERS:
            raise _Damage(f"holds a text of more than {MOST_LETTERS} bytes in {where!r}")
        code = _LETTERS[kind] + {"<": "-le", ">": "-be"}[self.order] * (_LETTERS[kind] == "utf-16")
        try:
            return bytes(content).decode(code)
        except UnicodeDecodeError as error:
            raise _Damage(f"holds a text that is not Unicode in {where!r}") from error

    def numbers(self, variable: _Matrix) -> NDArray[np.float64]:
        kind, content = next(variable.parts, (0, memoryview(b"")))
        if variable.type not in _NUMERIC or kind not in _NUMBERS or len(variable.shape) != 2:
            raise _Damage(f"has another kind of variable for {variable.name!r}, expected a matrix of numbers")
        if variable.is_complex:
            raise _Damage(f"holds complex numbers in {variable.name!r}")
        stored = np.dtype(self.order + _NUMBERS[kind])
        if min(variable.shape) < 0 or math.prod(variable.shape) * stored.itemsize != len(content):
            raise _Damage(f"holds {len(content)} bytes of numbers in {variable.name!r}, and says {variable.shape}")
        return np.frombuffer(content, stored).reshape(variable.shape, order="F").astype(np.float64, order="C")


def read_texts(file: Path, name: str) -> list[str]:
    """The texts of a cell array, column after column. Raises UsageError, naming the file and what is wrong with it."""
    try:
        reader, content = _opened(file)
        return reader.texts(_variable(reader, content, name))
    except _Damage as damage:
        raise _refusal(file, damage) from damage


def read_numbers(file: Path, name: str) -> NDArray[np.float64]:
    """A matrix of real numbers, ``[rows, columns]``. Raises UsageError, naming the file and what is wrong with it."""
    try:
        reader, content = _opened(file)
        return reader.numbers(_variable(reader, content, name))
    except _Damage as damage:
        raise _refusal(file, damage) from damage


def _opened(file: Path) -> tuple[_Reader, memoryview]:
    try:
        if file.stat().st_size > MOST_BYTES:
            raise _Damage(f"is larger than {MOST_BYTES >> 20} MB")
        data = file.read_bytes()
    except OSError as error:
        raise _Damage(f"can't be read ({error.strerror})") from error
    if data[:4] == b"\x89HDF" or data[:10] == b"MATLAB 7.3":
        raise _Damage("is a MATLAB file of version 7.3; save it with -v7")
    order = {b"IM": "<", b"MI": ">"}.get(data[126:_HEADER], "")
    if not order or struct.unpack_from(f"{order}H", data, 124) != (0x0100,):
        raise _Damage("is no MATLAB file of version 5")
    return _Reader(order, MOST_UNPACKED), memoryview(data)[_HEADER:]


def _variable(reader: _Reader, content: memoryview, name: str) -> _Matrix:
    found = next((each for each in reader.variables(content) if each.name == name), None)
    if found is None:
        raise _Damage(f"holds no variable {name!r}")
    return found


def _refusal(file: Path, damage: _Damage) -> UsageError:
    return UsageError(f"{printable(str(file))} {damage}; get it anew from where the set is published.")
