"""A file that grows beside its place, remembers how far it is sound, and appears whole or not at all.

Beside ``<target>.part`` lies ``<target>.part.json``: which URL, which version of the file there, its length, and the
SHA-256 of the bytes that are known to have reached the disk. After a kill or a power cut the part is read again, and
goes on from there only if that hash still holds; what lies behind it is cut off.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, BinaryIO, Self

from veduta.errors import FetchAltered, OutputError
from veduta.images.urls import shown

_BLOCK = 1 << 20
_CHECKPOINT_BYTES = 16 << 20
_NOTE_BYTES = 4_096


def has_sha256(path: Path, sha256: str) -> bool:
    """Whether the file is there and has the SHA-256."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256.lower()
    except OSError:
        return False


class PartFile:
    """The part of one download, locked for this process. A context manager; what was received stays for a later call.

    ``size``: bytes so far. ``total``: how many there will be, where the server tells. ``validator``: the ETag or date
    by which the server knows the version that the bytes belong to. Raises OutputError.
    """

    def __init__(self, target: Path, url: str) -> None:
        self.target = target
        self.total: int | None = None
        self.validator: str | None = None
        self.size = 0
        self._url = url
        self._path = part_of(target)
        self._note = target.with_name(target.name + ".part.json")
        self._hash = hashlib.sha256()
        self._checkpointed = 0
        if target.is_dir():
            raise OutputError(f"{target} is a folder: name a file for the download.")
        if not target.parent.is_dir():
            raise OutputError(f"{target} can't be written, because its folder does not exist: make the folder first.")
        self._file = self._open()
        try:
            self._resume()
        except OSError as error:
            self._file.close()
            raise self._error(error) from error

    def restart(self, validator: str | None, total: int | None) -> None:
        """Begin at the first byte of this version of the file."""
        self.discard()
        self.validator, self.total = validator, total

    def discard(self) -> None:
        """Forget all bytes."""
        try:
            self._note.unlink(missing_ok=True)
            self._file.seek(0)
            self._file.truncate()
        except OSError as error:
            raise self._error(error) from error
        self._hash = hashlib.sha256()
        self.size = self._checkpointed = 0
        self.validator = self.total = None

    def check_room(self) -> None:
        """Refuse a file that the disk has no room for, before it is received. Raises OutputError."""
        with suppress(OSError):
            free = shutil.disk_usage(self.target.parent).free
            if self.total is not None and self.total - self.size > free:
                raise OutputError(
                    f"{self.target} can't be written: {self.total - self.size:,} bytes are to come, and {free:,} are"
                    " free on the disk."
                )

    def append(self, data: bytes) -> None:
        """Write the next bytes. Raises OutputError."""
        try:
            self._file.write(data)
            self._hash.update(data)
            self.size += len(data)
            if self.size - self._checkpointed >= _CHECKPOINT_BYTES:
                self._checkpoint()
        except OSError as error:
            raise self._error(error) from error

    def finish(self, sha256: str | None) -> Path:
        """Check the hash, bring all to the disk and the file to its place. Raises FetchAltered, OutputError."""
        found = self._hash.hexdigest()
        if sha256 is not None and found != sha256.lower():
            self.discard()
            self._path.unlink(missing_ok=True)
            raise FetchAltered(
                f"{shown(self._url)} has the SHA-256 {found}, expected was {sha256.lower()}: the file was changed or is"
                " not the one that was meant, and nothing was kept."
            )
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            if os.name == "nt":  # which moves no open file; elsewhere the lock lasts until the file has its name
                self._file.close()
            self._path.replace(self.target)
            self._file.close()
            self._note.unlink(missing_ok=True)
            _sync_folder(self.target.parent)
        except OSError as error:
            raise self._error(error) from error
        return self.target

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._file.closed:
            return
        # On a full disk this fails as well; then the next call begins where the last checkpoint was.
        with suppress(OSError):
            self._checkpoint()
        with suppress(OSError):
            if self._path.exists() and self._path.stat().st_size == 0:
                self._path.unlink()
                self._note.unlink(missing_ok=True)
        with suppress(OSError):
            self._file.close()

    def _open(self) -> BinaryIO:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        while True:
            try:
                file: BinaryIO = os.fdopen(os.open(self._path, flags, 0o666), "r+b")
            except OSError as error:
                raise self._error(error) from error
            if not claim(file):
                file.close()
                raise OutputError(f"{self.target} is being downloaded by somebody else: wait until that has ended.")
            # Between opening and locking, another download may have given this very file its final name.
            with suppress(OSError):
                if os.path.samestat(os.fstat(file.fileno()), self._path.lstat()):
                    return file
            file.close()

    def _resume(self) -> None:
        """Take over what the note vouches for, less the last byte of a whole file, so that the server is asked."""
        note = self._read_note()
        if note is not None:
            size, sha256, validator, total = note
            wanted = size - 1 if size == total else size
            digest = hashlib.sha256()
            left = wanted
            while left and (block := self._file.read(min(left, _BLOCK))):
                digest.update(block)
                left -= len(block)
            whole = digest.copy()
            whole.update(self._file.read(size - wanted))
            if not left and whole.hexdigest() == sha256:
                self._hash, self.size, self.validator, self.total = digest, wanted, validator, total
        self._file.seek(self.size)
        self._file.truncate()
        self._checkpointed = self.size

    def _read_note(self) -> tuple[int, str, str, int | None] | None:
        try:
            with self._note.open("rb") as file:
                note = json.loads(file.read(_NOTE_BYTES))
        except (OSError, ValueError, RecursionError):
            return None
        match note:
            case {
                "url_sha256": str(url),
                "size": int(size),
                "sha256": str(sha256),
                "validator": str(validator),
                "total": int() | None as total,
            } if url == self._url_hash() and size > 0 and validator.isascii() and validator.isprintable():
                return (size, sha256, validator, total) if total is None or 0 < size <= total else None
        return None

    def _checkpoint(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._checkpointed = self.size
        if self.validator is None or not self.size:
            return  # without a validator nothing can be resumed
        note = {
            "url_sha256": self._url_hash(),  # the URL itself may hold a key
            "size": self.size,
            "sha256": self._hash.hexdigest(),
            "validator": self.validator,
            "total": self.total,
        }
        fresh = self._note.with_name(self._note.name + ".new")
        fresh.write_text(json.dumps(note))
        fresh.replace(self._note)

    def _url_hash(self) -> str:
        return hashlib.sha256(self._url.encode()).hexdigest()

    def _error(self, error: OSError) -> OutputError:
        match error.errno:
            case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
                reason = "the disk is full: free some space, and the download goes on where it ended"
            case errno.EROFS | errno.EACCES | errno.EPERM:
                reason = "its folder is read-only: name another place"
            case errno.ELOOP:
                reason = f"{self._path.name} beside it is a link: remove that"
            case _:
                reason = f"the system says: {error.strerror}; check the disk"
        return OutputError(f"{self.target} can't be written, because {reason}.")


def part_of(target: Path) -> Path:
    """Where a download of this file grows."""
    return target.with_name(target.name + ".part")


def claim(file: IO[bytes], *, wait: bool = False) -> bool:
    """Lock an open file until it is closed, where the system has such locks; False where somebody else has it.

    ``wait`` waits for that somebody instead.
    """
    try:
        import fcntl
    except ImportError:  # Windows, which lets nobody rename or remove an open file
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _sync_folder(folder: Path) -> None:
    """Make the new name itself last; systems that can't open a folder need no such step."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
