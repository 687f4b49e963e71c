"""``veduta dataset import``: sets as they are published, to manifests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from veduta.cli import options as given
from veduta.cli.job import counting_bar, say
from veduta.cli.manifests import Out, check_out, tell_dropped, tell_parts

if TYPE_CHECKING:
    from veduta.datasets.published import Layout


def import_set(
    root: Annotated[
        Path,
        typer.Argument(
            parser=given.path,
            metavar="ROOT",
            help="The folder that the set's archives were unpacked to.",
            show_default=False,
        ),
    ],
    out: Out,
    layout: Annotated[
        str, typer.Option(help="auto, places365, sun397, indoor67, sun_attributes or cifar10 (its binary version).")
    ] = "auto",
    photos: Annotated[
        Path | None,
        typer.Option(
            parser=given.path,
            metavar="<path>",
            help="Where the photos are, if not in ROOT; for cifar10, where they are unpacked to.",
        ),
    ] = None,
    partition: Annotated[
        int | None,
        typer.Option(help="One of the ten of sun397.", show_default="1, where there are any"),
    ] = None,
    quiet: given.Quiet = False,
) -> None:
    """Make a manifest of a published set, with its own splits.

    \b
    veduta dataset import SUN397/ --out sun397.csv
    veduta dataset import cifar-10-batches-bin/ --photos cifar10/ --out cifar10.csv

    Nothing is downloaded. Photos that the set's lists name and that are not on disk are dropped, with that reason.
    """
    from veduta.datasets.manifest import write_manifest
    from veduta.datasets.published import MARKS, find_layout, read_published
    from veduta.errors import UsageError

    check_out(out)
    if layout not in ("auto", *MARKS):
        raise UsageError(f"--layout {layout} is unknown; give auto, {', '.join(MARKS)}.")
    wanted = find_layout(root) if layout == "auto" else cast("Layout", layout)
    with counting_bar(quiet) as show:
        found = read_published(root, wanted, photos=photos, partition=partition, progress=show)
    write_manifest(out, found)
    if not quiet:
        labels = f"{len(found.labels):,} label" + "s" * (len(found.labels) != 1)
        say(f"{root} is laid out as {wanted}: {len(found):,} photos of {labels}.")
        tell_parts(found)
        tell_dropped(found)
        say(f"wrote {out}")
