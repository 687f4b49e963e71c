"""Rows into files: JSON Lines, CSV and Parquet, chosen by the suffix of the file's name."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from veduta.errors import MissingExtra, OutputError, UsageError
from veduta.jobs.output import OutputFile
from veduta.jobs.rows import Layout, Result, Row, json_line
from veduta.labels.text_file import neutral
from veduta.recognition.attributes import TOP_ATTRIBUTES

_ROWS_A_GROUP = 4096

_PHOTO_COLUMNS = ("path", "digest", "format", "width", "height", "taken", "latitude", "longitude", "marks")
_ANSWER_COLUMNS = (
    "coarse_id",
    "coarse_name",
    "coarse_probability",
    "environment",
    "outdoor_probability",
    "outdoor_vote",
    "environment_margin",
    "attributes",
    "evidence",
    "fits",
    "evidence_reason",
    "model",
    "bundle_id",
    "precision",
    "calibrated",
)
_LANDMARK_COLUMNS = (
    *("landmark_id", "landmark_name", "landmark_similarity", "landmark_threshold", "landmark_margin"),
    *("landmark_reason", "landmark_reference"),
)
_LAST_COLUMNS = ("error", "message", "schema_version")


class Sink(Protocol):
    """Where results go, in the order of the input: a file, a report, a table on the terminal."""

    def write(self, result: Result) -> None:
        """Take the next result."""
        ...

    def finish(self) -> None:
        """All results are there: make them visible."""
        ...

    def abandon(self) -> None:
        """The run ends early: leave nothing half done behind. May follow ``finish``, and then does nothing."""
        ...


def open_writer(target: Path, layout: Layout) -> Sink:
    """A writer for ``.jsonl``, ``.csv`` or ``.parquet``; the target is checked and its partial file made at once.

    Raises UsageError for another suffix, MissingExtra for Parquet without pyarrow, OutputError where the place can't
    be written.
    """
    match target.suffix.lower():
        case ".jsonl":
            return JsonLinesWriter(target)
        case ".csv":
            return CsvWriter(target, layout)
        case ".parquet":
            return ParquetWriter(target, layout)
        case suffix:
            raise UsageError(
                f"{target}: the suffix {suffix!r} names no format; use .jsonl (JSON Lines), .csv or .parquet."
            )


class JsonLinesWriter:
    """One row of JSON a line, in UTF-8."""

    def __init__(self, target: Path) -> None:
        self._output = OutputFile(target)

    def write(self, result: Result) -> None:
        """Append the row."""
        self._output.write(json_line(result.row))

    def finish(self) -> None:
        """Bring the file to its place."""
        self._output.finish()

    def abandon(self) -> None:
        """Drop the partial file."""
        self._output.abandon()


class CsvWriter:
    """A table for people and spreadsheets: one line a photo, the first coarse label only, no list in a cell."""

    def __init__(self, target: Path, layout: Layout) -> None:
        self._layout = layout
        self._output = OutputFile(target)
        self._line = io.StringIO(newline="")
        self._csv = csv.writer(self._line, lineterminator="\r\n")
        self._put(csv_columns(layout))

    def write(self, result: Result) -> None:
        """Append the row's cells."""
        self._put(csv_cells(result.row, self._layout))

    def finish(self) -> None:
        """Bring the file to its place."""
        self._output.finish()

    def abandon(self) -> None:
        """Drop the partial file."""
        self._output.abandon()

    def _put(self, cells: Iterable[object]) -> None:
        self._csv.writerow(cells)
        self._output.write(self._line.getvalue().encode("utf-8", "backslashreplace"))
        self._line.seek(0)
        self._line.truncate()


class ParquetWriter:
    """The row as nested columns, compressed; needs pyarrow (extra ``parquet``)."""

    def __init__(self, target: Path, layout: Layout) -> None:
        self._table = ParquetTable(target, lambda pyarrow: _parquet_schema(pyarrow, layout))

    def write(self, result: Result) -> None:
        """Take the row into the current row group."""
        self._table.add(unicode_only(result.row))

    def finish(self) -> None:
        """Write the last row group and the footer, and bring the file to its place."""
        self._table.finish()

    def abandon(self) -> None:
        """Drop the partial file."""
        self._table.abandon()


