"""Google and Bing images: the pages of their searches, fetched by our own fetcher and read by icrawler (extra engines).

Neither tells the author or the licence of a photo, so all of them are "unknown", and a search for others finds none
here. Both have terms that may forbid asking by a program; they are named where an engine is asked.
"""

from __future__ import annotations

import queue
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from veduta.datasets.search.found import Found
from veduta.datasets.search.licences import Licences
from veduta.errors import MissingExtra, SearchError
from veduta.images.fetch import Fetcher

# icrawler looks for addresses by expressions that scan on from each beginning to the next end: a page of beginnings
# without an end would take it hours. So many letters to scan are a second or two.
_BEGIN, _END = re.compile(rb"http|murl"), re.compile(rb"\[|jpg|png|bmp")
_MOST_EFFORT = 10**8
# Neither gives more.
_MOST = 1000


@dataclass(frozen=True, slots=True)
class Engine:
    """A search engine by its ``name``, google or bing; ``address`` is its service, ``terms`` its rules."""

    name: str
    address: str
    terms: str

    def search(self, query: str, wanted: Licences, fetcher: Fetcher) -> Iterator[Found]:
        """See ``Provider.search``."""
        if "unknown" not in wanted:
            raise SearchError(f"{self.name} tells no licences, so it has no photo under those that are wanted.")
        feeder, parser, page = self._icrawler()
        seen: set[str] = set()
        for offset in range(0, _MOST, page):
            content = fetcher.get(self._address(feeder, query, offset, page)).content
            if _effort(content) > _MOST_EFFORT:
                raise SearchError(f"{self.name} answers with a page that would take too long to read.")
            try:
                # icrawler's own reader of the page; what breaks it is not the page that it knows.
                told = [str(each["file_url"]) for each in parser.parse(SimpleNamespace(content=content)) or ()]
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                raise SearchError(f"{self.name} answers with a page that can't be read ({error}).") from error
            fresh = [url for url in dict.fromkeys(told) if url not in seen]
            if not fresh:
                return
            seen.update(fresh)
            yield from (Found(url, self.name, title=query) for url in fresh)

    def _icrawler(self) -> tuple[Any, Any, int]:
        """What names the pages of a search, what reads them, and how many photos a page has."""
        try:
            engine = import_module(f"icrawler.builtin.{self.name}")
        except ModuleNotFoundError as error:
            raise MissingExtra(
                f'asking {self.name} needs {error.name}; install it with: pip install "veduta[engines]"'
            ) from error
        name, page = self.name.title(), 100 if self.name == "google" else 20
        return getattr(engine, f"{name}Feeder")(1, None, None), getattr(engine, f"{name}Parser")(1, None, None), page

    def _address(self, feeder: Any, query: str, offset: int, page: int) -> str:
        """The page's address at this service."""
        feeder.out_queue = queue.SimpleQueue()
        # Bing's words go into the address as they are.
        feeder.feed(query if self.name == "google" else quote(query), offset, page, filters={"type": "photo"})
        parts, service = urlsplit(str(feeder.out_queue.get_nowait())), urlsplit(self.address)
        return urlunsplit((service.scheme, service.netloc, parts.path, parts.query, ""))


def _effort(content: bytes) -> int:
    """How many letters an expression scans that looks for an end from each beginning."""
    return sum(len(_BEGIN.findall(piece)) * len(piece) for piece in _END.split(content))


def google(address: str = "https://www.google.com") -> Engine:
    """Google images."""
    return Engine("google", address, "https://policies.google.com/terms")


def bing(address: str = "https://www.bing.com") -> Engine:
    """Bing images."""
    return Engine("bing", address, "https://www.microsoft.com/servicesagreement")
