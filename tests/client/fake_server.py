"""A server on loopback that speaks the API without any model: it answers what the test says, and notes what came."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

SCORES = [
    {"id": "kitchen", "name": "Küche", "probability": 0.91, "environment": "indoor", "coarse": "kitchen"},
    {"id": "bar", "name": "Bar", "probability": 0.04},
]

PREDICTION: dict[str, Any] = {
    "model": {"name": "places100", "bundle_id": "b1", "precision": "float32"},
    "task": "single_label",
    "calibrated": True,
    "crop": [80, 0, 560, 480],
    "scores": SCORES,
    "coarse": [
        {"id": "kitchen", "name": "Küche", "probability": 0.93, "ancestors": [{"id": "home", "name": "Zuhause"}]},
    ],
    "environment": {"kind": "indoor", "outdoor_probability": 0.02, "outdoor_vote": 0.1, "margin": 0.96},
    "attributes": [{"id": "wood", "name": "Holz", "probability": 0.7, "source": "photo"}],
    "evidence": {"value": 1.2, "threshold": -3.0, "fits": True},
    "heatmaps": [
        {
            "id": "kitchen",
            "name": "Küche",
            "probability": 0.91,
            "method": "class maps",
            "image": "data:image/webp;base64,UklGRg==",
        }
    ],
    "milliseconds": 6.1,
}

ANSWER: dict[str, Any] = {
    "id": "5b1f",
    "version": "0.1.0",
    "language": "de",
    "photo": {"name": "kitchen.jpg", "format": "JPEG", "width": 640, "height": 480, "marks": ["cut off"]},
    "predictions": [PREDICTION],
    "failures": [{"model": "mine", "code": "model_unusable", "detail": "The model mine can't be used."}],
    "comparison": {"groups": [], "apart": ["mine"]},
    "landmark": {
        "id": "tower/porto",
        "name": "Turm",
        "margin": 0.31,
        "candidates": [
            {
                "id": "tower/porto",
                "name": "Turm",
                "city": "Porto",
                "position": [41.1, -8.6],
                "similarity": 0.7,
                "threshold": 0.4,
            },
            {
                "id": "hall",
                "name": "Halle",
                "similarity": 0.39,
                "threshold": 0.4,
                "rejection": "similarity",
                "reason": "it resembles Halle by 0.39, and 0.40 is needed",
            },
        ],
        "references": [{"similarity": 0.8, "image": "data:image/jpeg;base64,/9j/"}, {"similarity": 0.6}],
        "index": "mine",
        "embedding_id": "e1",
        "milliseconds": 12.4,
    },
    "timings": {"receive": 1.1, "decode": 3.0, "predict": 6.5, "total": 12.0},
}

BARE: dict[str, Any] = {
    "id": "5b20",
    "version": "0.1.0",
    "language": "en",
    "photo": {"format": "PNG", "width": 3, "height": 2, "marks": []},
    "predictions": [
        {
            "model": {"name": "mine", "bundle_id": "b2", "precision": "bfloat16"},
            "task": "multi_label",
            "calibrated": False,
            "crop": [0, 0, 3, 2],
            "scores": [{"id": "cat", "name": "cat", "probability": 0}],
            "milliseconds": 1,
        }
    ],
    "failures": [],
    "timings": {"receive": 0, "decode": 0, "predict": 0, "total": 0},
}


@dataclass(frozen=True)
class Asked:
    """A request as it came; ``files`` are (field, name, content), ``fields`` the other fields of its form."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    fields: dict[str, str] = field(default_factory=dict)
    files: list[tuple[str, str | None, bytes]] = field(default_factory=list)


@dataclass(frozen=True)
class Said:
    """What to answer."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Answering = Callable[[Asked], Said]


def says(values: object, status: int = 200, **headers: str) -> Said:
    """JSON, with further headers (``retry_after="1"``)."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Said(json.dumps(values).encode(), status, {"Content-Type": "application/json", **named})


def problem(status: int, code: str, detail: str, choices: list[str] | None = None, **headers: str) -> Said:
    """A problem as the API tells it."""
    values = {"type": f"urn:veduta:problem:{code}", "title": code, "status": status, "detail": detail, "code": code}
    values |= {"id": "p1"} | ({"choices": choices} if choices else {})
    said = says(values, status, **headers)
    return Said(said.body, status, said.headers | {"Content-Type": "application/problem+json"})


class FakeServer(ThreadingHTTPServer):
    """``answers`` are given in turn, the last one from then on; each is a Said or makes one of what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[Asked] = []
        self.answers: list[Said | Answering] = [says(ANSWER)]
        self._turn = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def next(self, asked: Asked) -> Said:
        with self._turn:
            self.asked.append(asked)
            answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        return answer(asked) if callable(answer) else answer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body in one piece; else the second waits for the client to acknowledge the first.
    wbufsize = -1
    server: FakeServer

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, body: bytes) -> None:
        address = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        fields, files = _form(headers.get("content-type", ""), body)
        said = self.server.next(Asked(self.command, address.path, parse_qs(address.query), headers, fields, files))
        self.send_response(said.status)
        for name, value in ({"Content-Length": str(len(said.body))} | said.headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(said.body)


def _form(kind: str, body: bytes) -> tuple[dict[str, str], list[tuple[str, str | None, bytes]]]:
    if kind.startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(body.decode())), []
    if not kind.startswith("multipart/form-data"):
        return {}, []
    form = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    files = []
    for part in form.iter_parts():
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        files.append((str(part.get_param("name", header="content-disposition")), part.get_filename(), content))
    return {}, files


@contextmanager
def serving() -> Iterator[FakeServer]:
    """The server for the block."""
    with FakeServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
