"""Openverse, Wikimedia Commons and Flickr on loopback, as far as their searches are documented, over made records."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "0123456789abcdef"

FLICKR_LICENCES = [
    (0, "All Rights Reserved", ""),
    (1, "Attribution-NonCommercial-ShareAlike License", "https://creativecommons.org/licenses/by-nc-sa/2.0/"),
    (4, "Attribution License", "https://creativecommons.org/licenses/by/2.0/"),
    (7, "No known copyright restrictions", "https://www.flickr.com/commons/usage/"),
    (8, "United States Government Work", "http://www.usa.gov/copyright.shtml"),
    (9, "Public Domain Dedication (CC0)", "https://creativecommons.org/publicdomain/zero/1.0/"),
    (11, "CC BY 4.0", "https://creativecommons.org/licenses/by/4.0/"),
]


def _terms(licence: str) -> str:
    if licence == "cc0":
        return "http://creativecommons.org/publicdomain/zero/1.0/deed.en"
    return f"https://creativecommons.org/licenses/{licence}/3.0"


@dataclass(frozen=True)
class Record:
    """A photo that a service knows: its number, and what it says of it."""

    number: int
    title: str = "a cat"
    author: str = "Ada"
    licence: str = "by"
    width: int = 800


class Services:
    """All three at one address. ``records`` are what each query brings; ``instead`` answers in place of them.

    ``files`` are what lies at a path: bytes, or a status. An answer is ``cut`` after some bytes, has
    ``moved``, comes after so many seconds (``slow``) or names when to come again (``later``).
    """

    def __init__(self) -> None:
        self.records: dict[str, list[Record]] = {}
        self.asked: list[dict[str, str]] = []
        self.files: dict[str, bytes | int] = {}
        self.cut: dict[str, int] = {}
        self.moved: dict[str, str] = {}
        self.slow: dict[str, float] = {}
        self.later: dict[str, int] = {}
        self.instead: Callable[[dict[str, str]], bytes | int | None] = lambda _asked: None
        services = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                services.answer(self)

            def log_message(self, *_arguments: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        address = urlsplit(request.path)
        asked = {name: values[-1] for name, values in parse_qs(address.query).items()} | {"path": address.path}
        self.asked.append(asked)
        instead = self.files.get(address.path, self.instead(asked))
        if isinstance(instead, int):
            body, status = b'{"detail": "no"}', instead
        elif instead is not None:
            body, status = instead, 200
        else:
            kinds = {"/v1/images/": self.openverse, "/w/api.php": self.wikimedia, "/services/rest/": self.flickr}
            body, status = json.dumps(kinds[address.path](asked)).encode(), 200
        time.sleep(self.slow.get(address.path, 0))
        if address.path in self.moved:
            status = 302
        if address.path in self.later:
            status = 429
        request.send_response(status)
        if address.path in self.moved:
            request.send_header("Location", self.moved[address.path])
        if address.path in self.later:
            request.send_header("Retry-After", str(self.later[address.path]))
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        with suppress(ConnectionError):  # who asks may leave at any time
            request.wfile.write(body[: self.cut.get(address.path)])
        if address.path in self.cut:
            request.close_connection = True

    def openverse(self, asked: dict[str, str]) -> dict[str, Any]:
        found, size, page = self.records.get(asked["q"], []), int(asked["page_size"]), int(asked["page"])
        if "license" in asked:
            found = [each for each in found if each.licence in asked["license"].split(",")]
        return {
            "result_count": len(found),
            "page_count": -(-len(found) // size),
            "page_size": size,
            "page": page,
            "results": [
                {
                    "id": f"uuid-{each.number}",
                    "title": each.title,
                    "url": f"{self.url}/photos/{each.number}.jpg",
                    "foreign_landing_url": f"https://museum.example/{each.number}",
                    "creator": each.author,
                    "license": each.licence,
                    "license_version": "4.0",
                    "license_url": f"https://creativecommons.org/licenses/{each.licence}/4.0/",
                    "provider": "flickr",
                    "source": "flickr",
                    "mature": False,
                }
                for each in found[(page - 1) * size : page * size]
            ],
        }

    def wikimedia(self, asked: dict[str, str]) -> dict[str, Any]:
        found = self.records.get(asked["gsrsearch"].removesuffix(" filetype:bitmap"), [])
        first, size = int(asked["gsroffset"]), int(asked["gsrlimit"])
        pages = [
            {
                "pageid": each.number,
                "ns": 6,
                "title": f"File:{each.title}.jpg",
                "index": first + place + 1,
                "imageinfo": [
                    {
                        "width": each.width,
                        "height": 600,
                        "mime": "image/jpeg",
                        "url": f"{self.url}/photos/{each.number}.jpg",
                        "thumburl": f"{self.url}/photos/1280px-{each.number}.jpg",
                        "descriptionurl": f"https://commons.example/wiki/File:{each.number}.jpg",
                        "extmetadata": {
                            "Artist": {"value": f'<a href="//commons.example/wiki/User:A" title="A">{each.author}</a>'},
                            "LicenseShortName": {"value": "CC0" if each.licence == "cc0" else "CC BY 3.0"},
                            "LicenseUrl": {"value": _terms(each.licence)},
                        },
                    }
                ],
            }
            for place, each in enumerate(found[first : first + size])
        ]
        told: dict[str, Any] = {"batchcomplete": True}
        if first + size < len(found):
            told["continue"] = {"gsroffset": first + size, "continue": "gsroffset||"}
        if pages:
            told["query"] = {"pages": sorted(pages, key=lambda each: -each["index"])}
        return told

    def flickr(self, asked: dict[str, str]) -> dict[str, Any]:
        if asked["api_key"] != KEY:
            return {"stat": "fail", "code": 100, "message": "Invalid API Key (Key has invalid format)"}
        if asked["method"] == "flickr.photos.licenses.getInfo":
            told = [{"id": number, "name": name, "url": url} for number, name, url in FLICKR_LICENCES]
            return {"licenses": {"license": told}, "stat": "ok"}
        numbers = {"by": 4, "by-nc-sa": 1, "all-rights-reserved": 0, "cc0": 9}
        found = [
            each
            for each in self.records.get(asked["text"], [])
            if str(numbers[each.licence]) in asked["license"].split(",")
        ]
        size, page = int(asked["per_page"]), int(asked["page"])
        photos = [
            {
                "id": str(each.number),
                "owner": "7@N00",
                "title": each.title,
                "ownername": each.author,
                "license": str(numbers[each.licence]),
                "url_z": f"{self.url}/photos/{each.number}_z.jpg",
            }
            | ({"url_l": f"{self.url}/photos/{each.number}_l.jpg"} if each.width >= 1024 else {})
            for each in found[(page - 1) * size : page * size]
        ]
        pages = -(-len(found) // size)
        return {
            "photos": {"page": page, "pages": pages, "perpage": size, "total": len(found), "photo": photos},
            "stat": "ok",
        }
