"""The names of all photos of a run, on disk once they are many, so that memory stays flat and the total is known."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self

from veduta.errors import OutputError
from veduta.records import Sample

_IN_MEMORY_BYTES = 8 * 1024 * 1024
_LENGTH = struct.Struct("<I")


class Listing:
    """Paths in the order of the input; ``total`` of them. Any name survives, with newlines or undecodable bytes."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self.total = 0
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115
        try:
            for sample in samples:
                name = sample.path.encode("utf-8", "surrogatepass")
                self._file.write(_LENGTH.pack(len(name)) + name)
                self.total += 1
            self._file.seek(0)
        except OSError as error:
            self.close()
            raise OutputError(
                f"The list of photos can't be kept in {tempfile.gettempdir()} ({error.strerror}): free some space"
                " there, or name another folder in TMPDIR."
            ) from error

    def __iter__(self) -> Iterator[str]:
        """The paths, once."""
        while head := self._file.read(_LENGTH.size):
            yield self._file.read(_LENGTH.unpack(head)[0]).decode("utf-8", "surrogatepass")

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
