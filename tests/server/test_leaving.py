"""Clients that hang up, a full house, addresses that never end: places are free again, and others are served."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from veduta.images.fetch import Fetcher, FetchLimits, Politeness
from veduta.images.preprocess import Preprocessing
from veduta.server.inference import Question

from ..images.conftest import LoopbackServer
from .conftest import photo
from .running import Running, until

HEAD = (
    b"POST /v1/predictions HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    b"Content-Length: %d\r\n\r\n"
)


def form(data: bytes) -> bytes:
    return b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n' + data + b"\r\n--x--\r\n"


class Held:
    """Answers of a server that wait until they are let go."""

    def __init__(self, server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go = threading.Event()
        decoders = server.house.decoders
        submit = decoders.submit

        def wait_and_submit(*given: Any) -> Any:
            future = submit(*given)
            waiting = type(future)()
            threading.Thread(target=self._pass_on, args=(future, waiting), daemon=True).start()
            return waiting

        monkeypatch.setattr(decoders, "submit", wait_and_submit)

    def _pass_on(self, future: Any, waiting: Any) -> None:
        self.go.wait(30)
        if waiting.set_running_or_notify_cancel():
            waiting.set_result(future.result())


@pytest.fixture
def small() -> Iterator[Running]:
    """A house of two places."""
    with Running(queue=2) as server:
        yield server


def test_a_client_that_hangs_up_while_it_waits_frees_its_place(
    small: Running, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(small, monkeypatch)
    body = form(jpeg)
    connections = [small.connect() for _ in range(2)]
    for connection in connections:
        connection.sendall(HEAD % len(body) + body)
    until(lambda: small.house.places.taken == 2)
    for connection in connections:
        connection.close()
    until(lambda: small.house.places.taken == 0)
    held.go.set()
    with small.client() as client:
        assert client.post("/v1/predictions", files={"file": jpeg}).status_code == 200


def test_what_was_given_up_takes_no_memory_and_loads_no_model(server: Running, jpeg: bytes) -> None:
    inference, decoders = server.house.inference, server.house.decoders
    with server.client() as client:
        client.post("/v1/predictions", files={"file": jpeg})
    server.house.cache.evict_all()
    decoded = decoders.submit("photo.jpg", [Preprocessing("stretch", ((64, 64),), "bilinear")], jpeg).result(30)
    inference._loading = "corner"  # as if it were loading, so that nobody takes the question
    future = inference.ask(Question("corner", "of no version", decoded, 0))
    assert inference._waiting
    future.cancel()
    assert not inference._waiting
    inference._loading = None
    wanted = [Preprocessing("stretch", ((64, 64),), "bilinear")]
    large = photo(3000, 2000, "BMP")
    slow = [decoders.submit(f"{number}.bmp", wanted, large) for number in range(12)]
    waiting = [future for future in slow if future.cancel()]
    assert waiting
    for future in slow:
        if future not in waiting:
            future.result(30)


def test_a_client_that_hangs_up_in_its_upload_frees_its_room(small: Running) -> None:
    connection = small.connect()
    connection.sendall(HEAD % 100_000 + b"--x\r\n")
    until(lambda: small.house.places.uploads == 1)
    connection.close()
    until(lambda: small.house.places.uploads == 0)


def test_who_finds_the_house_full_is_told_at_once_when_to_come_back(
    small: Running, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(small, monkeypatch)
    statuses: list[int] = []

    def wait() -> None:
        with small.client() as client:
            statuses.append(client.post("/v1/predictions", files={"file": jpeg}).status_code)

    waiting = [threading.Thread(target=wait) for _ in range(2)]
    for thread in waiting:
        thread.start()
    until(lambda: small.house.places.taken == 2)
    with small.client() as client:
        took = []
        for _ in range(20):
            began = time.perf_counter()
            response = client.post("/v1/predictions", files={"file": jpeg})
            took.append(time.perf_counter() - began)
            assert response.status_code == 503
            assert response.json()["code"] == "queue_full"
            assert int(response.headers["retry-after"]) >= 1
        print(f"a full house answers in {1000 * max(took):.1f} ms at most")
        assert client.get("/healthz").status_code == 200
    held.go.set()
    for thread in waiting:
        thread.join(30)
    assert statuses == [200, 200]


def test_an_answer_that_takes_too_long_is_ended(jpeg: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with Running(answer_seconds=0.3) as server:
        held = Held(server, monkeypatch)
        with server.client() as client:
            response = client.post("/v1/predictions", files={"file": jpeg})
        assert (response.status_code, response.json()["code"]) == (503, "answer_too_slow")
        assert response.headers["retry-after"]
        until(lambda: server.house.places.taken == 0)
        held.go.set()


@pytest.fixture
def reaching_loopback() -> Iterator[Running]:
    """A server whose downloads may go to loopback, where the addresses of these tests are."""
    fetcher = Fetcher(
        allow_loopback=True,
        ports=range(1, 65_536),
        politeness=Politeness(interval_seconds=0),
        limits=FetchLimits(
            total_seconds=1.5, read_seconds=1.0, received_bytes=2 * 2**20, decoded_bytes=2 * 2**20, retries=0
        ),
    )
    with Running(fetcher=fetcher) as server:
        yield server


def by_url(server: Running, url: str) -> Any:
    with server.client() as client:
        return client.post("/v1/predictions", data={"url": url})


def test_addresses_of_photos_and_of_other_things(
    reaching_loopback: Running, serve: Callable[..., LoopbackServer]
) -> None:
    def answers(body: bytes, status: bytes = b"200 OK") -> LoopbackServer:
        head = b"HTTP/1.1 " + status + b"\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
        return serve(lambda _, connection: connection.sendall(head + body))

    good = by_url(reaching_loopback, answers(photo()).url + "/a/kitchen.jpg?x=1")
    assert good.status_code == 200
    assert good.json()["photo"]["name"] == "kitchen.jpg"
    page = by_url(reaching_loopback, answers(b"<!doctype html><html></html>").url)
    assert (page.status_code, page.json()["code"]) == (415, "unsupported_format")
    assert "HTML" in page.json()["detail"]
    missing = by_url(reaching_loopback, answers(b"no", b"404 Not Found").url)
    assert (missing.status_code, missing.json()["code"]) == (422, "url_failed")
    large = by_url(reaching_loopback, answers(bytes(3 * 2**20)).url)
    assert (large.status_code, large.json()["code"]) == (422, "url_too_large")


def test_an_address_that_never_ends_is_given_up_and_its_place_is_free(
    reaching_loopback: Running, serve: Callable[..., LoopbackServer]
) -> None:
    def drip(head: str, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        for _ in range(200):
            connection.sendall(b"\xff")
            time.sleep(0.05)

    def silent(head: str, connection: socket.socket) -> None:
        time.sleep(10)

    for script in (drip, silent):
        response = by_url(reaching_loopback, serve(script).url)
        assert (response.status_code, response.json()["code"]) == (422, "url_too_slow")
    assert reaching_loopback.house.places.taken == 0


def test_downloads_can_be_switched_off(jpeg: bytes) -> None:
    with Running(fetch=False) as server:
        response = by_url(server, "http://example.org/a.jpg")
        assert (response.status_code, response.json()["code"]) == (403, "urls_off")


def test_a_model_that_is_loading_stalls_neither_health_nor_other_models(
    server: Running, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = server.house.cache
    cache.evict_all()
    with server.client() as client:
        client.post("/v1/predictions", files={"file": jpeg})
    load, go, begun = cache._load, threading.Event(), threading.Event()

    def slow(folder: Any) -> Any:
        begun.set()
        go.wait(30)
        return load(folder)

    monkeypatch.setattr(cache, "_load", slow)
    found: list[int] = []

    def cold() -> None:
        with server.client() as client:
            found.append(client.post("/v1/predictions", params={"models": "corner"}, files={"file": jpeg}).status_code)

    thread = threading.Thread(target=cold)
    thread.start()
    assert begun.wait(10)
    with server.client() as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/v1/models").status_code == 200
        assert client.post("/v1/predictions", files={"file": jpeg}).status_code == 200
    assert not found
    go.set()
    thread.join(30)
    assert found == [200]
