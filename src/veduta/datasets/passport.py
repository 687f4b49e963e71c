"""What is known of every photo that was looked for: where it lies, whose it is, what became of it.

An SQLite database, so that a killed run goes on with what it had. A row is written after its file is whole on the disk:
a file without a row is whole as well, and gets its row when its address comes again.
"""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Self

from veduta.datasets.search.found import Found
from veduta.errors import OutputError
from veduta.labels.text_file import neutral
from veduta.whole_file import write_whole

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Visa:
    """What became of a ``photo`` of the class ``label``.

    ``file`` is relative to the passport's folder, and "" where there is none; then ``failure`` says why. ``seen`` is
    when that was, in UTC. ``hash`` is the perceptual one, PDQ's 256 bits in hexadecimal, and ``dropped`` why cleaning
    left the photo out; both are "" until it was cleaned, and the second where it is used.
    """

    label: str
    photo: Found
    file: str = ""
    sha256: str = ""
    failure: str = ""
    seen: str = ""
    hash: str = ""
    dropped: str = ""


_OF_PHOTO = [field.name for field in fields(Found)]
_OF_VISA = [field.name for field in fields(Visa) if field.name != "photo"]
_COLUMNS = ["place", *_OF_PHOTO, *_OF_VISA]
#: The columns of the table for people.
TABLE = (
    *("label", "url", "page", "title", "author", "licence", "licence_url", "provider", "path"),
    *("file", "sha256", "hash", "seen", "failure", "dropped"),
)


class Passport:
    """The visas of a folder's photos; a context manager. Raises OutputError where it can't be read or written."""

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(file, timeout=30)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, _VERSION):
                raise OutputError(f"{file} was written by another version; name another folder.")
            with self._connection:
                columns = ", ".join(f"{name} TEXT NOT NULL" for name in _COLUMNS)
                self._connection.execute(f"CREATE TABLE IF NOT EXISTS photos ({columns}, PRIMARY KEY (label, place))")
                self._connection.execute(f"PRAGMA user_version = {_VERSION}")
        except (sqlite3.Error, OSError) as error:
            raise self._broken(error) from error

    def visa(self, label: str, place: str) -> Visa | None:
        """What became of a photo; None where it was never tried."""
        rows = self._rows("WHERE label = ? AND place = ?", (label, _storable(place)))
        return next(rows, None)

    def of_label(self, label: str) -> list[Visa]:
        """All visas of a class, in the order in which they were written."""
        return list(self._rows("WHERE label = ? ORDER BY rowid", (label,)))

    def __iter__(self) -> Iterator[Visa]:
        return self._rows("ORDER BY rowid", ())

    def add(self, visas: Iterable[Visa]) -> None:
        """Write them all, or none; they are on the disk afterwards."""
        marks = ", ".join("?" * len(_COLUMNS))
        try:
            with self._connection:
                self._connection.executemany(
                    f"INSERT OR REPLACE INTO photos ({', '.join(_COLUMNS)}) VALUES ({marks})", map(_row, visas)
                )
        except sqlite3.Error as error:
            raise self._broken(error) from error

    def table(self) -> bytes:
        """All visas as CSV, a line each in the order in which they were written: what is known of every photo."""
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(TABLE)
        for visa in self:
            told = {name: getattr(visa.photo, name) for name in _OF_PHOTO}
            told |= {name: getattr(visa, name) for name in _OF_VISA}
            rows.writerow([neutral(told[name]) for name in TABLE])
        return text.getvalue().encode("utf-8", "backslashreplace")

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _rows(self, rest: str, values: tuple[str, ...]) -> Iterator[Visa]:
        try:
            rows = self._connection.execute(f"SELECT {', '.join(_COLUMNS)} FROM photos {rest}", values).fetchall()
        except sqlite3.Error as error:
            raise self._broken(error) from error
        return (_visa(*row) for row in rows)

    def _broken(self, error: Exception) -> OutputError:
        return OutputError(
            f"{self.file} can't be used ({error}); check the space and the permissions of its folder, or name another."
        )


def read_table(file: Path) -> list[dict[str, str]]:
    """The rows of a table that ``Passport.table`` gave. Raises OutputError where it can't be read or is another."""
    try:
        with file.open(encoding="utf-8", newline="") as text:
            rows = list(csv.DictReader(text, restval=""))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise OutputError(f"{file} can't be read ({error}); make the model anew, or remove the file.") from error
    if any(set(row) != set(TABLE) for row in rows):
        raise OutputError(f"{file} is no table of where photos come from; make the model anew, or remove the file.")
    return rows


def write_table(file: Path, rows: Iterable[Mapping[str, str]]) -> None:
    """Write such rows. Raises OutputError."""
    text = io.StringIO()
    table = csv.DictWriter(text, TABLE, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_whole(file, text.getvalue().encode("utf-8", "backslashreplace"))


def _storable(text: str) -> str:
    """Names of files may hold bytes that are no letters; SQLite takes letters alone."""
    return text.encode("utf-8", "backslashreplace").decode()


def _row(visa: Visa) -> list[str]:
    photo = [getattr(visa.photo, name) for name in _OF_PHOTO]
    return [_storable(text) for text in (visa.photo.place, *photo, *(getattr(visa, name) for name in _OF_VISA))]


def _visa(_place: str, *told: str) -> Visa:
    of_photo, rest = told[: len(_OF_PHOTO)], told[len(_OF_PHOTO) :]
    return Visa(photo=Found(*of_photo), **dict(zip(_OF_VISA, rest, strict=True)))
