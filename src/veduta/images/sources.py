"""Files, folders, globs and lists to samples, in a fixed order, without holding them all."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from veduta.errors import UsageError
from veduta.images.limits import printable
from veduta.records import Sample

#: What counts as a photo within a folder or a glob; a file that is named is tried whatever its extension.
EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
    | {".avif", ".heic", ".heif", ".hif", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".dng"}
)

_CHUNK = 2**16
# No file system has longer paths; a list with a longer item is not a list of paths.
_LONGEST_PATH = 2**16


def expand(inputs: Sequence[str], *, stdin: TextIO | None = None, recursive: bool = True) -> Iterator[Sample]:
    """Yield one sample for each photo that ``inputs`` name, in their order, folders sorted by name.

    An input is a file, a folder (with all folders in it unless ``recursive`` is false; hidden ones and other than
    photo extensions left out), a glob (``**`` reaches into folders), or ``-``: a list of files and folders on
    ``stdin``, one on a line, or ended by NUL characters as ``find -print0`` writes them. A path that is not there
    stays a sample, so that it is reported with the others.

    Raises UsageError for an input that names no photo at all.
    """
    for item in inputs:
        if not item:
            raise UsageError("An input is empty, perhaps a variable of the shell that was never set; name a photo.")
        found = False
        for sample in _expand_one(item, stdin, recursive):
            found = True
            yield sample
        if not found:
            raise UsageError(_nothing_in(item))


def _expand_one(item: str, stdin: TextIO | None, recursive: bool) -> Iterator[Sample]:
    if item == "-":
        if stdin is None:
            raise UsageError("The input - means a list on standard input, but there is none; name files or folders.")
        for path in _read_list(stdin):
            yield from _expand_path(path, recursive)
    elif glob.has_magic(item) and not _exists(item):
        yield from _expand_glob(item, recursive)
    else:
        yield from _expand_path(item, recursive)


def _expand_path(path: str, recursive: bool) -> Iterator[Sample]:
    if _is_folder(path):
        yield from _walk(path, recursive, set())
    else:
        yield Sample(path)


def _expand_glob(pattern: str, recursive: bool) -> Iterator[Sample]:
    # A pattern that spells out an extension means just that one.
    extension = os.path.splitext(pattern)[1]  # noqa: PTH122
    any_extension = bool(extension) and not glob.has_magic(extension)
    seen: set[tuple[int, int]] = set()
    for path in sorted(glob.glob(pattern, recursive=True)):  # noqa: PTH207
        if _is_folder(path):
            # ``**`` names the folders and what is in them; the files come by their own names.
            if "**" not in pattern:
                yield from _walk(path, recursive, seen)
        elif any_extension or _is_photo_name(path):
            yield Sample(path)


def _walk(folder: str, recursive: bool, seen: set[tuple[int, int]]) -> Iterator[Sample]:
    """The photos of a folder by name, each folder once: ``seen`` holds their device and inode, so loops end."""
    pending = [folder]
    while pending:
        path = pending.pop()
        if not _is_folder(path):
            yield Sample(path)
            continue
        try:
            status = os.stat(path)  # noqa: PTH116
            identity = status.st_dev, status.st_ino
            if identity in seen:
                continue
            seen.add(identity)
            with os.scandir(path) as entries:
                names = sorted(entry.name for entry in entries if not entry.name.startswith("."))
        except OSError:
            # Decoding will say why it can't be read, beside the photos that can.
            yield Sample(path)
            continue
        inside = [os.path.join(path, name) for name in names]  # noqa: PTH118
        # The last of a stack is taken first.
        pending.extend(one for one in reversed(inside) if _belongs(one, recursive))


def _belongs(path: str, recursive: bool) -> bool:
    return recursive if _is_folder(path) else _is_photo_name(path)


def _read_list(stdin: TextIO) -> Iterator[str]:
    """The items of a list, ended by NUL if its first piece has one, else by newlines; empty ones are left out."""
    stream = getattr(stdin, "buffer", None)
    rest = b""
    separator: bytes | None = None
    while True:
        piece = stream.read(_CHUNK) if stream is not None else os.fsencode(stdin.read(_CHUNK))
        if separator is None:
            separator = b"\0" if b"\0" in piece else b"\n"
        *items, rest = (rest + piece).split(separator) if piece else (rest, b"")
        for item in items:
            name = item if separator == b"\0" else item.rstrip(b"\r")
            if name:
                yield os.fsdecode(name)
        if not piece:
            return
        if len(rest) > _LONGEST_PATH:
            raise UsageError(
                "The list on standard input holds something longer than any path; give one path on a line."
            )


def _exists(path: str) -> bool:
    try:
        return os.path.lexists(path)
    except ValueError:
        return False


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)  # noqa: PTH116
    except (OSError, ValueError):
        return False


def _is_photo_name(path: str) -> bool:
    return Path(path).suffix.lower() in EXTENSIONS


def _nothing_in(item: str) -> str:
    if item == "-":
        return "The list on standard input names no photo; give one path on a line."
    if _is_folder(item):
        return f"The folder {printable(item)} holds no photo; photos are recognised by extensions such as .jpg or .png."
    return f"Nothing matches {printable(item)}; check the pattern, and quote it so that it arrives as it is written."