class ParquetTable:
    """Rows to a Parquet file by groups, so that memory stays flat."""

    def __init__(self, target: Path, schema: Callable[[Any], Any]) -> None:
        self._pyarrow, parquet = _pyarrow()
        self._schema = schema(self._pyarrow)
        self._output = OutputFile(target)
        self._rows: list[Row] = []
        self._writer = parquet.ParquetWriter(self._output.file, self._schema, compression="zstd")

    def add(self, row: Row) -> None:
        """Take a row, and write the group if it is full."""
        self._rows.append(row)
        if len(self._rows) >= _ROWS_A_GROUP:
            self._write_group()

    def finish(self) -> None:
        """Write the last group and the footer, and bring the file to its place."""
        try:
            self._write_group()
            self._writer.close()
        except OSError as error:
            raise self._output.error(error) from error
        self._output.finish()

    def abandon(self) -> None:
        """Drop the partial file."""
        if self._writer.is_open:
            try:
                self._writer.close()
            except (OSError, OutputError):
                self._writer.is_open = False
        self._output.abandon()

    def _write_group(self) -> None:
        if self._rows:
            self._writer.write_table(self._pyarrow.Table.from_pylist(self._rows, schema=self._schema))
            self._rows.clear()


def unicode_only(row: Row) -> Row:
    """The row with half surrogate pairs in path and message written out as ``\\udcff``, for formats without them."""
    clean = dict(row)
    for key in ("path", "message"):
        if key in clean and not clean[key].isascii():
            clean[key] = clean[key].encode("utf-8", "backslashreplace").decode()
    return clean


def csv_columns(layout: Layout) -> list[str]:
    """The names of the columns; with several models, those of an answer carry the model's name and a dot in front."""
    scores = [f"top{place}_{part}" for place in range(1, layout.top_k + 1) for part in ("id", "name", "probability")]
    attributes = _attribute_places(layout)
    parts = ("id", "name", "probability", "source")
    answer = [*scores, *_ANSWER_COLUMNS, *(f"attribute{place}_{part}" for place in attributes for part in parts)]
    landmark = _LANDMARK_COLUMNS if layout.landmarks else ()
    if not layout.side_by_side:
        return [*_PHOTO_COLUMNS, *answer, *landmark, *_LAST_COLUMNS]
    names = [f"{model}.{column}" for model in (*layout.models, "combined") for column in answer]
    return [*_PHOTO_COLUMNS, *(neutral(name) for name in names), *landmark, *_LAST_COLUMNS]


def csv_cells(row: Row, layout: Layout) -> list[object]:
    """The cells of one row, in the order of ``csv_columns``; what a row does not have is an empty cell."""
    facts = row.get("facts", {})
    latitude, longitude = facts.get("position", (None, None))
    cells: list[object] = [row["path"], row.get("digest"), facts.get("format"), facts.get("width"), facts.get("height")]
    cells += [facts.get("taken"), latitude, longitude, "; ".join(facts.get("marks", ()))]
    answers = [row]
    if layout.side_by_side:
        answers = [*(row.get("models", {}).get(model, {}) for model in layout.models), row.get("combined", {})]
    for answer in answers:
        cells += _answer_cells(answer, layout)
    if layout.landmarks:
        cells += _landmark_cells(row.get("landmark", {}))
    cells += [row.get("error"), row.get("message"), row["schema_version"]]
    return [_cell(value) for value in cells]


def _attribute_places(layout: Layout) -> range:
    return range(1, TOP_ATTRIBUTES + 1) if layout.attributes else range(0)


