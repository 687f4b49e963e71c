"""A photo that a provider knows of, and what providers have in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from veduta.datasets.search.licences import Licences
from veduta.images.fetch import Fetcher


@dataclass(frozen=True, slots=True)
class Found:
    """Where a photo lies, and whose it is; "" where the provider does not say.

    ``url`` is the file, ``page`` what people look at. ``licence`` is a code of ``licences``, ``licence_url`` its terms.
    ``provider`` is the one that was asked. ``path`` is a file of the user's own, in place of an address to fetch.
    """

    url: str
    provider: str
    page: str = ""
    title: str = ""
    author: str = ""
    licence: str = "unknown"
    licence_url: str = ""
    path: str = ""

    @property
    def place(self) -> str:
        """What tells it from others: its address, or its path."""
        return self.path or self.url


class Provider(Protocol):
    """Something that can be asked for photos of a name."""

    @property
    def name(self) -> str:
        """How it is called on the command line."""
        ...

    def search(self, query: str, wanted: Licences, fetcher: Fetcher) -> Iterator[Found]:
        """Photos for ``query`` under a licence that is ``wanted``, the best first, page by page as they are taken.

        Raises SearchError where the provider refuses or answers something else, and what ``Fetcher.get`` raises.
        """
        ...
