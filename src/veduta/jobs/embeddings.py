"""Embeddings into files: ``.npy`` with a list of the photos beside it, or Parquet."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from veduta.errors import OutputError, UsageError
from veduta.jobs.output import OutputFile
from veduta.jobs.rows import SCHEMA_VERSION, Result, Row, json_line
from veduta.jobs.writers import ParquetTable, Sink, unicode_only


def open_embedding_writer(target: Path, dimension: int) -> Sink:
    """A writer for ``.npy`` or ``.parquet``, for embeddings of ``dimension`` values.

    Raises UsageError for another suffix, MissingExtra for Parquet without pyarrow, OutputError where the place can't
    be written.
    """
    match target.suffix.lower():
        case ".npy":
            return NumpyWriter(target, dimension)
        case ".parquet":
            return ParquetEmbeddingWriter(target, dimension)
        case suffix:
            raise UsageError(f"{target}: the suffix {suffix!r} names no format for embeddings; use .npy or .parquet.")


class NumpyWriter:
    """float32 ``[n, dimension]`` in ``photos.npy``; beside it ``photos.jsonl``, one line for each photo of the input.

    A line has the photo's ``row`` in the array, its path and digest; a failure has no row, but error and message. The
    list appears first, so where the array is, both are whole.
    """

    def __init__(self, target: Path, dimension: int) -> None:
        self._dimension = dimension
        self._rows = 0
        self._array = OutputFile(target)
        try:
            self._list = OutputFile(target.with_suffix(".jsonl"))
        except OutputError:
            self._array.abandon()
            raise
        self._array.write(_header(0, dimension))

    def write(self, result: Result) -> None:
        """Append the embedding, and the photo to the list."""
        line = _place(result.row)
        if result.embedding is not None:
            line = {"schema_version": SCHEMA_VERSION, "row": self._rows, **line}
            self._array.write(result.embedding)
            self._rows += 1
        self._list.write(json_line(line))

    def finish(self) -> None:
        """Write the number of rows into the header, and bring both files to their places."""
        self._array.overwrite(_header(self._rows, self._dimension))
        self._list.finish()
        self._array.finish()

    def abandon(self) -> None:
        """Drop the partial files."""
        self._array.abandon()
        self._list.abandon()


class ParquetEmbeddingWriter:
    """Columns path, digest, embedding (float32, fixed size), error, message; one row for each photo of the input."""

    def __init__(self, target: Path, dimension: int) -> None:
        def schema(pa: Any) -> Any:
            text = pa.string()
            vector = pa.list_(pa.float32(), dimension)
            first = [("schema_version", pa.int32()), ("path", text), ("digest", text), ("embedding", vector)]
            return pa.schema([*first, ("error", text), ("message", text)])

        self._table = ParquetTable(target, schema)

    def write(self, result: Result) -> None:
        """Take the photo into the current row group."""
        line = unicode_only(_place(result.row))
        if result.embedding is not None:
            line["embedding"] = np.frombuffer(result.embedding, "<f4")
        self._table.add(line)

    def finish(self) -> None:
        """Write the last row group and the footer, and bring the file to its place."""
        self._table.finish()

    def abandon(self) -> None:
        """Drop the partial file."""
        self._table.abandon()


def _place(row: Row) -> Row:
    return {key: row[key] for key in ("schema_version", "path", "digest", "error", "message") if key in row}


def _header(rows: int, dimension: int) -> bytes:
    """The header of a ``.npy`` file; NumPy leaves room in it, so its length is the same for any number of rows."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (rows, dimension)})
    return header.getvalue()
