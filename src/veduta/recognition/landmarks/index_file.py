"""An index of landmarks on disk: one SQLite file, changed in transactions, so that it is as before or as wanted.

What is read is hostile until it is checked: sizes, numbers, texts. The embedding's identity stands in the file, for
vectors of another embedding mean nothing to this one.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from veduta.errors import IndexCorrupt, IndexIncompatible, IndexNotFound, LandmarkIndexError, OutputError
from veduta.images.limits import printable
from veduta.labels.translations import LANGUAGES
from veduta.recognition.landmarks.entries import (
    MAX_NAME,
    MAX_SIZE,
    MAX_SOURCE,
    EmbeddingIdentity,
    Entry,
    Reference,
    bounded_text,
    check_texts,
    checked_position,
)
from veduta.records import Landmark

FORMAT_VERSION = 1
#: So many vectors may a landmark have.
MAX_VECTORS = 64
#: Bytes of a reference photo's thumbnail; one of 320 pixels has some 20,000.
MAX_THUMBNAIL = 200_000

# No cell that is meant is larger: the vectors of a landmark have a million bytes at most.
_MAX_CELL = 4_000_000
_TABLES = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE landmarks(
    place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, city TEXT, latitude REAL, longitude REAL,
    names TEXT NOT NULL, source TEXT, outdoor REAL, vectors BLOB NOT NULL);
CREATE TABLE photos(
    landmark TEXT NOT NULL, path TEXT NOT NULL, digest TEXT NOT NULL, embedding BLOB NOT NULL, thumbnail BLOB,
    PRIMARY KEY (landmark, digest));
CREATE TABLE others(digest TEXT PRIMARY KEY, embedding BLOB NOT NULL);
"""
_TABLE_NAMES = {"meta", "landmarks", "photos", "others"}
_APPLICATION = 0x56454455  # "VEDU", told to `file` and to us


