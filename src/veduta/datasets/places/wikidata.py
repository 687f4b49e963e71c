"""Wikidata by its query service (query.wikidata.org), no key needed: famous places around a city, and how famous.

Fame is the number of Wikipedias and other projects that have an article (``wikibase:sitelinks``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from veduta.datasets.places.place import City, Place
from veduta.datasets.search.answers import ask, count, records, text, unexpected
from veduta.errors import SearchError
from veduta.images.fetch import Fetcher
from veduta.images.limits import printable
from veduta.labels.translations import LANGUAGES
from veduta.positions import in_range

# Tourist attraction, building, monument, museum, architectural structure, park, landform, archaeological site: each
# with all that is a kind of it.
_KINDS = ("Q570116", "Q41176", "Q4989906", "Q33506", "Q811979", "Q22698", "Q271669", "Q839954")
_MOST, _TOGETHER = 300, 150
_POINT = re.compile(r"Point\((-?[0-9.]+(?:[eE]-?[0-9]+)?) (-?[0-9.]+(?:[eE]-?[0-9]+)?)\)")
_ENTITY = re.compile(r"Q[1-9][0-9]{0,11}")


@dataclass(frozen=True, slots=True)
class Wikidata:
    """``address`` is its service; places of fewer than ``least_links`` articles are not asked for."""

    address: str = "https://query.wikidata.org"
    least_links: int = 5
    name: str = "wikidata"

    def places(self, city: City, fetcher: Fetcher) -> list[Place]:
        """See ``PlacesProvider.places``."""
        latitude, longitude = city.position or self._middle(city, fetcher)
        rows = self._ask(
            f"""SELECT DISTINCT ?item ?links ?where ?kindLabel WHERE {{
              SERVICE wikibase:around {{ ?item wdt:P625 ?where .
                bd:serviceParam wikibase:center "Point({longitude:.6f} {latitude:.6f})"^^geo:wktLiteral ;
                                wikibase:radius "{city.radius_km:g}" . }}
              ?item wikibase:sitelinks ?links . FILTER(?links >= {self.least_links})
              ?item wdt:P31 ?kind . ?kind wdt:P279* ?top . VALUES ?top {{ {" ".join(f"wd:{each}" for each in _KINDS)} }}
              SERVICE wikibase:label {{ bd:serviceParam wikibase:language "en" . }}
            }} ORDER BY DESC(?links) LIMIT {_MOST}""",
            fetcher,
        )
        found: dict[str, Place] = {}
        for row in rows:
            id, position = _entity(row, "item"), _point(row, "where")
            if id and position is not None:
                kind = _value(row, "kindLabel")
                found.setdefault(id, Place(id, id, city.name, position, kind, self.name, _number(row, "links"), (), id))
        return self.with_fame(found.values(), fetcher)

    def with_fame(self, places: Iterable[Place], fetcher: Fetcher) -> list[Place]:
        """The same places with Wikidata's fame and names, the most famous first; what it does not know is left out."""
        known = {place.wikidata: place for place in places if _ENTITY.fullmatch(place.wikidata)}
        named: list[Place] = []
        for first in range(0, len(known), _TOGETHER):
            some = list(known)[first : first + _TOGETHER]
            facts = self._facts(some, fetcher)
            for entity in some:
                links, names = facts.get(entity, (0, {}))
                place = known[entity]
                name = names.get("en") or next(iter(names.values()), "") or place.name
                if name != place.id:
                    together = {**dict(place.names), **names}
                    named.append(replace(place, name=name, fame=links, names=tuple(sorted(together.items()))))
        return sorted(named, key=lambda place: (-place.fame, place.id))

    def _facts(self, entities: Sequence[str], fetcher: Fetcher) -> dict[str, tuple[int, dict[str, str]]]:
        """Articles, and names by language, of each entity."""
        languages = ", ".join(f'"{language}"' for language in LANGUAGES)
        rows = self._ask(
            f"""SELECT ?item ?links ?label WHERE {{
              VALUES ?item {{ {" ".join(f"wd:{each}" for each in entities)} }}
              ?item wikibase:sitelinks ?links ; rdfs:label ?label . FILTER(lang(?label) IN ({languages}))
            }}""",
            fetcher,
        )
        facts: dict[str, tuple[int, dict[str, str]]] = {}
        for row in rows:
            _, names = facts.setdefault(_entity(row, "item"), (_number(row, "links"), {}))
            label = row.get("label")
            language = text(label, "xml:lang") if isinstance(label, dict) else ""
            if language in LANGUAGES and _value(row, "label"):
                names[language] = _value(row, "label")
        return facts

    def _middle(self, city: City, fetcher: Fetcher) -> tuple[float, float]:
        """Of several of one name the one with the most people."""
        name = "".join(letter for letter in city.name if letter.isprintable()).replace("\\", "").replace('"', "")
        rows = self._ask(
            f"""SELECT ?where ?people WHERE {{
              ?city rdfs:label "{name}"@en ; wdt:P625 ?where ; wdt:P1082 ?people ; wdt:P31/wdt:P279* wd:Q486972 .
            }} ORDER BY DESC(?people) LIMIT 1""",
            fetcher,
        )
        position = next((point for row in rows if (point := _point(row, "where")) is not None), None)
        if position is None:
            raise SearchError(
                f"{self.name} knows no city {printable(city.name)!r}; write its middle beside it: "
                f"{printable(city.name)}; latitude; longitude."
            )
        return position

    def _ask(self, query: str, fetcher: Fetcher) -> list[dict[str, Any]]:
        short = " ".join(query.split())
        results = ask(self.name, fetcher, f"{self.address}/sparql", {"query": short, "format": "json"}).get("results")
        if not isinstance(results, dict):
            raise unexpected(self.name, "results")
        return records(results, "bindings", self.name)


def _value(row: Mapping[str, Any], key: str) -> str:
    told = row.get(key)
    return text(told, "value") if isinstance(told, dict) else ""


def _number(row: Mapping[str, Any], key: str) -> int:
    return count({"value": _value(row, key)}, "value")


def _entity(row: Mapping[str, Any], key: str) -> str:
    id = _value(row, key).rpartition("/")[2]
    return id if _ENTITY.fullmatch(id) else ""


def _point(row: Mapping[str, Any], key: str) -> tuple[float, float] | None:
    """Longitude comes first in well-known text."""
    found = _POINT.fullmatch(_value(row, key))
    try:
        values = (float(found[2]), float(found[1])) if found else None
    except ValueError:
        return None
    return values if values is not None and in_range(*values) else None
