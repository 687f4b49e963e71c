"""What to do with a ledger that was cut short, zeroed or otherwise harmed: notice it, keep it aside, save its rows.

Nothing here is needed for correctness, since a row whose checksum fails is never served; it is needed so that
hours of answers outlive a bad sector, and so that the user is told.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from veduta.errors import LedgerError
from veduta.jobs import schema

_Row = tuple[Any, ...]

_MAGIC = b"SQLite format 3\x00"
#: A check of all pages and indices takes some 2 ms a megabyte. Above these sizes damage is noticed where it is met: the
#: first after a run that closed its ledger in order, the second after one that did not.
_ALWAYS_CHECK_BYTES = 4 * 1024 * 1024
_CHECK_IF_SUSPECTED_BYTES = 64 * 1024 * 1024
#: How far a salvage looks past the last row that could be read.
_FARTHEST_ID = 1 << 40
_ROWS_AT_ONCE = 256

_READ_FILES = """
SELECT id, path, size, mtime_ns, ctime_ns, digest, checksum FROM files NOT INDEXED WHERE id > ? ORDER BY id LIMIT ?
"""
_READ_ANSWERS = """
SELECT id, digest, fingerprint, size, state, row, embedding, overlay, checksum FROM answers NOT INDEXED
WHERE id > ? ORDER BY id LIMIT ?
"""


def damage_of(path: Path) -> str | None:
    """What is visibly wrong with an existing file before SQLite opens it, in a few words, or None.

    A ledger is created beside its place and moved there whole, so an empty file is a harmed one.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(100)
        if size == 0:
            return "it was empty"
        if len(header) < 100 or not header.startswith(_MAGIC):
            return "it was no database"
        if has_log(path):
            return None  # the write-ahead log may hold the pages that the file lacks
        page = int.from_bytes(header[16:18], "big")
        page = 65536 if page == 1 else page
        if size < int.from_bytes(header[28:32], "big") * page:
            return "it was cut short"
        file.seek(max(0, size - page))
        return None if any(file.read(page)) else "its end was zeroed"


def damage_inside(connection: sqlite3.Connection, path: Path, suspected: bool) -> str | None:
    """What SQLite itself finds wrong, in a few words, or None.

    ``suspected``: the last run did not close its ledger in order, which earns a larger file the look at all pages.
    """
    try:
        if path.stat().st_size <= (_CHECK_IF_SUSPECTED_BYTES if suspected else _ALWAYS_CHECK_BYTES):
            found = connection.execute("PRAGMA integrity_check(1)").fetchone()
            if found != (b"ok",):
                return "its pages contradict each other"
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        if tables and not tables & {b"meta", b"files", b"answers"}:
            raise LedgerError(
                f"{path} is the database of another program: name another folder in VEDUTA_CACHE for the ledger."
            )
        row = connection.execute("SELECT value, checksum FROM meta WHERE key = 'version'").fetchone()
        if row is None or row[1] != schema.checksum("version", row[0]):
            return "its version can't be read"
        if int(row[0]) > schema.SCHEMA_VERSION:
            raise LedgerError(
                f"The ledger {path} was written by a newer Veduta (version {int(row[0])} of its tables, this one knows"
                f" {schema.SCHEMA_VERSION}): update Veduta, or name another folder in VEDUTA_CACHE."
            )
        for reading in (_READ_FILES, _READ_ANSWERS):
            connection.execute(reading, (0, 1)).fetchall()
    except schema.ERRORS as error:
        if schema.is_damage(error):
            return schema.UNREADABLE
        raise
    return None


def set_aside(path: Path) -> Path:
    """Rename a harmed ledger and its log to ``*.damaged-1`` (or the next free number); returns the new path."""
    number = 1
    while (aside := Path(f"{path}.damaged-{number}")).exists():
        number += 1
    path.replace(aside)
    with suppress(FileNotFoundError):
        # SQLite finds a log by its name, so it must keep the file's name in front.
        Path(f"{path}-wal").replace(f"{aside}-wal")
    with suppress(FileNotFoundError):
        Path(f"{path}-shm").unlink()
    return aside


def salvage(aside: Path, into: sqlite3.Connection) -> int:
    """Copy each row that can still be read and whose checksum holds; returns the number of answers saved."""
    saved = 0
    with closing(schema.connect(os.fspath(aside), 1.0)) as connection:
        # Only so does SQLite open a file that is shorter than its header says.
        connection.execute("PRAGMA writable_schema = ON")
        for rows in _readable(connection, _READ_FILES):
            sound = [row[1:] for row in rows if row[6] == schema.checksum(*row[1:6])]
            _put(into, schema.PUT_FILE, [_as_text(row, (4,)) for row in sound])
        for rows in _readable(connection, _READ_ANSWERS):
            sound = [row[1:] for row in rows if row[8] == schema.checksum(*row[1:8])]
            _put(into, schema.PUT_ANSWER, [_as_text(row, (0, 1, 3, 4)) for row in sound])
            saved += len(sound)
    return saved


def _readable(connection: sqlite3.Connection, reading: str) -> Iterator[list[_Row]]:
    """Walk a table by its row ids; where a page can't be read, step over it in strides that double."""
    last, stride = 0, 1
    while last < _FARTHEST_ID:
        rows: list[_Row] = []
        try:
            for row in connection.execute(reading, (last, _ROWS_AT_ONCE)):
                rows.append(row)
            harmed = False
        except schema.ERRORS:
            harmed = True
        if rows:
            yield rows
            last, stride = max(last + 1, *(row[0] for row in rows)), 1
        elif not harmed:
            return
        if harmed:
            last, stride = last + stride, stride * 2


def _put(into: sqlite3.Connection, statement: str, rows: list[_Row]) -> None:
    into.execute("BEGIN IMMEDIATE")
    into.executemany(statement, rows)
    into.execute("COMMIT")


def _as_text(row: _Row, columns: tuple[int, ...]) -> _Row:
    return tuple(value.decode() if at in columns else value for at, value in enumerate(row))


def has_log(path: Path) -> bool:
    """Whether a write-ahead log lies beside the ledger: its last user did not close it, or has not closed it yet."""
    try:
        return Path(f"{path}-wal").stat().st_size > 0
    except FileNotFoundError:
        return False
