"""Openverse: openly licensed photos of many sources (api.openverse.org/v1, no key needed)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from veduta.datasets.search.answers import ask, count, records, refused, text
from veduta.datasets.search.found import Found
from veduta.datasets.search.licences import Licences
from veduta.errors import FetchFailed
from veduta.images.fetch import Fetcher

# Who has no key gets pages of so many, and 12 of them.
_PAGE, _PAGES = 20, 12
# What its parameter license knows.
_KNOWN = frozenset({"cc0", "pdm", "by", "by-sa", "by-nd", "by-nc", "by-nc-sa", "by-nc-nd"})


@dataclass(frozen=True, slots=True)
class Openverse:
    """Asked without a key; ``address`` is its service."""

    address: str = "https://api.openverse.org"
    name: str = "openverse"

    def search(self, query: str, wanted: Licences, fetcher: Fetcher) -> Iterator[Found]:
        """See ``Provider.search``."""
        codes = sorted(_KNOWN & wanted.codes)
        if not codes:
            return
        parameters: dict[str, str | int] = {"q": query, "page_size": _PAGE, "category": "photograph"}
        if len(codes) < len(_KNOWN):
            parameters["license"] = ",".join(codes)
        for page in range(1, _PAGES + 1):
            try:
                told = ask(self.name, fetcher, f"{self.address}/v1/images/", {**parameters, "page": page})
            except FetchFailed as error:
                if page > 1 and error.status in (400, 401, 404):
                    return  # no such page: that was all it gives
                raise
            if "results" not in told and "detail" in told:
                raise refused(self.name, told["detail"])
            for record in records(told, "results", self.name):
                photo = self._photo(record)
                if photo is not None and photo.licence in wanted:
                    yield photo
            if page >= count(told, "page_count"):
                return

    def _photo(self, record: dict[str, object]) -> Found | None:
        url = text(record, "url")
        if not url or record.get("mature") is True:
            return None
        code = text(record, "license").lower()
        return Found(
            url,
            self.name,
            text(record, "foreign_landing_url"),
            text(record, "title"),
            text(record, "creator"),
            code if code in _KNOWN else "unknown",
            text(record, "license_url"),
        )
