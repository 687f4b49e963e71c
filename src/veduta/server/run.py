"""Starting the server: uvicorn with our settings, one process or several."""

from __future__ import annotations

import math
import os
import shutil
import signal
import socket
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from veduta.errors import UsageError
from veduta.images.fetch import Fetcher
from veduta.models import memory
from veduta.server.catalogue import Catalogue
from veduta.server.problems import ProblemError
from veduta.server.settings import PREFIX, Settings
from veduta.workflows.landmarks import load_landmarks

#: The environment carries the settings to worker processes, which uvicorn starts anew.
_HANDED_ON = "VEDUTA_SERVER_HANDED_ON"
#: A kept connection without a request is closed after so many seconds.
_IDLE_SECONDS = 15


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C; what is under way then is answered first.

    Raises UsageError where the address can't be listened on, the default model is not there, or keys can't be read,
    and what opening the index of landmarks raises.
    """
    import uvicorn

    from veduta.server.logs import configure

    _check_address(settings.host, settings.port)
    _check_default_model(settings)
    settings.all_keys()
    # Made and closed: an index or a proxy that can't be used would else be told in the midst of the start.
    if settings.landmarks is not None:
        load_landmarks(settings.landmarks).index.close()
    if settings.fetch:
        Fetcher(limits=settings.fetch_limits, proxy=settings.proxy).close()
    _raise_descriptor_limit()
    memory.share_arenas()
    # Else OpenVINO's networks leave some 130 MB behind when they are freed; nothing here gains by more.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
    configure(settings.log_format, settings.log_level)
    options = server_options(settings)
    if settings.workers == 1:
        from veduta.server.app import create_app

        # When all is answered, uvicorn raises SIGTERM once more; to have been told to stop is no failure.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        uvicorn.run(create_app(settings), **options)
        return
    folder = Path(tempfile.mkdtemp(prefix="veduta-metrics-"))
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    os.environ[_HANDED_ON] = settings.model_dump_json()
    try:
        uvicorn.run("veduta.server.run:worker", factory=True, workers=settings.workers, **options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def server_options(settings: Settings) -> dict[str, Any]:
    """What uvicorn is told, for one process and for several."""
    from veduta.server.protocol import Protocol

    return {
        "host": settings.host,
        "port": settings.port,
        "http": Protocol,
        "ws": "none",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "proxy_headers": True,
        "forwarded_allow_ips": settings.forwarded_allow_ips,
        "timeout_keep_alive": _IDLE_SECONDS,
        "timeout_graceful_shutdown": math.ceil(settings.graceful_seconds),
        "limit_concurrency": settings.connections,
        "backlog": 512,
    }


def _check_address(host: str, port: int) -> None:
    """Uvicorn would say it in its log, when everything else has started."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except OSError as error:
        raise UsageError(
            f"{host}:{port} can't be listened on ({error.strerror or error}); choose another --host or --port."
        ) from error


def _raise_descriptor_limit() -> None:
    """As many connections as the settings allow need as many descriptors, and shells commonly give 1,024."""
    try:
        import resource
    except ImportError:  # not on this system
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536) if hard > 0 else 65536, hard))


def _check_default_model(settings: Settings) -> None:
    try:
        known = Catalogue(settings.default_model, settings.models).find(settings.default_model)
    except ProblemError as error:
        raise UsageError(f"{PREFIX}DEFAULT_MODEL: {error.detail}") from error
    if known.problem is not None:
        raise UsageError(f"{PREFIX}DEFAULT_MODEL: {known.problem}")


def worker() -> FastAPI:
    """The application of one of several worker processes."""
    from veduta.server.app import create_app
    from veduta.server.logs import configure
    from veduta.server.metrics import forget_the_dead

    memory.share_arenas()
    settings = Settings.model_validate_json(os.environ[_HANDED_ON])
    configure(settings.log_format, settings.log_level)
    forget_the_dead(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]))
    return create_app(settings)
