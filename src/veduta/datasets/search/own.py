"""Photos that the user names: a folder with a folder for each name, and a list of addresses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from veduta.datasets.folders import photos_in
from veduta.datasets.search.found import Found
from veduta.datasets.search.licences import Licences, licence_code
from veduta.datasets.tables import read_rows
from veduta.errors import UsageError
from veduta.images.fetch import Fetcher

_COLUMNS = ("url", "query", "page", "title", "author", "licence")


@dataclass(frozen=True, slots=True)
class Folder:
    """Photos of the folder below ``root`` that is called as the query, upper and lower case aside.

    They are the user's own, and no licence is asked for. Raises UsageError where ``root`` is no folder.
    """

    root: Path
    name: str = "folder"

    def __post_init__(self) -> None:
        if not self.root.is_dir():
            raise UsageError(f"{self.root} is no folder; give one that has a folder of photos for each name.")

    def search(self, query: str, wanted: Licences, fetcher: Fetcher) -> Iterator[Found]:
        """See ``Provider.search``."""
        for folder in sorted(self.root.iterdir()):
            if folder.is_dir() and folder.name.casefold() == query.casefold():
                for sample in photos_in(folder):
                    yield Found("", self.name, title=Path(sample.path).name, path=str(Path(sample.path).resolve()))


@dataclass(frozen=True, slots=True)
class AddressList:
    """Addresses in a CSV file: a column ``url``, and as many of query, page, title, author and licence as are known.

    A row without a query is for every name. Raises UsageError where it can't be read or has no such column.
    """

    rows: tuple[tuple[str, Found], ...]
    name: str = "list"

    @classmethod
    def read(cls, file: Path) -> AddressList:
        """All rows of ``file``."""
        rows = read_rows(file)
        header = [column.strip().lower() for column in rows[0]] if rows else []
        if "url" not in header:
            raise UsageError(f"{file} has no column url; its header may name {', '.join(_COLUMNS)}.")
        return cls(tuple(_row(dict(zip(header, map(str.strip, row), strict=False))) for row in rows[1:] if any(row)))

    def search(self, query: str, wanted: Licences, fetcher: Fetcher) -> Iterator[Found]:
        """See ``Provider.search``."""
        for asked, photo in self.rows:
            if asked.casefold() in ("", query.casefold()) and photo.licence in wanted:
                yield photo


def _row(told: dict[str, str]) -> tuple[str, Found]:
    licence = told.get("licence", "")
    terms = licence if licence.startswith("http") else ""
    return told.get("query", ""), Found(
        told.get("url", ""),
        "list",
        told.get("page", ""),
        told.get("title", ""),
        told.get("author", ""),
        licence_code(licence),
        terms,
    )
