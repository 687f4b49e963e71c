"""``veduta serve`` in a process of its own, watched: what it and its decoding processes take."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

_START_SECONDS = 60.0
_STOP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Taken:
    """What a server takes at one moment: CPU seconds so far, PSS in bytes, open descriptors, threads, processes."""

    cpu: float
    pss: int
    descriptors: int
    threads: int
    processes: int


@dataclass(frozen=True, slots=True)
class Served:
    """A running server."""

    port: int
    process: subprocess.Popen[bytes]

    def taken(self) -> Taken:
        """Of the server and of all its processes; descriptors and threads are the server's own."""
        main = psutil.Process(self.process.pid)
        family = [main, *main.children(recursive=True)]
        cpu = pss = 0.0
        for each in family:
            try:
                times = each.cpu_times()
                # Of decoding processes that were replaced, their parent knows.
                cpu += times.user + times.system + (times.children_user + times.children_system if each == main else 0)
                pss += each.memory_full_info().pss
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return Taken(cpu, int(pss), main.num_fds(), main.num_threads(), len(family))

    def stop(self) -> int:
        """Ask it to stop, and its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_STOP_SECONDS)


@contextmanager
def served(home: Path | None = None, *, log: Path | None = None, **settings: object) -> Iterator[Served]:
    """A server that is ready, with these settings; ended afterwards."""
    port = _free_port()
    given = {f"VEDUTA_SERVER_{name.upper()}": str(value) for name, value in settings.items()}
    environment = os.environ | {"VEDUTA_SERVER_PORT": str(port)} | given
    if home is not None:
        environment["VEDUTA_HOME"] = str(home)
    command = [sys.executable, "-c", "from veduta.cli.main import run; run()", "serve"]
    with (log or Path(os.devnull)).open("wb") as errors:
        process = subprocess.Popen(command, env=environment, stderr=errors)
        running = Served(port, process)
        try:
            _wait_until_ready(running)
            yield running
        finally:
            if process.poll() is None:
                running.stop()


def _wait_until_ready(running: Served) -> None:
    ends = time.monotonic() + _START_SECONDS
    while time.monotonic() < ends:
        if running.process.poll() is not None:
            raise SystemExit(f"the server ended with {running.process.returncode} before it was ready")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{running.port}/readyz", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"the server was not ready after {_START_SECONDS:.0f} s")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
