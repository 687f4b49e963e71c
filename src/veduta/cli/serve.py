"""``veduta serve``: the web page and its API."""

from __future__ import annotations

from typing import Annotated

import typer

from veduta.cli.job import say
from veduta.errors import MissingExtra


def serve(
    host: Annotated[
        str | None, typer.Option(help="The address to listen on; 0.0.0.0 for all.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", "-p", min=0, max=65535, help="The port; 0 takes a free one.", show_default="8000"),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes, each with models of its own.", show_default="1")
    ] = None,
    memory_mb: Annotated[
        int | None,
        typer.Option(
            "--memory-mb", min=64, help="Memory for models of one process; the least used leave.", show_default="1500"
        ),
    ] = None,
    landmarks: Annotated[
        str | None,
        typer.Option(help="Name or file of an index of landmarks that may be asked.", show_default="none"),
    ] = None,
    log_format: Annotated[
        str | None,
        typer.Option("--log-format", help="json, or text for people.", show_default="text on a terminal, else json"),
    ] = None,
) -> None:
    """Serve the web page and the HTTP API (extra server).

    \b
    veduta serve                          http://127.0.0.1:8000
    veduta serve --port 9000 --log-format text
    veduta serve --landmarks mine         see `veduta landmarks enroll`
    VEDUTA_SERVER_QUEUE=64 veduta serve   every setting is a variable

    docs/serving.md lists all settings, docs/api.md the API.
    """
    try:
        from veduta.server.run import serve as run
        from veduta.server.settings import Settings, names_in_environment
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("veduta"):
            raise
        raise MissingExtra(f"serving needs {error.name}; pip install 'veduta[server]'.") from error
    for name in names_in_environment():
        say(f"veduta: {name} is no setting of the server and does nothing; docs/serving.md lists all.")
    settings = Settings.read(
        host=host, port=port, workers=workers, memory_mb=memory_mb, landmarks=landmarks, log_format=log_format
    )
    run(settings)
