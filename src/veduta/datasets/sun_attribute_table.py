"""The SUN Attribute database as tables: ``annotations.csv``, and ``photos.csv`` for the photos that lie beside it.

``annotations.csv`` has ``sun_path``, ``split`` and ``attribute_indices``: places in the list of the 102 attributes,
with spaces between. ``photos.csv`` has ``file`` and ``sun_path``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veduta.datasets.file_lists import listed_path, locate
from veduta.datasets.manifest import Entry
from veduta.datasets.tables import read_rows
from veduta.errors import UsageError
from veduta.images.limits import printable
from veduta.labels.attributes import sun_attributes

ANNOTATIONS, PHOTOS = "annotations.csv", "photos.csv"


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedPhotos:
    """n photos by their ``paths`` in SUN (``a/abbey/sun_ab.jpg``), each once, in their order.

    ``present`` bool ``[n, 102]`` tells which attributes each has, ``splits`` its part of the database's own split, and
    ``files`` the place in ``paths`` and the file of those that are here.
    """

    paths: tuple[str, ...]
    splits: tuple[str, ...]
    present: NDArray[np.bool_]
    files: dict[int, Path]

    @property
    def categories(self) -> tuple[str, ...]:
        """The category of each photo: ``a/church/outdoor/sun_ab.jpg`` shows ``church/outdoor``."""
        return tuple("/".join(path.split("/")[1:-1]) for path in self.paths)


def read_annotations(root: Path) -> AnnotatedPhotos:
    """Both tables of ``root``; without ``photos.csv`` no photo is here.

    Raises UsageError, naming the line, where a table is not as it should be.
    """
    table = root / ANNOTATIONS
    rows = _columns(table, ("sun_path", "split", "attribute_indices"))
    places: dict[str, int] = {}
    present = np.zeros((len(rows), len(sun_attributes())), bool)
    for number, (path, _split, indices) in enumerate(rows):
        if places.setdefault(listed_path(table, number + 2, path), number) != number or path.count("/") < 2:
            raise UsageError(
                f"line {number + 2} of {printable(str(table))} must name a photo once, as in a/abbey/sun_ab.jpg."
            )
        present[number, _indices(table, number + 2, indices)] = True
    listed = _columns(root / PHOTOS, ("file", "sun_path")) if (root / PHOTOS).is_file() else []
    files = {}
    for number, (file, path) in enumerate(listed):
        if path not in places:
            raise UsageError(f"line {number + 2} of {printable(str(root / PHOTOS))} is not in {ANNOTATIONS}.")
        files[places[path]] = root / listed_path(root / PHOTOS, number + 2, file)
    return AnnotatedPhotos(tuple(places), tuple(split for _, split, _ in rows), present, files)


def annotated_entries(root: Path, photos: Path | None = None) -> list[Entry]:
    """The photos with their attributes and the database's own split, for a manifest.

    They are looked for where ``photos.csv`` says, and all others by their paths in SUN in ``photos``, or else in
    ``root``; what is not there is dropped. Raises UsageError as ``read_annotations`` does.
    """
    annotated = read_annotations(root)
    names = [label.name for label in sun_attributes()]
    entries = [
        Entry(path, tuple(names[place] for place in np.flatnonzero(present)), split)
        for path, split, present in zip(annotated.paths, annotated.splits, annotated.present, strict=True)
    ]
    found = locate(entries, [photos or root])
    for place, file in annotated.files.items():
        if found[place].dropped and file.is_file():
            found[place] = Entry(str(file), entries[place].labels, entries[place].split)
    return found


def _columns(table: Path, names: tuple[str, ...]) -> list[list[str]]:
    """The cells of these columns, a row each."""
    rows = read_rows(table)
    header = [name.strip() for name in rows[0]] if rows else []
    if not set(names) <= set(header) or len(rows) < 2:
        raise UsageError(
            f"{printable(str(table))} must have the columns {', '.join(names)} and a row for each photo; its header is "
            f"{printable(', '.join(header) or 'empty')}."
        )
    places = [header.index(name) for name in names]
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(header):
            raise UsageError(f"line {number} of {printable(str(table))} has {len(row)} cells, expected {len(header)}.")
    return [[row[place].strip() for place in places] for row in rows[1:]]


def _indices(table: Path, number: int, text: str) -> list[int]:
    most = len(sun_attributes())
    words = text.split()
    if not all(word.isascii() and word.isdigit() and len(word) < 4 and int(word) < most for word in words):
        raise UsageError(
            f"line {number} of {printable(str(table))} must have places of attributes, from 0 to {most - 1}, with "
            f"spaces between, and has {printable(text)}."
        )
    return [int(word) for word in words]
