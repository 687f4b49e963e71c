"""``veduta``: the door. Each command opens, acts, and is done; what it does lives in the rooms below."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from veduta import __version__
from veduta.cli import exits
from veduta.cli.embed import embed
from veduta.cli.explain import explain
from veduta.cli.models import models
from veduta.cli.recipe import recipe
from veduta.cli.samples import samples
from veduta.cli.tag import tag
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
app.command()(samples)
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
    try:
        app()
    except VedutaError as error:
        Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(f"veduta: {error}")
        sys.exit(exits.exit_code(error))
    except KeyboardInterrupt:
        Console(stderr=True).print("veduta: interrupted. What was done is kept; the same command goes on from there.")
        sys.exit(exits.INTERRUPTED)
    except BrokenPipeError:
        # Somebody piped us into `head`; nothing is wrong, and Python must not complain when it flushes.
        sys.stderr.close()
        sys.exit(exits.OK)
