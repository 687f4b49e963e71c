"""Servers that are none, or want to harm: each ends in one sentence, soon."""

from __future__ import annotations

import copy
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
import trustme

import veduta.client.transport
from veduta.client import Client
from veduta.errors import ApiError

from .fake_server import ANSWER, FakeServer, Said, says

Raw = Callable[[Callable[[socket.socket], None]], str]


def _refused(url: str, *words: str, **options: Any) -> ApiError:
    with Client(url, **options) as client, pytest.raises(ApiError) as error:
        client.predict(b"photo")
    for word in words:
        assert word in str(error.value)
    assert len(str(error.value)) < 1500
    return error.value


def test_nobody_there(waits: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    error = _refused(url, url, "No server answers", "`veduta serve`")
    assert (error.status, error.code) == (None, None)
    assert waits == []


@pytest.mark.parametrize("said", [
    Said(b"<html>hello</html>", headers={"Content-Type": "text/html; charset=utf-8"}),
    Said(b"{}", headers={"Content-Type": "application/json"}),
    Said(b"[]", headers={"Content-Type": "application/json"}),
    Said(b"", headers={"Content-Type": "application/json"}),
    Said(b"{", headers={"Content-Type": "application/json"}),
    Said(b'{"id": "\xff"}', headers={"Content-Type": "application/json"}),
    Said(b'{"a":' * 200_000, headers={"Content-Type": "application/json"}),
    Said(b"[" * 200_000 + b"]" * 200_000, headers={"Content-Type": "application/json"}),
    Said(b'{"a": ' + b"1" * 5000 + b"}", headers={"Content-Type": "application/json"}),
    Said(json.dumps(ANSWER).replace("0.91", "NaN").encode(), headers={"Content-Type": "application/json"}),
    Said(json.dumps(ANSWER).replace("0.91", "1e999").encode(), headers={"Content-Type": "application/json"}),
    Said(json.dumps(ANSWER).encode(), headers={}),
    Said(b"", 204),
], ids=str)  # fmt: skip
def test_an_answer_that_is_none(server: FakeServer, client: Client, said: Said) -> None:
    server.answers = [said]
    with pytest.raises(ApiError, match="Veduta's API") as error:
        client.predict(b"photo")
    assert error.value.status == said.status
    assert error.value.code is None


def _spoilt() -> list[dict[str, Any]]:
    """The whole answer, with one value at a time absent or of another kind."""
    found: list[dict[str, Any]] = []

    def walk(path: tuple[str | int, ...], value: Any) -> None:
        if path:
            for wrong in (7.5, "x", ["x"], {"x": "x"}, None, True, "x" * 5000):
                spoilt = copy.deepcopy(ANSWER)
                inner: Any = spoilt
                for key in path[:-1]:
                    inner = inner[key]
                inner[path[-1]] = wrong
                found.append(spoilt)
        for key, inside in (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        ):
            walk((*path, key), inside)

    walk((), ANSWER)
    return found


def test_any_one_value_of_the_wrong_kind_is_an_api_error_or_harmless(server: FakeServer, client: Client) -> None:
    for spoilt in _spoilt():
        server.answers = [says(spoilt)]
        with suppress(ApiError):
            answer = client.predict(b"photo")
            assert all(0 <= score.probability <= 1 for each in answer.predictions for score in each.scores)
            assert all(isinstance(score.label.name, str) for each in answer.predictions for score in each.scores)


def test_the_place_of_a_wrong_value_is_told(server: FakeServer, client: Client) -> None:
    spoilt = copy.deepcopy(ANSWER)
    spoilt["predictions"][0]["scores"][1]["probability"] = 1.5
    server.answers = [says(spoilt, x_request_id="r7")]
    with pytest.raises(
        ApiError, match=r"predictions\[0\]\.scores\[1\]\.probability is not a number from 0 to 1"
    ) as error:
        client.predict(b"photo")
    assert error.value.id == "r7"


def test_a_batch_with_another_number_of_results_is_refused(server: FakeServer, client: Client) -> None:
    server.answers = [says({"id": "b", "results": [{"name": "a", "answer": ANSWER}]})]
    with pytest.raises(ApiError, match="1 entries for 2 photos"):
        client.predict_batch([b"a", b"b"])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_told_and_not_followed(server: FakeServer, status: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.settimeout(0.05)
        there = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/v1/predictions"
        server.answers = [Said(b"", status, {"Location": there})]
        error = _refused(server.url, "redirects to", there, api_key="secret")
        with pytest.raises(TimeoutError):
            elsewhere.accept()
    assert error.status == status


@pytest.mark.parametrize(("path", "kind"), [("/healthz", "text/html"), ("/readyz", "application/json")])
def test_the_health_of_a_stranger_is_not_believed(server: FakeServer, client: Client, path: str, kind: str) -> None:
    server.answers = [Said(b"[]", headers={"Content-Type": kind})]
    with pytest.raises(ApiError, match="Veduta's API"):
        client.health() if path == "/healthz" else client.ready()
    server.answers = [Said(b"<html>", 502, {"Content-Type": "text/html"})]
    with pytest.raises(ApiError, match="502"):
        client.ready()


def test_a_proxys_own_page_is_told_by_its_status(server: FakeServer, client: Client, waits: list[float]) -> None:
    page = Said(b"<html>Bad gateway</html>", 502, {"Content-Type": "text/html"})
    server.answers = [page]
    with pytest.raises(ApiError, match=r"status 502, and not as Veduta's API would \(text/html\)") as error:
        client.predict(b"photo")
    assert error.value.code is None
    server.answers = [Said(page.body, 503, {"Content-Type": "text/html", "Retry-After": "3"}), says(ANSWER)]
    assert client.predict(b"photo").id == "5b1f"
    assert waits == [3.0]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"detail": 7}', b"<html>"])
def test_a_problem_that_is_none(server: FakeServer, client: Client, body: bytes) -> None:
    server.answers = [Said(body, 422, {"Content-Type": "application/problem+json"})]
    with pytest.raises(ApiError, match="status 422"):
        client.predict(b"photo")


@pytest.mark.parametrize("said", [
    Said(b"<html>", headers={"Content-Type": "text/html"}),
    Said(b"not a picture", headers={"Content-Type": "image/png"}),
    Said(b"GIF89a" + bytes(50), headers={"Content-Type": "image/png"}),
    Said(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">IIBBBBB", 9000, 9000, 8, 2, 0, 0, 0) + bytes(4),
         headers={"Content-Type": "image/png"}),
    Said(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">IIBBBBB", 90_000, 90_000, 8, 2, 0, 0, 0) + bytes(4),
         headers={"Content-Type": "image/png"}),
], ids=str)  # fmt: skip
def test_a_picture_that_is_none(server: FakeServer, client: Client, said: Said) -> None:
    server.answers = [said]
    with pytest.raises(ApiError, match="Veduta's API"):
        client.bars(b"photo")


