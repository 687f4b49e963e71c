"""Photos made for the tests of this room, a writer of small TIFF structures, and servers on loopback."""

from __future__ import annotations

import io
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from .fetching import Waits

Entries = dict[int, tuple[int, tuple[int, ...] | bytes]]
Script = Callable[[str, socket.socket], object]


def scenery(width: int, height: int) -> Image.Image:
    """A smooth picture in which no two corners, and no two rows, look alike."""
    across = np.linspace(0, 1, width)[None, :]
    down = np.linspace(0, 1, height)[:, None]
    red = 255 * (across + 0 * down)
    green = 255 * (down + 0 * across)
    blue = 127 + 120 * np.sin(9 * across) * np.cos(7 * down)
    return Image.fromarray(np.stack([red, green, blue], axis=2).astype(np.uint8))


def encode(image: Image.Image, kind: str, /, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def tiff(directories: list[Entries], tail: bytes = b"", order: str = "<", magic: bytes = b"") -> bytes:
    """A chain of TIFF directories; ``tail`` follows them, and -1 as a value stands for where the tail begins."""
    sizes = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 10: 8}
    codes = {1: "B", 3: "H", 4: "I", 5: "I", 10: "i"}
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(magic)) + magic
    table_at = len(head)
    tables = sum(6 + 12 * len(entries) for entries in directories)
    extra_size = sum(
        0
        if len(values) * sizes[kind] // (2 if kind in (5, 10) else 1) <= 4
        else len(values) * sizes[kind] // (2 if kind in (5, 10) else 1)
        for entries in directories
        for kind, values in entries.values()
    )
    tail_at = table_at + tables + extra_size
    body, extra = b"", b""
    for index, entries in enumerate(directories):
        body += struct.pack(order + "H", len(entries))
        for tag, (kind, values) in sorted(entries.items()):
            if isinstance(values, bytes):
                raw, count = values, len(values)
            else:
                placed = [tail_at if value == -1 else value for value in values]
                raw = struct.pack(f"{order}{len(placed)}{codes[kind]}", *placed)
                count = len(placed) // 2 if kind in (5, 10) else len(placed)
            if len(raw) <= 4:
                value = raw.ljust(4, b"\0")
            else:
                value = struct.pack(order + "I", table_at + tables + len(extra))
                extra += raw
            body += struct.pack(order + "HHI", tag, kind, count) + value
        end = table_at + len(body) + 4
        body += struct.pack(order + "I", end if index + 1 < len(directories) else 0)
    assert len(extra) == extra_size
    return head + body + extra + tail


@pytest.fixture(name="scenery", scope="session")
def _scenery() -> Callable[[int, int], Image.Image]:
    return scenery


@pytest.fixture(name="encode", scope="session")
def _encode() -> Callable[..., bytes]:
    return encode


@pytest.fixture(name="tiff", scope="session")
def _tiff() -> Callable[..., bytes]:
    return tiff


class LoopbackServer:
    """A server on loopback that does to each connection what the test says, and counts them.

    ``script(head, connection)`` gets the request's head as text, and the open connection, which is closed afterwards.
    """

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.heads: list[str] = []
        self.connections = 0
        self.script = script
        self._tls = tls
        self._listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        # A client that gives up in the midst is what these tests are about.
        with connection, suppress(OSError):
            connection.settimeout(30)
            if self._tls is not None:
                with self._tls.wrap_socket(connection, server_side=True) as wrapped:
                    self._answer(wrapped)
            else:
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        while head := read_head(connection):
            self.heads.append(head)
            if not self.script(head, connection):
                return


def read_head(connection: socket.socket) -> str:
    """The head of the next request; empty where the client is gone."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            return ""
        head += byte
    return head.decode("ascii")


@pytest.fixture
def serve() -> Iterator[Callable[..., LoopbackServer]]:
    """Starts servers on loopback that end with the test. A script that returns True keeps its connection open."""
    servers: list[LoopbackServer] = []

    def start(script: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> LoopbackServer:
        servers.append(LoopbackServer(script, tls, host))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def waits() -> Waits:
    """A clock for fetchers whose sleeping takes no time."""
    return Waits()
