"""OpenStreetMap by the Overpass API (wiki.openstreetmap.org/wiki/Overpass_API), no key needed.

Only what has an entry of Wikidata is asked for: who maps a place of fame gives it one, and a bench has none. How famous
it is, Wikidata tells (``wikidata.with_fame``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from veduta.datasets.places.place import City, Place
from veduta.datasets.search.answers import ask, count, records, refused, text
from veduta.errors import FetchFailed, SearchError
from veduta.images.fetch import Fetcher
from veduta.images.limits import printable
from veduta.labels.translations import LANGUAGES
from veduta.positions import in_range

# What tourists go to see. A key whose value is of no matter has None.
_KINDS: Mapping[str, str | None] = {
    "tourism": "attraction|museum|gallery|viewpoint|artwork|zoo|theme_park|aquarium",
    "historic": None,
    "building": "cathedral|church|mosque|temple|synagogue|palace|castle|basilica",
    "man_made": "tower|lighthouse|bridge",
    "natural": "peak|waterfall|cave_entrance|arch",
}
_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Overpass:
    """``address`` is its service."""

    address: str = "https://overpass-api.de"
    name: str = "overpass"

    def places(self, city: City, fetcher: Fetcher) -> list[Place]:
        """See ``PlacesProvider.places``; the fame of each is the number of languages that it has a name in."""
        latitude, longitude = city.position or self._middle(city, fetcher)
        around = f"(around:{round(1000 * city.radius_km)},{latitude:.6f},{longitude:.6f})"
        tests = [f'["{key}"]' if values is None else f'["{key}"~"^({values})$"]' for key, values in _KINDS.items()]
        each = "".join(f'nwr{around}{test}["name"]["wikidata"];' for test in tests)
        elements = self._ask(f"({each});out tags center;", fetcher)
        found = (self._place(element, city) for element in elements)
        return sorted((place for place in found if place is not None), key=lambda place: (-place.fame, place.id))

    def _middle(self, city: City, fetcher: Fetcher) -> tuple[float, float]:
        """Of several of one name the one with the most people."""
        query = f'node["place"~"^(city|town|village)$"]["name"={_quoted(city.name)}];out;'
        elements = self._ask(query, fetcher)
        if not elements:
            query = f'node["place"~"^(city|town|village)$"]["name:en"={_quoted(city.name)}];out;'
            elements = self._ask(query, fetcher)
        known = [(count(_tags(each), "population"), _position(each)) for each in elements]
        placed = [(people, position) for people, position in known if position is not None]
        if not placed:
            raise SearchError(
                f"{self.name} knows no city {printable(city.name)!r}; write its middle beside it: "
                f"{printable(city.name)}; latitude; longitude."
            )
        return max(placed, key=lambda each: each[0])[1]

    def _ask(self, query: str, fetcher: Fetcher) -> list[dict[str, Any]]:
        try:
            told = ask(
                self.name,
                fetcher,
                f"{self.address}/api/interpreter",
                {"data": f"[out:json][timeout:{_SECONDS}];{query}"},
            )
        except FetchFailed as error:
            if error.status == 400:
                raise refused(self.name, "it does not understand the question") from error
            raise
        # A query that ran out of time or memory answers 200, with what it had, and says so here.
        if text(told, "remark"):
            raise refused(self.name, text(told, "remark"))
        return records(told, "elements", self.name)

    def _place(self, element: dict[str, Any], city: City) -> Place | None:
        tags, position = _tags(element), _position(element)
        name, number = text(tags, "name"), count(element, "id")
        wikidata = text(tags, "wikidata").split(";")[0]
        kind = next((f"{key}={text(tags, key)}" for key in _KINDS if text(tags, key)), "")
        if position is None or not name or not number or not wikidata[1:].isdigit():
            return None
        names = tuple((language, text(tags, f"name:{language}")) for language in LANGUAGES)
        known = tuple((language, each) for language, each in names if each)
        languages = sum(key.startswith("name:") for key in tags)
        id = f"{text(element, 'type')}/{number}"
        return Place(id, dict(known).get("en", name), city.name, position, kind, self.name, languages, known, wikidata)


def _quoted(words: str) -> str:
    """A string of Overpass QL."""
    kept = "".join(letter for letter in words if letter.isprintable())
    return '"' + kept.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _tags(element: Mapping[str, Any]) -> dict[str, Any]:
    tags = element.get("tags")
    return tags if isinstance(tags, dict) else {}


def _position(element: Mapping[str, Any]) -> tuple[float, float] | None:
    """Of a node, or the middle of what is larger; None for what is no place on Earth."""
    centre = element.get("center")
    values = [(centre if isinstance(centre, dict) else element).get(key) for key in ("lat", "lon")]
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return None
    latitude, longitude = float(values[0] or 0), float(values[1] or 0)
    return (latitude, longitude) if in_range(latitude, longitude) else None
