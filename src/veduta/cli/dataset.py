"""``veduta dataset``: what is in a set of photos, what it is better without, and which part is for what."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from veduta.cli import options as given
from veduta.cli.dataset_clean import clean
from veduta.cli.dataset_forget import forget
from veduta.cli.dataset_import import import_set
from veduta.cli.dataset_preview import preview
from veduta.cli.job import say
from veduta.cli.manifests import (
    MOST_TOLD,
    Data,
    Out,
    Seed,
    check_out,
    tell_dropped,
    tell_empty,
    tell_parts,
    tell_problems,
)

if TYPE_CHECKING:
    from veduta.datasets.manifest import Manifest
    from veduta.datasets.problems import Problem

dataset = typer.Typer(
    help="Look at a set of photos, clean it, choose from it and split it. Example: veduta dataset inspect photos/",
    no_args_is_help=True,
)
dataset.command(name="import")(import_set)


@dataset.command()
def inspect(
    data: Data,
    plot: Annotated[
        Path | None,
        typer.Option(parser=given.path, metavar="<path>", help="Draw the photos of each class, sorted, as PNG."),
    ] = None,
) -> None:
    """Tell the classes of a set, how many photos each has, what a training would refuse and what to look at.

    Example: veduta dataset inspect photos/ --plot classes.png

    No photo is decoded; files of one size are compared.
    """
    from veduta.datasets.manifest import read_data
    from veduta.datasets.problems import problems
    from veduta.reports.dataset import class_plot
    from veduta.whole_file import check_place, write_whole

    if plot is not None:
        check_place(plot)
    manifest = read_data(data)
    _print_classes(manifest)
    tell_parts(manifest)
    if len(manifest.kept) < len(manifest):
        tell_dropped(manifest)
    found = problems(manifest)
    tell_problems(found if any(each.fatal for each in found) else [*_refusal(data), *found])
    if plot is not None:
        write_whole(plot, class_plot(manifest.counts()))
        say(f"wrote {plot}")


dataset.command()(clean)
dataset.command()(forget)


@dataset.command()
def select(
    data: Data,
    out: Out,
    keep: Annotated[
        Path | None,
        typer.Option(parser=given.path, metavar="<path>", help="A text file with the classes to keep, one on a line."),
    ] = None,
    drop: Annotated[
        Path | None,
        typer.Option(parser=given.path, metavar="<path>", help="A text file with the classes to drop, one on a line."),
    ] = None,
    min_per_class: Annotated[int, typer.Option(min=0, help="Classes with fewer photos go.")] = 0,
    max_per_class: Annotated[
        int | None, typer.Option(min=1, help="Photos of a class beyond so many go, drawn by the seed.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Choose classes, and how many photos of each.

    Example: veduta dataset select clean.csv --drop unwanted.txt --min-per-class 20 --out chosen.csv
    """
    from veduta.datasets.manifest import read_data, write_manifest
    from veduta.datasets.select import read_class_names
    from veduta.datasets.select import select as choose

    check_out(out)
    chosen = choose(
        read_data(data),
        keep=None if keep is None else read_class_names(keep),
        drop=() if drop is None else read_class_names(drop),
        min_per_class=min_per_class,
        max_per_class=max_per_class,
        seed=seed,
    )
    write_manifest(out, chosen)
    tell_dropped(chosen)
    tell_empty(chosen)
    say(f"wrote {out}")


@dataset.command()
def split(
    data: Data,
    out: Out,
    shares: Annotated[
        str, typer.Option(help="80/20 as train and test, or 60/20/20 or 80/10/10 as train, validation and test.")
    ] = "60/20/20",
    anew: Annotated[bool, typer.Option("--anew", help="Forget the splits that photos have.")] = False,
    seed: Seed = 0,
) -> None:
    """Give each photo its part, so that every class has its share in each and photos of one group stay together.

    Example: veduta dataset split clean.csv --shares 80/10/10 --out split.csv
    """
    from veduta.datasets.manifest import read_data, write_manifest
    from veduta.datasets.problems import part_problems
    from veduta.datasets.split import read_shares, split_manifest

    check_out(out)
    found = split_manifest(read_data(data), read_shares(shares), seed, anew=anew)
    write_manifest(out, found)
    tell_parts(found)
    tell_empty(found)
    tell_problems(part_problems(found))
    say(f"wrote {out}")


dataset.command()(preview)


def _refusal(data: Path) -> list[Problem]:
    """What a training itself says when it reads the set."""
    from veduta.datasets.problems import Problem
    from veduta.errors import UsageError
    from veduta.training.dataset import read_dataset

    try:
        read_dataset(data)
    except UsageError as error:
        return [Problem(str(error), fatal=True)]
    return []


def _print_classes(manifest: Manifest) -> None:
    from rich.table import Table

    from veduta.cli.model_facts import plain_console, safe

    counts = sorted(manifest.counts().items(), key=lambda item: (-item[1], item[0]))
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("class")
    table.add_column("photos", justify="right")
    for name, count in counts[:MOST_TOLD]:
        table.add_row(safe(name), f"{count:,}")
    console = plain_console()
    console.print(table)
    if len(counts) > MOST_TOLD:
        console.print(f"… and {len(counts) - MOST_TOLD:,} more; --plot draws all.")
    console.print(f"{len(manifest.kept):,} photos of {len(counts):,} {'classes' if len(counts) != 1 else 'class'}")
