"""Wikimedia Commons: its own search, by the API of MediaWiki (commons.wikimedia.org/w/api.php)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from veduta.datasets.search.answers import ask, count, records, refused, text, unexpected, without_markup
from veduta.datasets.search.found import Found
from veduta.datasets.search.licences import Licences, licence_told
from veduta.images.fetch import Fetcher

_PAGE = 50
# Originals have tens of megabytes; a preview of this width is asked for where a photo is wider.
_WIDTH = 1280
_PHOTOS = ("image/jpeg", "image/png", "image/webp", "image/tiff")


@dataclass(frozen=True, slots=True)
class Wikimedia:
    """Files of the search, photos alone; ``address`` is its service."""

    address: str = "https://commons.wikimedia.org"
    name: str = "wikimedia"

    def search(self, query: str, wanted: Licences, fetcher: Fetcher) -> Iterator[Found]:
        """See ``Provider.search``."""
        parameters: dict[str, str | int] = {
            "action": "query",
            "format": "json",
            "formatversion": 2,
            "generator": "search",
            "gsrnamespace": 6,
            "gsrsearch": f"{query} filetype:bitmap",
            "gsrlimit": _PAGE,
            "prop": "imageinfo",
            "iiprop": "url|size|mime|extmetadata",
            "iiextmetadatafilter": "Artist|LicenseShortName|LicenseUrl",
            "iiurlwidth": _WIDTH,
        }
        offset = 0
        while True:
            told = ask(self.name, fetcher, f"{self.address}/w/api.php", {**parameters, "gsroffset": offset})
            if isinstance(told.get("error"), dict):
                raise refused(self.name, told["error"].get("info", "it does not say why"))
            if "query" in told:
                pages = records(told["query"], "pages", self.name)
                # They come by number; index is the place in the search's own order.
                for page in sorted(pages, key=lambda each: count(each, "index")):
                    photo = self._photo(page)
                    if photo is not None and photo.licence in wanted:
                        yield photo
            following = told.get("continue")
            if not isinstance(following, dict):
                return
            if count(following, "gsroffset") <= offset:
                raise unexpected(self.name, "a next page that is farther on")
            offset = count(following, "gsroffset")

    def _photo(self, page: dict[str, Any]) -> Found | None:
        infos = page.get("imageinfo")
        info = infos[0] if isinstance(infos, list) and infos and isinstance(infos[0], dict) else {}
        if text(info, "mime") not in _PHOTOS:
            return None
        wide = count(info, "width") > _WIDTH
        url = (text(info, "thumburl") if wide else "") or text(info, "url")
        if not url:
            return None
        facts = info.get("extmetadata")
        told = (
            {name: text(fact, "value") for name, fact in facts.items() if isinstance(fact, dict)}
            if isinstance(facts, dict)
            else {}
        )
        terms = told.get("LicenseUrl", "")
        return Found(
            url,
            self.name,
            text(info, "descriptionurl"),
            text(page, "title").removeprefix("File:"),
            without_markup(told.get("Artist", "")),
            licence_told(terms, told.get("LicenseShortName", "")),
            terms,
        )
