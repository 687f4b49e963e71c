"""SIGTERM under load: what is under way is answered whole, and the server is gone in time."""

from __future__ import annotations

import asyncio
import importlib
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest

from .conftest import photo

ROOT = Path(__file__).parents[2]
#: How long answers under way may take.
_SECONDS = 20


@pytest.mark.alone
@pytest.mark.parametrize("times", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_a_server_that_is_told_to_stop_ends_what_it_began(
    bare_home: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    served, client = (importlib.import_module(f"bench.{name}") for name in ("served", "load_client"))
    requests = [client.photo_request(photo(), query) for query in ("", "?heatmap=true", "?top_k=100")]
    slowest = 0.0
    for number in range(times):
        with served.served(bare_home, queue=32) as server:
            children = [child.pid for child in psutil.Process(server.process.pid).children()]
            ends, seconds = asyncio.run(stop_under_load(client, server, requests, 0.3 + 0.05 * number))
            assert server.process.returncode == 0
            slowest = max(slowest, seconds)
            assert ends["truncated"] == 0, ends
            assert ends["answered"] > 0
            assert not [pid for pid in children if psutil.pid_exists(pid)], "a decoding process outlived its server"
    print(f"SIGTERM under load {times} times: gone after {slowest:.2f} s at most, no body cut")
    assert slowest <= _SECONDS


async def stop_under_load(client: Any, server: Any, requests: list[bytes], after: float) -> tuple[Counter[str], float]:
    """16 clients, SIGTERM in their midst; how each request ended, and seconds until the server was gone."""
    ends: Counter[str] = Counter()
    stopping = asyncio.Event()

    async def one(number: int) -> None:
        connection = client.Connection(server.port)
        while not stopping.is_set():
            try:
                answer = await connection.ask(requests[number % len(requests)])
                ends["answered" if answer.status == 200 else f"{answer.status}"] += 1
            except client.Truncated:
                ends["truncated"] += 1
            except OSError:
                # Refused, or closed before a byte of an answer: the client knows that nothing was answered.
                ends["refused"] += 1
                await asyncio.sleep(0.02)

    async def stop() -> float:
        await asyncio.sleep(after)
        server.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        while server.process.poll() is None and time.monotonic() - began < _SECONDS + 5:
            await asyncio.sleep(0.02)
        stopping.set()
        return time.monotonic() - began

    seconds, *_ = await asyncio.gather(stop(), *(one(number) for number in range(16)))
    assert isinstance(seconds, float)
    return ends, seconds
