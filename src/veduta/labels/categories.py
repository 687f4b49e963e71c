"""The lists of classes: the 365 categories of Places2, the 100 of Mini-Places, and lists that a user brings.

The categories and whether they are indoors are those of Zhou et al. 2017, "Places: A 10 million Image Database for
Scene Recognition". The order of a list is the order of a model's logits.
"""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NoReturn, cast

from veduta.errors import UsageError
from veduta.labels.text_file import MAX_TEXT, is_name, read_text, shown
from veduta.labels.translations import name_of, readable
from veduta.records import EnvironmentKind, Label

#: A list of classes above these is some other file.
MAX_LIST_BYTES = 8 * 2**20
MAX_LABELS = 100_000

COLUMNS = ("index", "id", "name", "environment")


@cache
def places365() -> tuple[Label, ...]:
    """The 365 categories of Places2, in the order of ``data/places365.csv``."""
    return _shipped("places365.csv")


@cache
def places100() -> tuple[Label, ...]:
    """The 100 categories of Mini-Places, in the order of ``data/places100.csv``; 96 are also among the 365."""
    return _shipped("places100.csv")


@cache
def known_labels() -> tuple[Label, ...]:
    """Every category of both lists once, 369 in all: the 365, then the four that only Mini-Places has."""
    return tuple({label.id: label for label in (*places365(), *places100())}.values())


def read_labels_csv(path: Path) -> tuple[Label, ...]:
    """A model's list of classes: a CSV file with a header, one class a row, in the order of the model's logits.

    The columns are ``id`` or ``name``, or both; without ``id`` the name is the id. Optional are ``environment``
    (``indoor``, ``outdoor``, or empty where the class has none) and ``index``, which must then count from 0. Columns
    of other names are left alone.

    Raises UsageError, with the file and line, for anything else, and for a class that is there twice.
    """
    return _parse(read_text(path, MAX_LIST_BYTES, UsageError), shown(str(path)))


def _shipped(name: str) -> tuple[Label, ...]:
    return _parse(files("veduta.labels").joinpath("data", name).read_text(encoding="utf-8"), name)


def _parse(text: str, source: str) -> tuple[Label, ...]:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    labels: dict[str, Label] = {}
    try:
        header = _checked_header([cell.strip() for cell in next(rows, [])], source)
        for row in rows:
            if not row:
                continue
            if len(row) != len(header):
                _refuse(source, rows.line_num, f"has {len(row)} cells, but the header has {len(header)}")
            cells = {column: cell.strip() for column, cell in zip(header, row, strict=True)}
            label = _label(cells, len(labels), source, rows.line_num)
            if label.id in labels:
                _refuse(source, rows.line_num, f"has the class '{shown(label.id)}' a second time")
            labels[label.id] = label
            if len(labels) > MAX_LABELS:
                raise UsageError(f"{source} has more than {MAX_LABELS:,} classes; is it the right file?")
    except csv.Error as cause:
        _refuse(source, rows.line_num, f"is not readable as CSV ({cause})", cause)
    if not labels:
        raise UsageError(f"{source} has no classes below its header; write one a row, in the order of the logits.")
    return tuple(labels.values())


def _checked_header(header: list[str], source: str) -> list[str]:
    if not {"id", "name"} & set(header):
        raise UsageError(
            f"{source} has no column 'id' or 'name' in its first line; begin it with a header such as id,environment."
        )
    for column in header:
        if header.count(column) > 1:
            raise UsageError(f"{source} has the column '{shown(column)}' twice; leave one.")
        # A misspelt environment would quietly count for nothing.
        near = get_close_matches(column.lower(), COLUMNS, 1, 0.8)
        if column not in COLUMNS and near:
            raise UsageError(f"{source} has a column '{shown(column)}'; write '{near[0]}' if that is meant.")
    return header


def _label(cells: dict[str, str], position: int, source: str, line: int) -> Label:
    id = cells.get("id", cells.get("name", ""))
    for text in (id, cells.get("name", id)):
        if not is_name(text):
            _refuse(source, line, f"has the name '{shown(text)}'; write 1 to {MAX_TEXT} printable characters")
    environment = cells.get("environment", "")
    if environment not in ("indoor", "outdoor", ""):
        _refuse(source, line, f"has the environment '{shown(environment)}'; write indoor, outdoor, or nothing")
    if "index" in cells and cells["index"] != str(position):
        _refuse(source, line, f"has the index '{shown(cells['index'])}' where {position} is due; count up from 0")
    label = Label(id, cells.get("name", readable(id)), cast(EnvironmentKind, environment) if environment else None)
    # Where the list tells ids alone, or names that are ids, the names of Veduta's own scenes read better.
    return label if {"id", "name"} <= cells.keys() else replace(label, name=name_of(label, "en"))


def _refuse(source: str, line: int, what: str, cause: Exception | None = None) -> NoReturn:
    raise UsageError(f"{source}, line {line}: the row {what}.") from cause
