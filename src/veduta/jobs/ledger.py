"""The ledger: what a job has already answered, kept in SQLite so that a killed run goes on where it stopped.

An answer belongs to the *content* of a photo (its digest) and to all that the answer depends on (the fingerprint of
the run). Path, size and times of a file only spare reading it again, so a moved photo keeps its answer. See
docs/jobs.md for the tables and the promises.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import platformdirs
from blake3 import blake3

from veduta.errors import LedgerError
from veduta.jobs import salvage, schema

T = TypeVar("T")
State = Literal["answered", "failed"]

_BUSY_SECONDS = 30.0
_ANSWER_VALUES = attrgetter("digest", "fingerprint", "size", "state", "row", "embedding", "overlay")
#: A file that changed this shortly before it was looked at may change again within the same tick of the file system's
#: clock and look the same; two seconds is the coarsest tick there is (FAT).
_SETTLED_AFTER_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as the file system described it at one moment; ``settled`` tells whether that can be relied on."""

    path: bytes
    size: int
    mtime_ns: int
    ctime_ns: int
    settled: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What the ledger keeps for one content under one fingerprint: JSON without path, name or clock.

    ``size`` is the file's size in bytes: contents of a size that was never answered need no hashing to be new.
    ``embedding`` holds float32 values where they were asked for, ``overlay`` the heat map as a picture.
    """

    digest: str
    fingerprint: str
    size: int
    state: State
    row: str
    embedding: bytes | None = None
    overlay: bytes | None = None


def default_path() -> Path:
    """``ledger.sqlite3`` in the folder named by VEDUTA_CACHE, or else in the user's cache folder for Veduta."""
    folder = os.environ.get("VEDUTA_CACHE")
    return (Path(folder) if folder else platformdirs.user_cache_path("veduta", appauthor=False)) / "ledger.sqlite3"


def look_at(path: str) -> FileState:
    """Ask the file system about a file. Raises OSError, and ValueError for a name that no file can have."""
    now = time.time_ns()
    found = os.stat(path)  # noqa: PTH116 (a Path object for each of a million photos costs more than the call)
    settled = max(found.st_mtime_ns, found.st_ctime_ns) < now - _SETTLED_AFTER_NS
    key = os.fsencode(os.path.abspath(path))  # noqa: PTH100
    return FileState(key, found.st_size, found.st_mtime_ns, found.st_ctime_ns, settled)


def fingerprint(parts: Mapping[str, object]) -> str:
    """32 hex digits over all that an answer depends on; the parts must be plain JSON values."""
    packed = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return blake3(packed.encode()).hexdigest(length=16)


