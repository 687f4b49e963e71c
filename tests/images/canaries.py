"""Canaries on loopback, which nothing may ever reach, and a network in which one address is public."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpcore2

from veduta.images.fetch import Clock, Fetcher, Politeness
from veduta.images.network import system_dial

from .disguises import PUBLIC, resolve

if TYPE_CHECKING:
    from .conftest import LoopbackServer

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


@dataclass
class Net:
    """A canary on both kinds of loopback, and a fetcher that can reach one public address, played by ``inside``."""

    canaries: list[LoopbackServer]
    inside: LoopbackServer
    location: str = ""
    dialled: list[tuple[str, int]] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.canaries[0].port)

    def dial(self, address: str, port: int, seconds: float) -> httpcore2.NetworkStream:
        self.dialled.append((address, port))
        if address == PUBLIC:
            return system_dial("127.0.0.1", self.inside.port, seconds)
        return system_dial(address, port, 2.0)

    def fetcher(self, **options: Any) -> Fetcher:
        ports = {80, 443, *(canary.port for canary in self.canaries)}
        clock = Clock(sleep=lambda seconds: None)
        politeness = Politeness(interval_seconds=0)
        given = {"resolver": resolve, "dial": self.dial, "clock": clock, "politeness": politeness, "ports": ports}
        return Fetcher(**(given | options))

    @property
    def visits(self) -> int:
        return sum(canary.connections for canary in self.canaries)
