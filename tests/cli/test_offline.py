"""No connection, and nothing in the home folder but the documented cache."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

# Python runs a sitecustomize of the path in every process, so the decoders are watched as well.
WATCH = """
import sys
def _watch(event, arguments):
    if event.startswith("socket.") and event not in ("socket.gethostname",):
        with open({log!r}, "a") as log:
            log.write(event + "\\n")
sys.addaudithook(_watch)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the user's folders are found otherwise there")
def test_tagging_opens_no_socket_and_writes_only_its_cache(tmp_path: Path) -> None:
    home, watch, log = tmp_path / "home", tmp_path / "watch", tmp_path / "sockets.log"
    home.mkdir()
    watch.mkdir()
    (watch / "sitecustomize.py").write_text(WATCH.format(log=str(log)))
    Image.new("RGB", (60, 40), (90, 140, 200)).save(tmp_path / "sky.jpg")
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "CI" and not name.startswith(("VEDUTA_", "XDG_", "PYTHON", "COV_"))
    }
    environment |= {"HOME": str(home), "PYTHONPATH": str(watch)}
    code = "from veduta.cli.main import run; run()"
    command = [sys.executable, "-c", code, "tag", str(tmp_path / "sky.jpg"), "--report", str(tmp_path / "report")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not log.exists(), log.read_text()
    written = [path.relative_to(home) for path in home.rglob("*") if path.is_file()]
    assert written, "the ledger is the documented cache"
    assert all("veduta" in path.parts for path in written), written


def test_the_watch_would_see_a_socket(tmp_path: Path) -> None:
    log = tmp_path / "sockets.log"
    (tmp_path / "sitecustomize.py").write_text(WATCH.format(log=str(log)))
    subprocess.run(
        [sys.executable, "-c", "import socket; socket.socket().close()"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        check=True,
    )
    assert "socket.__new__" in log.read_text()