def _answer_cells(answer: Row, layout: Layout) -> list[object]:
    top_k = layout.top_k
    scores = answer.get("scores", [])[:top_k]
    cells: list[object] = []
    for score in scores:
        cells += [score["id"], score["name"], score["probability"]]
    cells += [None] * (3 * (top_k - len(scores)))
    coarse: Row = next(iter(answer.get("coarse", ())), {})
    cells += [coarse.get("id"), coarse.get("name"), coarse.get("probability")]
    environment, evidence = answer.get("environment", {}), answer.get("evidence", {})
    cells += [environment.get(key) for key in ("kind", "outdoor_probability", "outdoor_vote", "margin")]
    cells += ["; ".join(attribute["name"] for attribute in answer.get("attributes", ()))]
    cells += [evidence.get(key) for key in ("value", "fits", "reason")]
    cells += [answer.get(key) for key in ("model", "bundle_id", "precision", "calibrated")]
    attributes = answer.get("attributes", [])
    for place in _attribute_places(layout):
        attribute: Row = attributes[place - 1] if place <= len(attributes) else {}
        cells += [attribute.get(key) for key in ("id", "name", "probability", "source")]
    return cells


def _landmark_cells(landmark: Row) -> list[object]:
    """The answer, or where there is none the nearest landmark's figures without its name, and why."""
    candidates, references = landmark.get("candidates", []), landmark.get("references", [])
    shown: Row = next((each for each in candidates if each["id"] == landmark["id"]), next(iter(candidates), {}))
    figures = [shown.get("similarity"), shown.get("threshold"), landmark.get("margin"), landmark.get("reason")]
    return [landmark.get("id"), landmark.get("name"), *figures, references[0]["path"] if references else None]


def _cell(value: object) -> object:
    if isinstance(value, str):
        return neutral(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


def _pyarrow() -> tuple[Any, Any]:
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingExtra(
            'Parquet needs pyarrow, which is not installed: pip install "veduta[parquet]", or write .jsonl or .csv.'
        ) from error


def _parquet_schema(pa: Any, layout: Layout) -> Any:
    text, number, truth = pa.string(), pa.float64(), pa.bool_()
    score = [("id", text), ("name", text), ("probability", number)]
    environment = [("kind", text), ("outdoor_probability", number), ("outdoor_vote", number), ("margin", number)]
    answer = [
        ("crop", pa.list_(number)),
        ("scores", pa.list_(pa.struct(score))),
        ("coarse", pa.list_(pa.struct([*score, ("ancestors", pa.list_(text))]))),
        ("environment", pa.struct(environment)),
        ("attributes", pa.list_(pa.struct([*score, ("source", text)] if layout.attributes else score))),
        ("evidence", pa.struct([("value", number), ("threshold", number), ("fits", truth), ("reason", text)])),
        ("model", text),
        ("bundle_id", text),
        ("precision", text),
        ("calibrated", truth),
    ]
    size = [("format", text), ("width", pa.int32()), ("height", pa.int32())]
    facts = pa.struct([*size, ("taken", text), ("position", pa.list_(number)), ("marks", pa.list_(text))])
    columns = [("schema_version", pa.int32()), ("path", text), ("digest", text), ("facts", facts)]
    if layout.side_by_side:
        columns += [("models", pa.struct([(model, pa.struct(answer)) for model in layout.models]))]
        columns += [("combined", pa.struct([("basis", text), *answer[1:4]]))]
    else:
        columns += answer
    if layout.landmarks:
        columns += [("landmark", pa.struct(_landmark_fields(pa)))]
    return pa.schema([*columns, ("error", text), ("message", text)])


def _landmark_fields(pa: Any) -> list[tuple[str, Any]]:
    text, number = pa.string(), pa.float64()
    candidate = [
        *(("id", text), ("name", text), ("city", text), ("position", pa.list_(number))),
        *(("similarity", number), ("threshold", number), ("rejection", text), ("reason", text)),
    ]
    reference = [("path", text), ("similarity", number)]
    return [
        *(("id", text), ("name", text), ("reason", text), ("margin", number)),
        ("candidates", pa.list_(pa.struct(candidate))),
        ("references", pa.list_(pa.struct(reference))),
        ("index", text),
    ]