class IndexFile:
    """The file of an index, open; a context manager. Who reads waits while another program writes, for half a minute.

    Raises IndexNotFound where no file is, IndexCorrupt where it is something else or damaged, IndexIncompatible for
    another version, LandmarkIndexError where another program keeps it; OutputError where it can't be written.
    """

    def __init__(self, file: Path) -> None:
        if not file.is_file():
            raise IndexNotFound(
                f"{printable(str(file))}: there is no such index of landmarks; enrol one with "
                "`veduta landmarks enroll NAME PHOTOS`, or name another."
            )
        self.file = file
        with self._reading():
            self._connection = _connect(file)
        try:
            with self._reading():
                _careful(self._connection)
                if self._connection.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION:
                    raise self.corrupt("it is no index of landmarks")
                # A view, a trigger or a virtual table in a table's place could compute for ever when it is read.
                made = self._connection.execute(
                    "SELECT name FROM sqlite_master WHERE type != 'index' AND (type != 'table' OR sql LIKE '%VIRTUAL%' "
                    "OR sql LIKE '%GENERATED%' OR sql LIKE '% AS (%')"
                ).fetchall()
                named = self._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
                if made or {name for (name,) in named} != _TABLE_NAMES:
                    raise self.corrupt("it has other tables than an index")
                version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if version != FORMAT_VERSION:
                raise IndexIncompatible(
                    f"{printable(str(file))} is an index of version {version}, and this Veduta reads {FORMAT_VERSION}; "
                    "make it anew."
                )
            self.embedding = self._identity()
        except BaseException:
            self._connection.close()
            raise

    @classmethod
    def create(cls, file: Path, embedding: EmbeddingIdentity) -> Self:
        """A new index without landmarks. Raises OutputError where it can't be written or something is there."""
        if file.exists():
            raise OutputError(f"{printable(str(file))} is there already; name another file, or remove it.")
        beside = file.with_name(f".{file.name}.{os.getpid()}.part")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            remove_file(beside)
            with _connect(beside) as connection:
                connection.executescript(
                    f"PRAGMA page_size = 16384; PRAGMA application_id = {_APPLICATION};"
                    f"PRAGMA user_version = {FORMAT_VERSION}; BEGIN; {_TABLES} COMMIT;"
                )
                told = {"model": embedding.model, "embedding_id": embedding.embedding_id, "size": embedding.size}
                connection.execute("INSERT INTO meta VALUES ('embedding', ?)", (json.dumps(told),))
            connection.close()
            put_in_place(beside, file)
        except (OSError, sqlite3.Error) as error:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            raise _not_written(file, error) from error
        return cls(file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def ids(self) -> list[str]:
        """The landmarks' ids, in the order of ``vectors``."""
        return [self._id(row[0]) for row in self._rows("SELECT id FROM landmarks ORDER BY place")]

    def vectors(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """All reference vectors, float32 ``[n, d]``, and the first row of each landmark ``[l]``, in their order."""
        width = 4 * self.embedding.size
        blobs = [row[0] for row in self._rows("SELECT vectors FROM landmarks ORDER BY place")]
        lengths = [len(blob) if isinstance(blob, bytes) else -1 for blob in blobs]
        if any(length % width or not width <= length <= MAX_VECTORS * width for length in lengths):
            raise self.corrupt(f"a landmark's vectors are not of {self.embedding.size} numbers each")
        values = np.frombuffer(b"".join(blobs), "<f4").reshape(-1, self.embedding.size)
        starts = np.concatenate([[0], np.cumsum(np.array(lengths, np.int64) // width)[:-1]]).astype(np.int64)
        return self._checked(values), starts[: len(lengths)]

    def landmarks(self) -> Iterator[Landmark]:
        """All of them, in the order in which they came."""
        for row in self._rows(f"SELECT {_COLUMNS} FROM landmarks ORDER BY place"):
            yield self._landmark(row)

    def landmark(self, id: str) -> Landmark | None:
        """One by its id."""
        rows = self._rows(f"SELECT {_COLUMNS} FROM landmarks WHERE id = ?", (id,))
        return next((self._landmark(row) for row in rows), None)

    def outdoor(self, id: str) -> float | None:
        """The share of a landmark's photos that are outdoors."""
        found = self._rows("SELECT outdoor FROM landmarks WHERE id = ?", (id,))
        share = found[0][0] if found else None
        if share is not None and not (isinstance(share, float) and 0 <= share <= 1):
            raise self.corrupt(f"{printable(id)} is outdoors by {share!r}")
        return share

    def photos(self, id: str, *, thumbnails: bool = False) -> list[Reference]:
        """The reference photos of a landmark, in the order in which they came; thumbnails where they are asked for."""
        columns = "path, digest, embedding" + (", thumbnail" if thumbnails else "")
        return [
            self._reference(row)
            for row in self._rows(f"SELECT {columns} FROM photos WHERE landmark = ? ORDER BY rowid", (id,))
        ]

    def thumbnail(self, id: str, digest: str) -> bytes | None:
        """The small JPEG of a landmark's photo by its content's digest, None where none is kept or it is none."""
        rows = self._rows("SELECT thumbnail FROM photos WHERE landmark = ? AND digest = ?", (id, digest))
        picture = rows[0][0] if rows else None
        small_jpeg = (
            isinstance(picture, bytes) and picture.startswith(b"\xff\xd8\xff") and len(picture) <= MAX_THUMBNAIL
        )
        return picture if small_jpeg else None

    def photo_counts(self) -> dict[str, int]:
        """How many photos each landmark has, by id."""
        rows = self._rows("SELECT landmark, count(*) FROM photos GROUP BY landmark")
        return {self._id(id): int(count) for id, count in rows}

    def outline(self) -> str:
        """All of it that is neither a vector nor a picture, as text: two indexes that differ in it answer otherwise."""
        told = "SELECT id, name, city, latitude, longitude, names, source, outdoor FROM landmarks ORDER BY place"
        return repr((self._rows(told), self._rows("SELECT landmark, path, digest FROM photos ORDER BY rowid")))

    def others(self) -> NDArray[np.float32]:
        """Embeddings ``[n, d]`` of photos that show no landmark."""
        rows = self._rows("SELECT '', digest, embedding FROM others ORDER BY rowid")
        found = [self._reference(row).embedding for row in rows]
        return np.stack(found) if found else np.empty((0, self.embedding.size), np.float32)

    def told(self, key: str) -> Any:
        """What was kept under a key, as JSON; None where nothing was."""
        rows = self._rows("SELECT value FROM meta WHERE key = ?", (key,))
        try:
            return json.loads(rows[0][0]) if rows else None
        except (ValueError, TypeError, RecursionError) as error:
            raise self.corrupt(f"what it says of {key} is no JSON") from error

    @contextmanager
    def changing(self) -> Iterator[None]:
        """A transaction: all that happens within is on the disk afterwards, or nothing of it. Raises OutputError."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise _not_written(self.file, error) from error

    def put(self, entry: Entry) -> None:
        """Add a landmark, or take its place; within ``changing``. Raises UsageError for texts that can't be kept."""
        check_texts(entry.landmark)
        landmark, position = entry.landmark, entry.landmark.position or (None, None)
        names = json.dumps(dict(landmark.names), ensure_ascii=False)
        known = self._connection.execute("SELECT place FROM landmarks WHERE id = ?", (landmark.id,)).fetchone()
        self._connection.execute(
            "INSERT OR REPLACE INTO landmarks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                known[0] if known else None,
                *(landmark.id, landmark.name, landmark.city, *position, names, landmark.source, entry.outdoor),
                np.ascontiguousarray(entry.vectors, "<f4").tobytes(),
            ),
        )
        self._connection.execute("DELETE FROM photos WHERE landmark = ?", (landmark.id,))
        self._connection.executemany(
            "INSERT OR IGNORE INTO photos VALUES (?, ?, ?, ?, ?)",
            [
                (landmark.id, _storable(each.path), each.digest, _half(each.embedding), each.thumbnail)
                for each in entry.photos
            ],
        )

    def delete(self, id: str) -> None:
        """Take a landmark out; within ``changing``."""
        self._connection.execute("DELETE FROM landmarks WHERE id = ?", (id,))
        self._connection.execute("DELETE FROM photos WHERE landmark = ?", (id,))

    def put_others(self, photos: Iterable[Reference]) -> None:
        """Add photos that show no landmark; within ``changing``."""
        rows = [(each.digest, _half(each.embedding)) for each in photos]
        self._connection.executemany("INSERT OR IGNORE INTO others VALUES (?, ?)", rows)

    def tell(self, key: str, value: Any) -> None:
        """Keep JSON under a key; within ``changing``."""
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value)))

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._reading():
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, UnicodeError) as error:
            if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
                raise LandmarkIndexError(
                    f"{printable(str(self.file))} is being changed by another program; try again in a moment."
                ) from error
            raise self.corrupt(f"it can't be read: {error}") from error

    def _id(self, value: object) -> str:
        try:
            return bounded_text(value, MAX_NAME)
        except ValueError as error:
            raise self.corrupt(f"a landmark's id can't be used: {error}") from error

    def _identity(self) -> EmbeddingIdentity:
        told = self.told("embedding")
        try:
            model, id, size = (
                bounded_text(told["model"], MAX_NAME),
                bounded_text(told["embedding_id"], MAX_NAME),
                told["size"],
            )
            if not (isinstance(size, int) and 0 < size <= MAX_SIZE):
                raise ValueError(size)
        except (TypeError, KeyError, ValueError) as error:
            raise self.corrupt("it does not say whose embeddings it holds") from error
        return EmbeddingIdentity(model, id, size)

    def _landmark(self, row: tuple[Any, ...]) -> Landmark:
        id, name, city, latitude, longitude, names, source = row
        try:
            told = json.loads(names)
            known = tuple(
                (bounded_text(each, 8), bounded_text(told[each], MAX_NAME)) for each in told if each in LANGUAGES
            )
            position = None
            if latitude is not None or longitude is not None:
                position = checked_position(float(latitude), float(longitude))
            return Landmark(
                bounded_text(id, MAX_NAME),
                bounded_text(name, MAX_NAME),
                None if city is None else bounded_text(city, MAX_NAME),
                position,
                known,
                None if source is None else bounded_text(source, MAX_SOURCE),
            )
        except (TypeError, ValueError, RecursionError) as error:
            raise self.corrupt(f"what it says of {printable(str(id))[:80]} can't be used ({error})") from error

    def _reference(self, row: tuple[Any, ...]) -> Reference:
        path, digest, embedding, *thumbnail = row
        if not isinstance(embedding, bytes) or len(embedding) != 2 * self.embedding.size:
            raise self.corrupt(f"a photo's embedding is not of {self.embedding.size} numbers")
        values = self._checked(np.frombuffer(embedding, "<f2").astype(np.float32)[None])[0]
        picture = thumbnail[0] if thumbnail and isinstance(thumbnail[0], bytes) else None
        return Reference(str(path), str(digest), values, picture)

    def _checked(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Vectors as they are. Raises IndexCorrupt where one is not about as long as one."""
        lengths = np.einsum("nd,nd->n", values, values)
        if not bool((np.abs(lengths - 1) < 0.02).all()):  # not a number compares as False
            raise self.corrupt("a vector in it is not of length one")
        return values

    def corrupt(self, words: str) -> IndexCorrupt:
        """What to raise where something in the file can't be used."""
        return IndexCorrupt(f"{printable(str(self.file))} can't be used: {words}; make it anew, or restore the file.")


_COLUMNS = "id, name, city, latitude, longitude, names, source"


def remove_file(file: Path) -> None:
    """Remove an index with its journal: one that a killed process left would be played back into the next file."""
    for path in (file, _journal(file)):
        path.unlink(missing_ok=True)


def put_in_place(new: Path, file: Path) -> None:
    """Let a whole index take the place of another, or of none, in one step; what opened the other one keeps it."""
    _journal(file).unlink(missing_ok=True)
    new.replace(file)


def _journal(file: Path) -> Path:
    return file.with_name(f"{file.name}-journal")


def _connect(file: Path) -> sqlite3.Connection:
    # Threads of a server share it; sqlite3 itself is compiled to let only one in at a time.
    connection = sqlite3.connect(file, timeout=30, isolation_level=None, check_same_thread=False)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_CELL)
    return connection


def _careful(connection: sqlite3.Connection) -> None:
    for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _half(vector: NDArray[np.float32]) -> bytes:
    return vector.astype("<f2").tobytes()


def _storable(text: str) -> str:
    """Names of files may hold bytes that are no letters; SQLite takes letters alone."""
    return text.encode("utf-8", "backslashreplace").decode()


def _not_written(file: Path, error: Exception) -> OutputError:
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return OutputError(
        f"{printable(str(file))} can't be written ({words}) and is as it was; check its space and permissions."
    )
