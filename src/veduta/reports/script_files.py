"""Data for a page that is opened from a disk: scripts that call a function with JSON.

A page under ``file://`` may not fetch its neighbours, but may load scripts. So each data file is one call,
``veduta.<function>(<JSON>, ...)``, pure ASCII, with ``<`` escaped, and nothing in it is ever code.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from veduta.errors import OutputError, UsageError

# A multiple of 3, so that the pieces of base64 join without padding between them.
_PIECE = 3 * 2**14

#: What the name of a file ends in until it is whole.
PART = ".part"


def json_text(value: object) -> str:
    """Compact ASCII JSON that can stand in a script or a page: no ``<``, ``>`` or ``&`` survives unescaped."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def call_text(function: str, *values: object) -> str:
    """The one statement of a data file."""
    return f"veduta.{function}({','.join(json_text(value) for value in values)});\n"


def put(path: Path, content: bytes) -> None:
    """Write a file, making its folder. Raises ``OutputError`` with the path."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise not_written(path, error) from error


def put_by_rename(path: Path, content: bytes, *, sync: bool = True) -> None:
    """Write a file that is there whole or not at all; ``sync`` as in ``rename``. Raises ``OutputError``."""
    beside = path.with_name(path.name + PART)
    put(beside, content)
    rename(beside, path, sync=sync)


def rename(made: Path, path: Path, *, sync: bool = True) -> None:
    """Put a finished file in its place; ``sync`` waits until the disk has it. Raises ``OutputError`` with the path."""
    try:
        if sync:
            with made.open("r+b") as file:
                os.fsync(file.fileno())
        made.replace(path)
    except OSError as error:
        raise not_written(path, error) from error


def not_written(path: Path, error: OSError) -> OutputError:
    """The error for a report that can't be written."""
    why = error.strerror or str(error)
    return OutputError(f"{path}: can't be written ({why}); check its space and permissions, or name another folder.")


def check_free(folder: Path, marker: str) -> None:
    """Raise UsageError where a report can't go: a file, or a folder whose page has not the ``marker`` of its own kind.

    Raises OutputError where the page that is there can't be read.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file, and a report is a folder; name another.")
    page = folder / "index.html"
    try:
        foreign = page.exists() and marker.encode() not in page.read_bytes()[:4096]
    except OSError as error:
        raise not_written(page, error) from error
    if foreign:
        raise UsageError(f"{page}: is a page that this kind of report did not write; name another folder for it.")


class Chunks:
    """Numbered data files, ``size`` entries in each: ``rows-00000.js`` calls ``veduta.rows(0, [...])``."""

    def __init__(self, folder: Path, function: str, size: int) -> None:
        self.size = size
        self.count = 0
        self._folder = folder
        self._function = function
        self._pending: list[object] = []

    def add(self, entry: object) -> None:
        """Take one entry; every ``size`` of them become a file. Raises ``OutputError``."""
        self._pending.append(entry)
        self.count += 1
        if len(self._pending) == self.size:
            self.close()

    def close(self) -> None:
        """Write what is left. Raises ``OutputError``."""
        if self._pending:
            number = (self.count - 1) // self.size
            text = call_text(self._function, number, self._pending)
            put(self._folder / f"{self._function}-{number:05d}.js", text.encode("ascii"))
            self._pending = []


class Spool:
    """Fixed-size records on disk until they are written, as base64, into a data file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file: BinaryIO = path.open("w+b")
        except OSError as error:
            raise not_written(path, error) from error

    def add(self, record: bytes) -> None:
        """Append a record. Raises ``OutputError``."""
        try:
            self._file.write(record)
        except OSError as error:
            raise not_written(self._path, error) from error

    def write_call(self, path: Path, function: str, head: object) -> None:
        """Write ``veduta.<function>(<head>, "<records in base64>")`` by rename. Raises ``OutputError``."""
        beside = path.with_name(path.name + PART)
        try:
            self._file.seek(0)
            with beside.open("wb") as out:
                out.write(f'veduta.{function}({json_text(head)},"'.encode("ascii"))
                while piece := self._file.read(_PIECE):
                    out.write(base64.b64encode(piece))
                out.write(b'");\n')
        except OSError as error:
            raise not_written(path, error) from error
        rename(beside, path)

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close and delete the file."""
        self._file.close()
        self._path.unlink(missing_ok=True)
