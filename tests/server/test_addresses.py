"""No address that is sent to the API reaches this machine or its network: the canaries of ``images/fetch`` count."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from ..images.canaries import OK, Net
from ..images.conftest import LoopbackServer
from ..images.disguises import HOSTS, PUBLIC, URLS
from .running import Running


@pytest.fixture
def net(serve: Callable[..., LoopbackServer]) -> Net:
    def answer(head: str, connection: socket.socket) -> None:
        where = f"Location: {net.location}\r\n".encode() if net.location else b""
        connection.sendall(b"HTTP/1.1 302 Found\r\n" + where + b"Content-Length: 0\r\n\r\n")

    canaries = [serve(lambda head, connection: connection.sendall(OK))]
    if socket.has_ipv6:
        with suppress(OSError):
            canaries.append(serve(lambda head, connection: connection.sendall(OK), host="::1"))
    net = Net(canaries, serve(answer))
    return net


@pytest.fixture
def guarded(net: Net) -> Iterator[Running]:
    with net.fetcher() as fetcher, Running(fetcher=fetcher) as server:
        yield server


def test_no_trick_reaches_a_canary(net: Net, guarded: Running) -> None:
    tricks = [f"http://{host}:{net.port}/" for host in HOSTS.values()]
    tricks += [url.format(port=net.port) for url in URLS.values()]
    with guarded.client() as client:
        for url in tricks:
            response = client.post("/v1/predictions", data={"url": url})
            assert response.status_code in (400, 422), (url, response.text)
            assert response.headers["content-type"] == "application/problem+json"
        assert not net.dialled
        for url in tricks:
            net.location = url.encode("ascii", "ignore").decode().replace("\r", "").replace("\n", "")
            response = client.post("/v1/predictions", data={"url": "http://public.example/photo.jpg"})
            assert response.status_code == 422, (url, response.text)
    assert {address for address, _ in net.dialled} <= {PUBLIC}
    assert not net.visits
    print(f"{2 * len(tricks)} addresses and redirects, {net.visits} connections to a canary")


def test_the_canary_would_count(net: Net) -> None:
    with net.fetcher(allow_loopback=True) as fetcher, Running(fetcher=fetcher) as server, server.client() as client:
        client.post("/v1/predictions", data={"url": f"http://127.0.0.1:{net.port}/"})
    assert net.visits == 1


def test_the_server_as_it_is_started_refuses_loopback(serve: Callable[..., LoopbackServer]) -> None:
    canary = serve(lambda head, connection: connection.sendall(OK))
    with Running() as server, server.client() as client:
        for url in (canary.url, server.url, f"http://localhost:{canary.port}/"):
            response = client.post("/v1/predictions", data={"url": url})
            assert response.json()["code"] == "url_refused"
    assert canary.connections == 0
