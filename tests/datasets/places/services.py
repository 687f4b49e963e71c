"""Overpass, Wikidata's query service and Google Places on loopback, as far as they are documented, over made places."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "made-key_1"


@dataclass(frozen=True)
class Made:
    """A famous place that the services know of."""

    entity: str
    name: str
    links: int
    position: tuple[float, float] = (41.15, -8.61)
    kind: str = "tower"
    names: dict[str, str] = field(default_factory=dict)


class PlacesServices:
    """All three at one address. ``instead`` answers in place of them: bytes of any kind, or a status."""

    def __init__(self) -> None:
        self.places: list[Made] = []
        self.cities: dict[str, list[tuple[int, float, float]]] = {"Porto": [(230_000, 41.15, -8.61)]}
        self.asked: list[dict[str, str]] = []
        self.instead: Callable[[dict[str, str]], bytes | int | None] = lambda _asked: None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, asked: dict[str, str], headers: dict[str, str], body: bytes) -> bytes | int:
        match path:
            case "/api/interpreter":
                return json.dumps({"version": 0.6, "elements": self._overpass(asked["data"])}).encode()
            case "/sparql":
                rows = self._wikidata(asked["query"])
                return json.dumps({"head": {"vars": []}, "results": {"bindings": rows}}).encode()
            case "/v1/places:searchText":
                if headers.get("x-goog-api-key") != KEY:
                    return 403
                return json.dumps(self._google(json.loads(body), headers["x-goog-fieldmask"])).encode()
        return 404

    def _overpass(self, query: str) -> list[dict[str, Any]]:
        city = re.search(r'\["name"="([^"]*)"\];out', query)
        if city:
            return [
                {"type": "node", "id": 1, "lat": north, "lon": east, "tags": {"population": str(people)}}
                for people, north, east in self.cities.get(city[1], [])
            ]
        if "around:" not in query:
            return []
        return [
            {
                "type": "way",
                "id": number + 1,
                "center": {"lat": each.position[0], "lon": each.position[1]},
                "tags": {
                    "name": each.name,
                    "wikidata": each.entity,
                    "tourism": "attraction",
                    **{f"name:{language}": name for language, name in each.names.items()},
                },
            }
            for number, each in enumerate(self.places)
        ]

    def _wikidata(self, query: str) -> list[dict[str, Any]]:
        asked = set(re.findall(r"wd:(Q\d+)", query))
        if "rdfs:label ?label" in query:
            return [
                {"item": _entity(each), "links": _literal(each.links), "label": _literal(name, language)}
                for each in self.places
                if each.entity in asked
                for language, name in {"en": each.name, **each.names}.items()
            ]
        city = re.search(r'rdfs:label "([^"]*)"@en', query)
        if city:
            known = sorted(self.cities.get(city[1], []), reverse=True)[:1]
            return [
                {"where": _literal(f"Point({east} {north})"), "people": _literal(people)}
                for people, north, east in known
            ]
        return [
            {
                "item": _entity(each),
                "links": _literal(each.links),
                "where": _literal(f"Point({each.position[1]} {each.position[0]})"),
                "kindLabel": _literal(each.kind, "en"),
            }
            for each in self.places
        ]

    def _google(self, asked: dict[str, Any], mask: str) -> dict[str, Any]:
        assert "places.displayName" in mask
        assert asked["textQuery"].startswith("tourist attractions in ")
        first = int(asked.get("pageToken", "0"))
        page = self.places[first : first + asked["pageSize"]]
        if not page:
            return {}
        told: dict[str, Any] = {
            "places": [
                {
                    "id": f"ChIJ{each.entity}",
                    "displayName": {"text": each.name, "languageCode": "en"},
                    "location": {"latitude": each.position[0], "longitude": each.position[1]},
                    "primaryType": each.kind,
                    "userRatingCount": each.links,
                }
                for each in page
            ]
        }
        if first + len(page) < len(self.places):
            told["nextPageToken"] = str(first + len(page))
        return told

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        services = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                self._answer(parts.path, {key: each[0] for key, each in parse_qs(parts.query).items()}, b"")

            def do_POST(self) -> None:
                self._answer(self.path, {}, self.rfile.read(int(self.headers["content-length"])))

            def _answer(self, path: str, asked: dict[str, str], body: bytes) -> None:
                told = {**asked, "path": path, "body": body.decode()}
                services.asked.append(told)
                instead = services.instead(told)
                headers = {name.lower(): value for name, value in self.headers.items()}
                found = services.answer(path, asked, headers, body) if instead is None else instead
                content = b"" if isinstance(found, int) else found
                with suppress(ConnectionError):
                    self.send_response(found if isinstance(found, int) else 200)
                    if found in (302, 307):
                        self.send_header("location", f"{services.url}/elsewhere")
                    self.send_header("content-length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


def _entity(made: Made) -> dict[str, str]:
    return {"type": "uri", "value": f"http://www.wikidata.org/entity/{made.entity}"}


def _literal(value: object, language: str | None = None) -> dict[str, str]:
    told = {"type": "literal", "value": str(value)}
    return told if language is None else {**told, "xml:lang": language}
