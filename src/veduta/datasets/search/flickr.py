"""Flickr: its search (flickr.photos.search), with the user's own key (flickr.com/services/apps/create)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from veduta.datasets.search.answers import ask, count, records, refused, text, unexpected
from veduta.datasets.search.found import Found
from veduta.datasets.search.licences import Licences, licence_told
from veduta.errors import UsageError
from veduta.images.fetch import Fetcher

# The service gives no more than 4,000 photos for one search.
_PAGE, _MOST = 250, 4000
# Addresses of a photo by its longest side: 1024, 800, 640 pixels, then what was uploaded.
_SIZES = ("url_l", "url_c", "url_z", "url_o")


@dataclass(frozen=True, slots=True)
class Flickr:
    """``key`` is the user's; ``address`` the service, ``pages`` where people see the photos."""

    key: str
    address: str = "https://api.flickr.com"
    pages: str = "https://www.flickr.com"
    name: str = "flickr"

    def __post_init__(self) -> None:
        if not self.key.isascii() or not self.key.isalnum():
            raise UsageError(
                "the key of flickr has letters and digits alone; get one at flickr.com/services/apps/create."
            )

    def search(self, query: str, wanted: Licences, fetcher: Fetcher) -> Iterator[Found]:
        """See ``Provider.search``."""
        licences = self._licences(fetcher)
        chosen = [number for number, (code, _) in licences.items() if code in wanted]
        if not chosen:
            return
        parameters: dict[str, str | int] = {
            "text": query,
            "license": ",".join(chosen),
            "media": "photos",
            "content_types": 0,
            "safe_search": 1,
            "sort": "relevance",
            "extras": ",".join(("license", "owner_name", *_SIZES)),
            "per_page": _PAGE,
        }
        for page in range(1, _MOST // _PAGE + 1):
            told = self._ask("flickr.photos.search", fetcher, {**parameters, "page": page}).get("photos")
            for record in records(told, "photo", self.name):
                photo = self._photo(record, licences)
                if photo is not None and photo.licence in wanted:
                    yield photo
            if not isinstance(told, dict) or page >= count(told, "pages"):
                return

    def _licences(self, fetcher: Fetcher) -> dict[str, tuple[str, str]]:
        """Code and terms of each licence by the number that the service has for it."""
        told = self._ask("flickr.photos.licenses.getInfo", fetcher, {}).get("licenses")
        found = {
            str(each.get("id")): (licence_told(text(each, "url"), text(each, "name")), text(each, "url"))
            for each in records(told, "license", self.name)
        }
        if not found:
            raise unexpected(self.name, "licences")
        return found

    def _ask(self, method: str, fetcher: Fetcher, more: Mapping[str, str | int]) -> dict[str, Any]:
        always: dict[str, str | int] = {"method": method, "api_key": self.key, "format": "json", "nojsoncallback": 1}
        told = ask(self.name, fetcher, f"{self.address}/services/rest/", {**always, **more})
        if told.get("stat") != "ok":
            raise refused(self.name, told.get("message", "it does not say why"))
        return told

    def _photo(self, record: dict[str, Any], licences: Mapping[str, tuple[str, str]]) -> Found | None:
        url = next((text(record, size) for size in _SIZES if text(record, size)), "")
        if not url:
            return None
        code, terms = licences.get(str(record.get("license")), ("unknown", ""))
        owner, number = text(record, "owner"), text(record, "id")
        page = f"{self.pages}/photos/{owner}/{number}" if owner and number.isalnum() else ""
        return Found(url, self.name, page, text(record, "title"), text(record, "ownername"), code, terms)
