"""Connections that hold on to the server are let go: slow heads, endless ones, owed bodies, answers nobody takes."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from veduta.server import protocol

from .running import Running, until

OWED = (
    b"POST /v1/predictions?models=none HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    b"Content-Length: 1000000\r\n\r\n--x"
)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A server that waits for nobody."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(protocol, "LINGER_SECONDS", 0.5)
    with Running() as server:
        yield server


def is_closed(connection: socket.socket, send: bytes = b"") -> bool:
    """Whether the server has hung up, found out by drips of ``send``."""
    connection.settimeout(0.05)
    try:
        if send:
            connection.sendall(send)
        return connection.recv(65536) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


@pytest.mark.parametrize("begin", [b"", b"G", b"GET / HTTP/1.1\r\nA: "], ids=["nothing", "a letter", "a header"])
def test_a_head_that_does_not_come_is_not_waited_for(hasty: Running, begin: bytes) -> None:
    with hasty.connect() as connection:
        connection.sendall(begin)
        until(lambda: is_closed(connection), 10)


@pytest.mark.parametrize("drip", [b"\r\n", b"G"], ids=["empty lines", "letters"])
def test_a_kept_connection_that_drips_is_closed(hasty: Running, drip: bytes) -> None:
    with hasty.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        until(lambda: is_closed(connection, drip), 10)


def test_endless_headers_are_refused(server: Running) -> None:
    with server.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        with suppress(OSError):
            for number in range(400):
                connection.sendall(b"X-%d: " % number + b"a" * 1000 + b"\r\n")
        answer = b""
        with suppress(OSError):
            answer = connection.recv(65536)
    # The answer may be lost where the client still sends; the connection is closed in any case.
    if answer:
        assert answer.startswith(b"HTTP/1.1 400")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "request_broken"
    until(lambda: len(server.server.server_state.connections) < 5)


def test_a_body_that_is_owed_after_a_refusal_is_not_waited_for(hasty: Running) -> None:
    with hasty.connect() as connection:
        connection.sendall(OWED)
        assert b"unknown_model" in connection.recv(65536)
        until(lambda: is_closed(connection, b"a"), 10)


def test_a_client_that_sends_the_rest_of_a_refused_body_may_ask_again(server: Running) -> None:
    with server.connect() as connection:
        connection.sendall(OWED)
        assert b"unknown_model" in connection.recv(65536)
        connection.sendall(b"a" * (1000000 - 3))
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_an_answer_that_nobody_takes_is_let_go(hasty: Running) -> None:
    # Pictures of noise are large, so that the answer is more than the system's own buffers hold.
    file = io.BytesIO()
    noise = np.random.default_rng(2).integers(0, 255, (900, 1000, 3), np.uint8)
    Image.fromarray(noise).save(file, "JPEG")
    form = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="%d.jpg"\r\n\r\n' % number
        + file.getvalue()
        + b"\r\n"
        for number in range(30)
    )
    form += b"--x--\r\n"
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", hasty.settings.port))
        connection.sendall(
            b"POST /v1/predictions/batch?preview=true&top_k=100 HTTP/1.1\r\nHost: x\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: %d\r\n\r\n" % len(form) + form
        )
        until(lambda: hasty.house.places.taken == 1)
        until(lambda: hasty.house.places.taken == 0)
        until(lambda: not hasty.server.server_state.connections, 10)


def test_too_many_connections_are_told_so_and_health_is_well() -> None:
    with Running(connections=8) as server:
        held = [server.connect() for _ in range(9)]
        try:
            with server.client() as client:
                response = client.get("/v1/models")
                assert (response.status_code, response.json()["code"]) == (503, "queue_full")
                assert response.headers["retry-after"] == "1"
                assert client.get("/healthz").status_code == 200
        finally:
            for connection in held:
                connection.close()
