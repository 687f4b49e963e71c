"""A file that appears whole or not at all: written beside its place, then moved there."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

from veduta.errors import OutputError

_BUFFER_BYTES = 1 << 20


class OutputFile:
    """A file for bytes in the folder of its target, under the name ``.<target>.partial`` until ``finish``.

    Made before the long work starts, so that a target that can't be written is refused at once. A partial file that a
    killed run left is taken over, one that another run is writing is refused. Raises OutputError.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        # A link stays a link: what it leads to is replaced.
        self._place = Path(os.path.realpath(target))
        self._partial = self._place.with_name(f".{self._place.name}.partial")
        if self._place.is_dir():
            raise OutputError(f"{target} is a folder: name a file for the result, such as {target / 'photos.jsonl'}.")
        if not self._place.parent.is_dir():
            raise OutputError(f"{target} can't be written, because its folder does not exist: make the folder first.")
        if self._place.exists() and not (self._place.is_file() and os.access(self._place, os.W_OK)):
            raise OutputError(f"{target} can't be replaced (write-protected or no plain file): name another.")
        try:
            self._file: BinaryIO = open(self._partial, "ab", buffering=_BUFFER_BYTES)  # noqa: PTH123, SIM115
        except OSError as error:
            raise self.error(error) from error
        if not _claim(self._file):
            self._file.close()
            raise OutputError(f"{target} is being written by another run: wait until that has ended, or name another.")
        self._file.truncate(0)

    @property
    def file(self) -> BinaryIO:
        """The open file, for libraries that write by themselves; their OSErrors go through ``error``."""
        return cast(BinaryIO, _Guarded(self._file, self))

    def write(self, data: bytes) -> None:
        """Append. Raises OutputError."""
        try:
            self._file.write(data)
        except OSError as error:
            raise self.error(error) from error

    def overwrite(self, data: bytes) -> None:
        """Replace the first bytes of the file, such as a header that was a guess. Raises OutputError."""
        try:
            self._file.flush()
            with open(self._partial, "r+b") as again:  # noqa: PTH123
                again.write(data)
        except OSError as error:
            raise self.error(error) from error

    def finish(self) -> None:
        """Bring everything to the disk and the file to its place. Raises OutputError."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._partial.replace(self._place)
            _sync_folder(self._place.parent)
        except OSError as error:
            raise self.error(error) from error

    def abandon(self) -> None:
        """Drop what was written; the target stays as it was. Does nothing after ``finish``."""
        if self._file.closed:
            return
        with suppress(OSError):
            self._partial.unlink()
        with suppress(OSError):
            self._file.close()

    def error(self, error: OSError) -> OutputError:
        """The sentence for an error of the system."""
        match error.errno:
            case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
                reason = "the disk is full: free some space"
            case errno.EROFS | errno.EACCES | errno.EPERM:
                reason = "its folder is read-only: name another place"
            case _:
                reason = f"the system says: {error.strerror}; check the disk"
        return OutputError(
            f"{self.target} can't be written, because {reason}, and give the same command again; answers that are in"
            " the ledger are not computed anew."
        )


class _Guarded:
    """A binary file whose writing raises OutputError; the rest is the file's own."""

    def __init__(self, file: BinaryIO, owner: OutputFile) -> None:
        self._file = file
        self._owner = owner

    def write(self, data: bytes) -> int:
        self._owner.write(data)
        return len(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _claim(file: BinaryIO) -> bool:
    """Lock the file for this process where the system has such locks; they end with the process."""
    try:
        import fcntl
    except ImportError:  # Windows, which does not let another process remove or rename an open file
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks
    return True


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a loss of power; not every system lets a folder be opened for it."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
