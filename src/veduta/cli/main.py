"""``veduta``: the door. Each command opens, acts, and is done; what it does lives in the rooms below."""

from __future__ import annotations

import io
import sys
import traceback
from collections.abc import Iterator

import typer

from veduta import __version__
from veduta.cli import exits
from veduta.cli.classify import classify
from veduta.cli.compare import compare
from veduta.cli.dataset import dataset
from veduta.cli.embed import embed
from veduta.cli.evaluate import evaluate
from veduta.cli.explain import explain
from veduta.cli.generate import generate
from veduta.cli.job import INTERRUPTION, say
from veduta.cli.landmarks import landmarks
from veduta.cli.models import models
from veduta.cli.recipe import recipe
from veduta.cli.samples import samples
from veduta.cli.serve import serve
from veduta.cli.tag import tag
from veduta.cli.train import train
from veduta.errors import VedutaError

app = typer.Typer(
    name="veduta",
    help="Tells what place a photo shows. Start with: [bold]veduta tag PHOTOS[/bold]",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(tag)
app.command()(explain)
app.command()(embed)
app.command()(evaluate)
app.command()(classify)
app.command()(train)
app.command()(compare)
app.command()(serve)
app.command()(samples)
app.add_typer(dataset, name="dataset")
app.add_typer(generate, name="generate")
app.add_typer(landmarks, name="landmarks")
app.add_typer(models, name="models")
app.add_typer(recipe, name="recipe")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"veduta {__version__}")
        raise typer.Exit


@app.callback()
def veduta(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Tells what place a photo shows. Start with: veduta tag PHOTOS"""


def run() -> None:
    """Run the command line; every error on purpose ends in one sentence and its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name in letters that the terminal does not have is shown by their numbers.
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except VedutaError as error:
        say(f"veduta: {error}")
        sys.exit(exits.exit_code(error))
    except SystemExit as leaving:
        origins = list(_origins(leaving))
        if any(isinstance(each, BrokenPipeError) for each in origins):
            sys.exit(exits.OK)  # somebody piped us into `head`; nothing is wrong
        if any(isinstance(each, KeyboardInterrupt) for each in origins):
            say(INTERRUPTION)
        raise
    except Exception:
        traceback.print_exc()
        say("veduta: this is a fault of Veduta itself; please report it with the lines above and the command.")
        sys.exit(exits.FAULT)


def _origins(leaving: SystemExit) -> Iterator[BaseException]:
    """The exceptions that typer and rich have turned into an exit."""
    error = leaving.__cause__ or leaving.__context__
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
