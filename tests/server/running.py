"""A real server on loopback, in a thread of the tests' own process, with the options that ``veduta serve`` gives it."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any, Self

import httpx2
import uvicorn

from veduta.images.fetch import Fetcher
from veduta.server.app import create_app
from veduta.server.house import House
from veduta.server.run import server_options
from veduta.server.settings import Settings


class Running:
    """``settings`` are those of the environment's defaults, with what is given in their place."""

    def __init__(self, *, fetcher: Fetcher | None = None, **settings: Any) -> None:
        self.settings = Settings.read(**({"port": free_port(), "threads": 2, "decoders": 2} | settings))
        self.app = create_app(self.settings, fetcher=fetcher)
        self.server = uvicorn.Server(uvicorn.Config(self.app, **server_options(self.settings)))
        self._thread = threading.Thread(target=self.server.run, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.port}"

    @property
    def house(self) -> House:
        house = self.app.state.house
        assert isinstance(house, House)
        return house

    def client(self, **options: Any) -> httpx2.Client:
        return httpx2.Client(**({"base_url": self.url, "timeout": 60.0, "trust_env": False} | options))

    def connect(self) -> socket.socket:
        """A bare connection, for what no client library would send."""
        return socket.create_connection(("127.0.0.1", self.settings.port), timeout=30)

    def __enter__(self) -> Self:
        self._thread.start()
        until(lambda: self.server.started and getattr(self.app.state, "house", None) is not None)
        until(lambda: self.house.warm)
        return self

    def __exit__(self, *error: object) -> None:
        self.server.should_exit = True
        self._thread.join(timeout=30)
        assert not self._thread.is_alive(), "the server did not stop"


def until(is_so: Any, seconds: float = 30.0) -> None:
    """Wait for what another thread does; fails where it does not come."""
    ends = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends, "it did not come"
        time.sleep(0.01)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
