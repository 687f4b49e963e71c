"""Files that are there whole or not at all: written beside their place, brought to the disk, then renamed.

What is written lies in ``.<name>.part`` meanwhile. A killed run leaves that; the next one writes it anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from veduta.errors import OutputError

#: What the name of a file ends in until it is whole; it also begins with a dot then.
PART = ".part"

_ADVICE = "check its space and permissions, or name another place"


@contextmanager
def whole_file(path: Path, *, sync: bool = True, advice: str = _ADVICE) -> Iterator[BinaryIO]:
    """A new file for bytes, which takes the place of ``path`` when the block has ended; its folder is made.

    Where the block raises, ``path`` stays as it was. ``sync`` waits until the disk has the file and its name, so that
    a loss of power takes neither; ``advice`` ends the sentence for what the system refuses.

    Raises OutputError where the file can't be written, or something else than a plain file is in its place.
    """
    check_place(path, advice=advice)
    beside = path.with_name(f".{path.name}{PART}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.unlink(missing_ok=True)
        # Made new, so that a link of this name leads nowhere.
        with beside.open("xb") as file:
            yield file
            if sync:
                file.flush()
                os.fsync(file.fileno())
        beside.replace(path)
        if sync:
            _sync_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise not_written(path, error, advice) from error
        raise


def write_whole(path: Path, content: bytes, *, sync: bool = True, advice: str = _ADVICE) -> None:
    """Write a whole file, as ``whole_file`` does. Raises OutputError."""
    with whole_file(path, sync=sync, advice=advice) as file:
        file.write(content)


def check_place(path: Path, *, advice: str = _ADVICE) -> None:
    """Raise OutputError where no file can take this place: it is a folder, a device, a pipe, or not to be looked at."""
    try:
        taken = path.exists() and not path.is_file()
    except OSError as error:
        raise not_written(path, error, advice) from error
    if taken:
        raise OutputError(f"{path}: is no plain file, so none can take its place; name another.")


def not_written(path: Path, error: OSError, advice: str = _ADVICE) -> OutputError:
    """The error for a place that the system lets nothing be written to."""
    return OutputError(f"{path}: can't be written ({error.strerror or error}); {advice}.")


def _sync_folder(folder: Path) -> None:
    """Make the name itself last; systems that can't open a folder need no such step."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
