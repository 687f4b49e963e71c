"""Photos by lists of paths, as published sets come with: what a list names, and which of it is on disk."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from veduta.datasets.manifest import Entry
from veduta.datasets.tables import MOST_BYTES
from veduta.errors import UsageError
from veduta.images.limits import printable
from veduta.images.sources import EXTENSIONS
from veduta.labels.text_file import read_text, shown


def find_file(root: Path, *names: str) -> Path | None:
    """The first of these files in ``root`` or in a folder of it; None where there is none.

    Raises UsageError where ``root`` is no folder that can be listed.
    """
    places = [root, *folders_in(root)]
    return next((place / name for name in names for place in places if (place / name).is_file()), None)


def folders_in(root: Path) -> list[Path]:
    """The folders in ``root``, sorted, hidden ones left out. Raises UsageError where it can't be listed."""
    try:
        return sorted(each for each in root.iterdir() if each.is_dir() and not each.name.startswith("."))
    except OSError as error:
        raise UsageError(
            f"{printable(str(root))} can't be listed ({error.strerror}); give the folder that a set was unpacked to."
        ) from error


def photo_names(folder: Path) -> list[str]:
    """The names of the photos in a folder but not below it, sorted; none where there is no such folder."""
    try:
        with os.scandir(folder) as found:
            return sorted(
                each.name
                for each in found
                if not each.name.startswith(".") and Path(each.name).suffix.lower() in EXTENSIONS and each.is_file()
            )
    except OSError:
        return []


def lines_of(file: Path) -> Iterator[tuple[int, str]]:
    """The lines of a list with their numbers, without spaces at their ends and without empty ones.

    Raises UsageError where it can't be read, is no text or too large for a list.
    """
    for number, line in enumerate(read_text(file, MOST_BYTES, UsageError).split("\n"), 1):
        if line := line.strip():
            yield number, line


def listed_path(file: Path, number: int, text: str) -> str:
    """The path in line ``number`` of a list, relative to its photos' folder. Raises UsageError where it leads out."""
    path = text.lstrip("/")
    if not path.isprintable() or "\\" in path or not {"", ".", ".."}.isdisjoint(path.split("/")):
        raise UsageError(
            f"line {number} of {printable(str(file))} is '{shown(text)}', expected a path below the folder of the "
            "photos; get the list anew from where the set is published."
        )
    return path


def locate(entries: Sequence[Entry], folders: Sequence[Path]) -> list[Entry]:
    """The photos with their whole paths, in that of the folders which has most of them; the first, of equal ones.

    ``entries`` have paths relative to it. Those that are not there are dropped, with the reason ``missing``.
    """
    there = {folder: [*_are_there(folder, entries)] for folder in folders if folder.is_dir()}
    folder = max(there, key=lambda each: sum(there[each]), default=folders[0])
    missing = f"missing: not in {folder}"
    return [
        replace(entry, path=f"{folder}/{entry.path}", dropped=entry.dropped if found else missing)
        for entry, found in zip(entries, there.get(folder, [False] * len(entries)), strict=True)
    ]


def _are_there(folder: Path, entries: Sequence[Entry]) -> Iterator[bool]:
    """Whether each is a name in the folder; each folder is listed once, which is faster than asking for each file."""
    listed: dict[str, frozenset[str]] = {}
    for entry in entries:
        parent, _, name = entry.path.rpartition("/")
        if parent not in listed:
            try:
                listed[parent] = frozenset(os.listdir(folder / parent))  # noqa: PTH208
            except OSError:
                listed[parent] = frozenset()
        yield name in listed[parent]