def _without_end(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        connection.sendall(b" " * 65536)


def test_a_body_without_end_is_left_at_the_limit(raw: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(veduta.client.transport, "MOST_BYTES", 1_000_000)
    _refused(raw(_without_end), "more than 1,000,000 bytes")


def test_headers_without_end_are_left(raw: Raw) -> None:
    def script(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"X-Filler: " + b"x" * 5000 + b"\r\n")

    _refused(raw(script), "broke off or spoke no HTTP", retries=0)


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, gzip"])
def test_a_packed_answer_is_not_unpacked(server: FakeServer, coding: str) -> None:
    server.answers = [says(ANSWER, content_encoding=coding)]
    _refused(server.url, "plain bytes were asked for")


def _drip(data: bytes) -> Callable[[socket.socket], None]:
    def script(connection: socket.socket) -> None:
        for byte in data:
            connection.sendall(bytes([byte]))
            time.sleep(0.05)

    return script


@pytest.mark.parametrize("script", [
    lambda connection: time.sleep(5),
    _drip(b"HTTP/1.1 200 OK\r\nX-Filler: " + b"x" * 1000),
    _drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b" " * 1000),
    _drip(b"HTTP/1.1 100 Continue\r\n\r\n" * 50),
], ids=["silent", "dripping headers", "dripping body", "going on forever"])  # fmt: skip
def test_a_slow_server_is_left_at_the_deadline(raw: Raw, script: Callable[[socket.socket], None]) -> None:
    # With a time-out that counts anew for each piece, the drip would come to its end, which is another error.
    error = _refused(raw(script), "within 0.3 seconds", timeout=0.3)
    assert error.status is None


def test_a_server_that_does_not_read_is_left_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with Client(url, timeout=0.3) as client, pytest.raises(ApiError, match=r"within 0\.3 seconds"):
            client.predict(bytes(50_000_000))


def test_a_connection_that_breaks_off_is_tried_again(raw: Raw, waits: list[float]) -> None:
    body = json.dumps(ANSWER).encode()
    whole = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    pieces = iter([b"", whole[:300], b"nonsense\r\n\r\n", whole])
    with Client(raw(lambda connection: connection.sendall(next(pieces)))) as client:
        assert client.predict(b"photo").id == "5b1f"
    assert waits == [0.5, 1.0, 2.0]
    _refused(raw(lambda connection: None), "broke off", retries=1)


def test_a_refusal_during_the_upload_is_heard(raw: Raw) -> None:
    def script(connection: socket.socket) -> None:
        detail = json.dumps({"detail": "Too large.", "code": "photo_too_large", "id": "p"}).encode()
        head = b"HTTP/1.1 413 X\r\nContent-Type: application/problem+json\r\nConnection: close\r\n"
        connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(detail) + detail)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    with Client(raw(script)) as client, pytest.raises(ApiError, match="Too large") as error:
        client.predict(bytes(3_000_000))
    assert (error.value.status, error.value.code) == (413, "photo_too_large")


