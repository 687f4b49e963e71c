"""A server to ask, a client that waits for nothing, and servers that send raw bytes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

import veduta.client.transport
from veduta.client import Client

from .fake_server import FakeServer, serving


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serving() as running:
        yield running


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long a client would have slept, without what chance adds; it does not sleep."""
    noted: list[float] = []
    monkeypatch.setattr(veduta.client.transport, "sleep", noted.append)
    monkeypatch.setattr(veduta.client.transport, "uniform", lambda least, most: 0.0)
    return noted


@pytest.fixture
def client(server: FakeServer, waits: list[float]) -> Iterator[Client]:
    with Client(server.url, timeout=20) as asking:
        yield asking


@pytest.fixture
def raw(waits: list[float]) -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    """Starts a server that does with each connection what the test says, once it has read a request's head."""
    listeners: list[socket.socket] = []

    def start(script: Callable[[socket.socket], None]) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        head = b""
                        while b"\r\n\r\n" not in head and (piece := connection.recv(65536)):
                            head += piece
                        script(connection)

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for listener in listeners:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
