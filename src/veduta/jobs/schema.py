"""The tables of a ledger and the checksums of their rows.

SQLite notices a page that is no page, but it can't notice a flipped bit inside a value, a zeroed overflow page, or an
index that leads to another content's row. So each row carries a checksum over what was *asked for* and what was
found.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from blake3 import blake3

SCHEMA_VERSION = 1

TABLES = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL, checksum BLOB NOT NULL);
CREATE TABLE files(
    id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL, digest TEXT NOT NULL, checksum BLOB NOT NULL);
CREATE TABLE answers(
    id INTEGER PRIMARY KEY, digest TEXT NOT NULL, fingerprint TEXT NOT NULL, size INTEGER NOT NULL,
    state TEXT NOT NULL, row TEXT NOT NULL, embedding BLOB, overlay BLOB, checksum BLOB NOT NULL);
CREATE UNIQUE INDEX answers_by_content ON answers(digest, fingerprint);
CREATE INDEX answers_by_size ON answers(size);
"""

PUT_META = "INSERT INTO meta(key, value, checksum) VALUES (?, ?, ?)"
PUT_FILE = """
INSERT INTO files(path, size, mtime_ns, ctime_ns, digest, checksum) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT(path) DO UPDATE SET size = excluded.size, mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns,
    digest = excluded.digest, checksum = excluded.checksum
"""
PUT_ANSWER = """
INSERT INTO answers(digest, fingerprint, size, state, row, embedding, overlay, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT(digest, fingerprint) DO UPDATE SET size = excluded.size, state = excluded.state, row = excluded.row,
    embedding = excluded.embedding, overlay = excluded.overlay, checksum = excluded.checksum
"""

UNREADABLE = "its pages can't be read"


class WrongChecksum(sqlite3.DatabaseError):
    """A row is not what was written: damage that SQLite itself has not noticed."""


#: What reading a ledger may raise. SQLite quotes damaged names in its messages, which then are no UTF-8.
ERRORS = (sqlite3.Error, UnicodeError)

#: SQLite's own codes that mean "this file is not what it was", by their low byte. ERROR is among them because the
#: statements here are fixed: a table that they name and SQLite does not find was lost to damage.
_DAMAGE = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_INTERNAL,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_TOOBIG,
}
#: The same by the whole code: a page past the end of the file; keys that are twice although a conflict is resolved.
_DAMAGE_IN_FULL = {
    sqlite3.SQLITE_IOERR_SHORT_READ,
    sqlite3.SQLITE_CONSTRAINT_UNIQUE,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
    sqlite3.SQLITE_CONSTRAINT_ROWID,
}


def checksum(*parts: object) -> bytes:
    """Eight bytes of BLAKE3 over the parts, in which no part can pass for its neighbour."""
    packed = []
    for part in parts:
        data = b"" if part is None else part if isinstance(part, bytes) else str(part).encode()
        packed += [b"%d:" % (-1 if part is None else len(data)), data]
    return blake3(b"".join(packed)).digest(length=8)


def connect(path: str, busy_seconds: float) -> sqlite3.Connection:
    """Open a database in autocommit mode; text comes back as bytes, for a damaged text may be no UTF-8."""
    connection = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None)
    connection.text_factory = bytes
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def create_tables(connection: sqlite3.Connection) -> None:
    """Write the empty tables, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in TABLES.strip().split(";\n"):
        connection.execute(statement)
    version = str(SCHEMA_VERSION)
    connection.execute(PUT_META, ("version", version, checksum("version", version)))
    connection.execute("COMMIT")


def is_damage(error: BaseException) -> bool:
    """Whether an error of SQLite tells of damage, and not of a full disk, a lock or a missing permission."""
    if isinstance(error, UnicodeError):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.ProgrammingError)
    return (code & 0xFF) in _DAMAGE or code in _DAMAGE_IN_FULL


def explain(error: Exception, path: Path | None) -> str:
    """One sentence on an error of SQLite that is not damage: what happened to the ledger, and what to do."""
    ledger = "The temporary ledger" if path is None else f"The ledger {path}"
    code = getattr(error, "sqlite_errorcode", None)
    match None if code is None else code & 0xFF:
        case sqlite3.SQLITE_FULL:
            return f"{ledger} can't grow, because the disk is full: free some space and give the same command again."
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_AUTH:
            return (
                f"{ledger} can't be opened for writing ({error}): name another folder in VEDUTA_CACHE, or work"
                " without a ledger (--no-ledger)."
            )
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"{ledger} is held by another program: wait until that has ended, or name another in VEDUTA_CACHE."
        case _:
            return f"{ledger} can't be used ({error}): check its disk, or name another folder in VEDUTA_CACHE."
