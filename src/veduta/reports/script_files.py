"""Data for a page that is opened from a disk: scripts that call a function with JSON.

A page under ``file://`` may not fetch its neighbours, but may load scripts. So each data file is one call,
``veduta.<function>(<JSON>, ...)``, pure ASCII, with ``<`` escaped, and nothing in it is ever code.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from veduta.whole_file import not_written, whole_file, write_whole

# A multiple of 3, so that the pieces of base64 join without padding between them.
_PIECE = 3 * 2**14


def json_text(value: object) -> str:
    """Compact ASCII JSON that can stand in a script or a page: no ``<``, ``>`` or ``&`` survives unescaped."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def call_text(function: str, *values: object) -> str:
    """The one statement of a data file."""
    return f"veduta.{function}({','.join(json_text(value) for value in values)});\n"


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
            path = self._folder / f"{self._function}-{number:05d}.js"
            write_whole(path, text.encode("ascii"), sync=False)
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
        with whole_file(path) as out:
            out.write(f'veduta.{function}({json_text(head)},"'.encode("ascii"))
            self._file.seek(0)
            while piece := self._file.read(_PIECE):
                out.write(base64.b64encode(piece))
            out.write(b'");\n')

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