class Ledger:
    """The answers of all runs, in one SQLite file (WAL, ``synchronous=FULL``) that only the parent process writes.

    ``recovered`` is None, or what the user should be told of damage that was found so far, and of what became of it.
    Several runs may share a ledger; one object is not for use from several threads.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path | None, recovered: str | None = None) -> None:
        self._connection = connection
        self.recovered = recovered
        self.path = path
        last = self._guarded(lambda: self._connection.execute("SELECT max(id) FROM answers").fetchone())
        self._last_old: int = last[0] or 0

    @classmethod
    def open(cls, path: Path | None = None) -> Self:
        """Open the ledger at ``path`` (``default_path()`` where None), made if absent, recovered if damaged.

        Raises LedgerError where the place can't be written, or where the file belongs to a newer Veduta or to another
        program.
        """
        place = (default_path() if path is None else path).absolute()
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.exists():
                _create(place)
            elif not place.is_file():
                raise LedgerError(f"The ledger can't be at {place}, which is not a file: name another place for it.")
            connection, note = _open_or_recover(place)
            return cls(connection, place, note)
        except schema.ERRORS as error:
            raise LedgerError(schema.explain(error, place)) from error
        except OSError as error:
            raise LedgerError(
                f"The ledger {place} can't be opened ({error.strerror}): name another folder in VEDUTA_CACHE, or work"
                " without a ledger (--no-ledger)."
            ) from error

    @classmethod
    def temporary(cls) -> Self:
        """A ledger for one run, in a file that vanishes with it; it only spares answering the same content twice."""
        connection = schema.connect("", _BUSY_SECONDS)
        connection.execute("PRAGMA synchronous = OFF")
        schema.create_tables(connection)
        return cls(connection, None)

    def digest_of(self, state: FileState) -> str | None:
        """The content that this very state of the file had when an earlier run read it, or None."""
        if not self._last_old:
            return None  # no earlier run has left an answer, so no content need be known
        values = state.path, state.size, state.mtime_ns, state.ctime_ns

        def ask() -> str | None:
            question = (
                "SELECT digest, checksum FROM files WHERE path = ? AND size = ? AND mtime_ns = ? AND ctime_ns = ?"
            )
            found = self._connection.execute(question, values).fetchone()
            if found is None:
                return None
            _verify(found[-1], *values, found[0])
            return str(found[0], "ascii")

        return self._guarded(ask)

    def had_size(self, size: int) -> bool:
        """Whether a content of this size in bytes was answered before this ledger was opened.

        If not, no hashing can find an earlier answer; contents that are twice in one run show themselves when decoded.
        """
        if not self._last_old:
            return False
        question = "SELECT 1 FROM answers WHERE size = ? AND id <= ? LIMIT 1"
        asked = size, self._last_old
        return self._guarded(lambda: self._connection.execute(question, asked).fetchone()) is not None

    def answer(self, digest: str, *fingerprints: str) -> Answer | None:
        """The answer to a content under the first of these fingerprints that has one."""
        question = (
            "SELECT fingerprint, size, state, row, embedding, overlay, checksum FROM answers"
            f" WHERE digest = ? AND fingerprint IN ({','.join('?' * len(fingerprints))})"
        )

        def ask() -> Answer | None:
            found = [_answer(digest, values) for values in self._connection.execute(question, (digest, *fingerprints))]
            return min(found, key=lambda answer: fingerprints.index(answer.fingerprint), default=None)

        return self._guarded(ask)

    def record(self, files: Iterable[tuple[FileState, str]], answers: Iterable[Answer]) -> None:
        """Write a batch in one transaction: which content the files had, and the answers to contents.

        Files that were not settled are left out, so that the next run reads them again. Raises LedgerError where the
        disk is full or fails; then none of the batch is written.
        """
        known = [
            (*state, digest, schema.checksum(*state, digest))
            for state, digest in (((f.path, f.size, f.mtime_ns, f.ctime_ns), d) for f, d in files if f.settled)
        ]
        found = [(*values, schema.checksum(*values)) for values in map(_ANSWER_VALUES, answers)]

        def write() -> None:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(schema.PUT_FILE, known)
                self._connection.executemany(schema.PUT_ANSWER, found)
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise

        self._guarded(write)

    def close(self) -> None:
        """Fold the log into the file and let go of it; safe to call twice."""
        with suppress(sqlite3.Error):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _guarded(self, step: Callable[[], T]) -> T:
        """Run a step; where it meets damage, recover the ledger and run the step once more."""
        try:
            try:
                return step()
            except schema.ERRORS as error:
                if self.path is None or not schema.is_damage(error):
                    raise
                self._connection.close()
                harm = str(error) if isinstance(error, schema.WrongChecksum) else schema.UNREADABLE
                self._connection, note = _recover(self.path, harm)
                self.recovered = f"{self.recovered} {note}" if self.recovered else note
                return step()
        except schema.ERRORS as error:
            raise LedgerError(schema.explain(error, self.path)) from error
        except OSError as error:
            raise LedgerError(
                f"The damaged ledger {self.path} can't be replaced ({error.strerror}): check its disk."
            ) from error


def _answer(digest: str, found: tuple[Any, ...]) -> Answer:
    fingerprint, size, state, row, embedding, overlay, checksum = found
    # The digest is the one asked for, not the row's: an index that leads to another content's row is noticed too.
    _verify(checksum, digest, fingerprint, size, state, row, embedding, overlay)
    known: State = "answered" if state == b"answered" else "failed"
    return Answer(digest, fingerprint.decode(), size, known, row.decode(), embedding, overlay)


def _verify(checksum: object, *parts: object) -> None:
    if checksum != schema.checksum(*parts):
        raise schema.WrongChecksum("a row did not match its checksum")


def _create(place: Path) -> None:
    """Build an empty ledger beside its place and move it there whole: no kill leaves half a ledger."""
    fresh = place.with_name(f"{place.name}.new-{os.getpid()}")
    try:
        with closing(schema.connect(os.fspath(fresh), _BUSY_SECONDS)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            schema.create_tables(connection)
        try:
            os.link(fresh, place)  # unlike a rename, it never replaces what another run has put there meanwhile
        except FileExistsError:
            return
        except OSError:
            fresh.replace(place)  # a file system without hard links
    finally:
        for suffix in ("", "-wal", "-shm"):  # SQLite leaves its log where the disk is full
            Path(f"{fresh}{suffix}").unlink(missing_ok=True)


def _open_or_recover(place: Path) -> tuple[sqlite3.Connection, str | None]:
    harm = salvage.damage_of(place)
    if harm is None:
        suspected = salvage.has_log(place)
        connection = schema.connect(os.fspath(place), _BUSY_SECONDS)
        try:
            harm = salvage.damage_inside(connection, place, suspected)
            if harm is None:
                _make_durable(connection)
                return connection, None
        except BaseException as error:
            connection.close()
            if not schema.is_damage(error):
                raise
            harm = schema.UNREADABLE
        connection.close()
    return _recover(place, harm)


def _recover(place: Path, harm: str) -> tuple[sqlite3.Connection, str]:
    """Keep a damaged ledger aside, start a new one, save what can be read; returns it and the sentence about it."""
    aside = salvage.set_aside(place)
    _create(place)
    connection = schema.connect(os.fspath(place), _BUSY_SECONDS)
    try:
        _make_durable(connection)
        saved = salvage.salvage(aside, connection)
    except BaseException:
        connection.close()
        raise
    answers = {0: "no answer", 1: "1 answer"}.get(saved, f"{saved} answers")
    note = (
        f"The ledger {place} was damaged ({harm}): {answers} could be saved, and the damaged file is kept as {aside}."
    )
    return connection, note


def _make_durable(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("BEGIN IMMEDIATE")  # a read-only place is refused here, before hours of work
    connection.execute("COMMIT")
