"""What Dockerfile, compose.yaml and docs/serving.md say, held against the server that they are about."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic_settings", reason="the extra server is not installed")
yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")

from veduta.server.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
SERVING = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
COMPOSE = (ROOT / "compose.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def service() -> dict[str, Any]:
    (found,) = yaml.safe_load(COMPOSE)["services"].values()
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("text", [DOCKERFILE, SERVING, COMPOSE], ids=["Dockerfile", "serving.md", "compose.yaml"])
def test_every_variable_that_is_named_is_a_setting(text: str) -> None:
    named = set(re.findall(rf"{PREFIX}([A-Z_]*[A-Z])", text))
    assert named <= {name.upper() for name in Settings.model_fields}


def test_the_server_takes_the_values_of_the_container(service: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in service["environment"].items():
        assert isinstance(value, str), f"{name}: YAML would hand on something else than is written there"
        monkeypatch.setenv(name, value)
    settings = Settings.read()
    assert settings.memory_mb == int(service["environment"][f"{PREFIX}MEMORY_MB"])
    whole = 1024 * int(service["mem_limit"].removesuffix("g"))
    temporary = int(re.search(r"size=(\d+)m", service["tmpfs"][0])[1])  # type: ignore[index]
    photos = settings.queue * settings.max_upload_mb + settings.decoding_processes * settings.decode_memory_mb
    assert settings.memory_mb + temporary + photos < whole


def test_the_container_may_do_next_to_nothing(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert [place.partition(":")[0] for place in service["tmpfs"]] == ["/tmp"]
    assert all(volume.endswith(":ro") for volume in service["volumes"])
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert service["pids_limit"] > 0
    assert service["mem_limit"] == service["memswap_limit"]


def test_what_is_under_way_is_answered_before_the_end(service: dict[str, Any]) -> None:
    unit = re.search(r"TimeoutStopSec=(\d+)s", SERVING)
    assert unit is not None
    graceful = Settings().graceful_seconds
    assert int(service["stop_grace_period"].removesuffix("s")) > graceful
    assert int(unit[1]) > graceful


def test_the_image_is_not_run_as_root_and_can_not_change_itself() -> None:
    last_stage = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.findall(r"^USER (.*)$", last_stage, re.MULTILINE) == ["10001:10001"]
    assert "--chown" not in last_stage
    assert "STOPSIGNAL SIGTERM" in last_stage


def test_the_builder_gets_what_the_image_is_made_of() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in lines
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
    for source in " ".join(copied).split():
        assert (ROOT / source).exists()
        assert f"!{source.removeprefix('./')}" in lines


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1), (None, 1)])
def test_the_health_check_is_that_of_the_server(status: int | None, code: int) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if status and self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        port = server.server_address[1]
        if status is not None:
            threading.Thread(target=server.handle_request, daemon=True).start()
        else:
            server.server_close()
        check = re.search(r"HEALTHCHECK.*?CMD (\[.*?\])\n", DOCKERFILE, re.DOTALL)
        assert check is not None
        _, *arguments = json.loads(check[1])
        # A proxy that nobody answers at: the check may not ask it.
        environment = os.environ | {f"{PREFIX}PORT": str(port), "http_proxy": "http://127.0.0.1:9"}
        done = subprocess.run(
            [sys.executable, *arguments], env=environment, capture_output=True, check=False, timeout=60
        )
    assert done.returncode == code, done.stderr


def test_the_table_of_settings_is_whole_and_has_their_defaults() -> None:
    table = SERVING.partition("## Settings")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("| `")]
    documented: dict[str, str] = {}
    for names, defaults in rows:
        variables = re.findall(r"`([^`]+)`", names)
        values = re.findall(r"`([^`]+)`", defaults) or [""] * len(variables)
        documented.update(zip(variables, values, strict=True))
    real = {name.upper(): _shown(field.default) for name, field in Settings.model_fields.items()}
    assert documented == real


def _shown(default: object) -> str:
    if default is None or default == ():
        return ""
    return str(default).lower() if isinstance(default, bool) else str(default)