def _whole_request(stream: socket.socket) -> None:
    """Reads head and body: who answers and closes while bytes wait unread may take the answer back (RST)."""
    length = 0
    with stream.makefile("rb") as reader:
        while line := reader.readline().strip().lower():
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        reader.read(length)


def _tls_server(stop: threading.Event) -> tuple[str, trustme.CA]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)

    def serve() -> None:
        with listener:
            while not stop.is_set():
                try:
                    connection, _ = listener.accept()
                    connection.settimeout(5)
                    with context.wrap_socket(connection, server_side=True) as stream:
                        _whole_request(stream)
                        body = json.dumps(ANSWER).encode()
                        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                        stream.sendall(head % len(body) + body)
                except (TimeoutError, OSError):
                    continue

    threading.Thread(target=serve, daemon=True).start()
    return f"127.0.0.1:{listener.getsockname()[1]}", authority


def test_a_certificate_that_nobody_vouches_for_is_refused(server: FakeServer) -> None:
    stop = threading.Event()
    try:
        place, _ = _tls_server(stop)
        _refused(f"https://{place}", "no valid certificate", api_key="secret")
    finally:
        stop.set()
    _refused(server.url.replace("http:", "https:"), "encrypted connection", "http://")


def test_a_trusted_certificate_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx2

    stop = threading.Event()
    try:
        place, authority = _tls_server(stop)
        trusting = ssl.create_default_context()
        authority.configure_trust(trusting)
        monkeypatch.setattr(httpx2, "create_ssl_context", lambda trust_env: trusting)
        with Client(f"https://{place}") as client:
            assert client.predict(b"photo").id == "5b1f"
    finally:
        stop.set()


def test_retry_after_is_seconds_or_a_date() -> None:
    from datetime import UTC, datetime

    from veduta.retry_after import retry_after

    now = datetime(2031, 5, 4, 12, 0, 0, tzinfo=UTC)
    told = [
        "5",
        " 0 ",
        "Sun, 04 May 2031 12:00:30 GMT",
        "Sun, 04 May 2031 11:00:00 GMT",
        "9" * 40,
        "soon",
        "-1",
        "",
        "٣",
    ]
    assert [retry_after(value, now) for value in told] == [5, 0, 30, 0, float("inf"), None, None, None, None]


def test_kept_connections_are_used_again(server: FakeServer, client: Client) -> None:
    ports: list[int] = []
    original = server.process_request

    def noted(request: Any, address: Any) -> None:
        ports.append(address[1])
        original(request, address)

    server.process_request = noted  # type: ignore[method-assign]
    for _ in range(5):
        client.predict(b"photo")
    assert len(ports) == 1
    assert len(server.asked) == 5
    assert all(first == second for first, second in pairwise(asked.path for asked in server.asked))
