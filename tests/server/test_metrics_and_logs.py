"""Figures are right, also across several worker processes, and each line of the log is JSON with its request's id."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import psutil
import pytest

from .running import Running, free_port, until


@contextmanager
def served(home: Path, **settings: object) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """``veduta serve`` in a process of its own, ready."""
    port = free_port()
    given = {f"VEDUTA_SERVER_{name.upper()}": str(value) for name, value in settings.items()}
    environment = os.environ | {"VEDUTA_HOME": str(home), "VEDUTA_SERVER_PORT": str(port)} | given
    code = "from veduta.cli.main import run; run()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "serve"], env=environment, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: is_ready(url, process), 60)
        yield url, process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def is_ready(url: str, process: subprocess.Popen[str]) -> bool:
    assert process.poll() is None, process.communicate()[1]
    try:
        return httpx2.get(f"{url}/readyz", trust_env=False).status_code == 200
    except httpx2.TransportError:
        return False


def figure(text: str, name: str, **labels: str) -> float:
    """The sum of all lines of a figure that carry these labels."""
    found = 0.0
    for line in text.splitlines():
        match = re.fullmatch(rf"{name}(?:\{{(.*)\}})? ([0-9.e+-]+)", line)
        if match and all(f'{key}="{value}"' in (match[1] or "") for key, value in labels.items()):
            found += float(match[2])
    return found


def test_requests_and_photos_are_counted_by_route_and_model(server: Running, jpeg: bytes) -> None:
    route = {"route": "/v1/predictions"}
    with server.client() as client:
        before = client.get("/metrics").text
        for _ in range(3):
            client.post("/v1/predictions", files={"file": jpeg})
        client.post("/v1/predictions", data={"sample": "none"})
        for path in ("/nothing/1", "/nothing/2"):
            client.get(path)
        after = client.get("/metrics").text
    answered = {"status": "200", **route}
    assert figure(after, "veduta_requests_total", **answered) == figure(before, "veduta_requests_total", **answered) + 3
    assert figure(after, "veduta_requests_total", status="404", **route) >= 1
    assert figure(after, "veduta_predictions_total", model="places100", outcome="ok") >= 3
    assert figure(after, "veduta_request_seconds_count", **route) >= 4
    assert figure(after, "veduta_queue_photos") == 0
    assert figure(after, "veduta_models_loaded") >= 1
    assert "/nothing" not in after


def test_metrics_can_be_switched_off() -> None:
    with Running(metrics=False) as server, server.client() as client:
        assert client.get("/metrics").status_code == 404


def test_several_workers_tell_the_figures_of_all(bare_home: Path, jpeg: bytes) -> None:
    with served(bare_home, workers=2) as (url, process):
        asked_of = set()
        for _ in range(40):
            # A new connection each time, so that the system spreads them over the workers.
            response = httpx2.post(f"{url}/v1/predictions", files={"file": jpeg}, trust_env=False)
            assert response.status_code == 200
            text = httpx2.get(f"{url}/metrics", trust_env=False).text
            asked_of.add(text)
        assert figure(text, "veduta_requests_total", route="/v1/predictions", status="200") == 40
        assert figure(text, "veduta_predictions_total", model="places100") == 40
        assert len([child for child in psutil.Process(process.pid).children() if child.is_running()]) >= 2


def test_each_line_of_the_log_is_json_with_its_requests_id(bare_home: Path, jpeg: bytes) -> None:
    with served(bare_home, log_format="json") as (url, process):
        headers = {"X-Request-ID": "my-own-id"}
        name = "a secret name.jpg"
        httpx2.post(f"{url}/v1/predictions", files={"file": (name, jpeg)}, headers=headers, trust_env=False)
        httpx2.get(f"{url}/nothing", headers={"X-Request-ID": "lost"}, trust_env=False)
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        lines = [json.loads(line) for line in process.stderr.read().splitlines()]
    told = {line.get("request_id"): line for line in lines}
    assert told["my-own-id"]["status"] == 200
    assert told["my-own-id"]["models"] == ["places100"]
    assert told["my-own-id"]["ms"] > 0
    assert told["lost"]["status"] == 404
    assert told["lost"]["code"] == "not_found"
    assert all({"event", "level", "timestamp"} <= set(line) for line in lines)
    assert not any("secret" in json.dumps(line) for line in lines)


def start(home: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """``veduta serve`` where it can't start."""
    given = {f"VEDUTA_SERVER_{name}": value for name, value in settings.items()}
    code = "from veduta.cli.main import run; run()"
    return subprocess.run(
        [sys.executable, "-c", code, "serve", *arguments],
        env=os.environ | {"VEDUTA_HOME": str(home)} | given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_what_keeps_a_server_from_starting_is_told_in_a_sentence(bare_home: Path, server: Running) -> None:
    taken = ("--port", str(server.settings.port))
    for run, told in (
        (start(bare_home, *taken), "can't be listened on"),
        (
            start(bare_home, DEFAULT_MODEL="plcaes100"),
            "DEFAULT_MODEL: There is no model 'plcaes100'; there are",
        ),
        (start(bare_home, API_KEYS_FILE="/nowhere/keys"), "the API keys can't be read"),
        (start(bare_home, QUEUE="none"), "VEDUTA_SERVER_QUEUE is 'none'"),
    ):
        assert run.returncode == 2
        assert told in run.stderr
        assert "Traceback" not in run.stderr
        assert run.stderr.count("\n") == 1
    assert "VEDUTA_SERVER_QUEU is no setting" in start(bare_home, *taken, QUEU="3").stderr


@pytest.mark.parametrize("name", ["torch", "matplotlib", "pandas"])
def test_the_server_imports_nothing_heavy(name: str) -> None:
    code = f"import sys, veduta.server.app, veduta.server.run; assert {name!r} not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
