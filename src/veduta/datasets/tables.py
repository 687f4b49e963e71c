"""Photos with any number of labels, from a table: a path in the first column, then 0 or 1 for each label."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veduta.errors import UsageError

#: Larger tables are no lists of photos.
MOST_BYTES = 512 * 2**20
_MOST_LABELS = 10_000


@dataclass(frozen=True, slots=True)
class LabelTable:
    """``paths`` of n photos, the names of the c ``labels``, and ``present`` float32 ``[n, c]``, 1 or 0."""

    paths: tuple[str, ...]
    labels: tuple[str, ...]
    present: NDArray[np.float32]


def read_rows(table: Path) -> list[list[str]]:
    """All rows of a CSV file, the header first.

    Raises UsageError where it is none, or too large for a list of photos.
    """
    try:
        if table.stat().st_size > MOST_BYTES:
            raise UsageError(f"{table} is larger than {MOST_BYTES >> 20} MB, too large for a table of photos.")
        # utf-8-sig: spreadsheets put a mark at the beginning.
        with table.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{table} can't be read as a CSV table ({error}); give a UTF-8 file with a header.") from error


def read_label_table(table: Path) -> LabelTable:
    """Read a CSV table with a header; ``file,sea,trees`` and then ``a.jpg,0,1`` is a photo with trees.

    Paths are relative to the table's folder, or to a folder ``images`` in it.
    Raises UsageError, naming the line, where a row is not as the header says or a photo is not there.
    """
    rows = read_rows(table)
    labels = tuple(name.strip() for name in rows[0][1:]) if rows else ()
    if not labels or len(rows) < 2:
        raise UsageError(f"{table} needs a header, file and then a name for each label, and a row for each photo.")
    if "" in labels or len(set(labels)) < len(labels) or len(labels) > _MOST_LABELS:
        raise UsageError(f"the header of {table} must name each of at most {_MOST_LABELS} labels once.")
    paths, present = [], []
    for line, row in enumerate(rows[1:], 2):
        if not row:
            continue
        values = [value.strip() for value in row[1:]]
        if len(values) != len(labels) or not set(values) <= {"0", "1"}:
            raise UsageError(
                f"line {line} of {table} must have a path and a 0 or 1 for each of {len(labels)} labels; where "
                "each photo has one label, give a table with the columns path and label."
            )
        paths.append(str(_found(table, row[0], line)))
        present.append(np.array(values, np.uint8))
    if not paths:
        raise UsageError(f"{table} has a header and no photo; give it a row for each.")
    return LabelTable(tuple(paths), labels, np.array(present, np.float32).reshape(-1, len(labels)))


def _found(table: Path, name: str, line: int) -> Path:
    for folder in (table.parent, table.parent / "images"):
        path = folder / name
        # Not Path.is_file: of a name that is too long it raises.
        if name and os.path.isfile(path):  # noqa: PTH113
            return path
    raise UsageError(f"line {line} of {table} names {name!r}, which is neither beside the table nor in images/ there.")
