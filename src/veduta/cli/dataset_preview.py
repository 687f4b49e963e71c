"""``veduta dataset preview``: what a training's random changes make of its photos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from veduta.cli import options as given
from veduta.cli.job import say
from veduta.cli.manifests import Data


def preview(
    data: Data,
    out: Annotated[Path, typer.Option("--out", "-o", parser=given.path, metavar="<path>", help="The picture, a .png.")],
    rotation: Annotated[float, typer.Option(help="Degrees to either side.")] = 15.0,
    shift: Annotated[float, typer.Option(help="Share of width and height to either side.")] = 0.1,
    zoom: Annotated[float, typer.Option(help="0.2 is up to 1.2 times larger or smaller.")] = 0.2,
    shear: Annotated[float, typer.Option(help="Degrees to either side, along rows.")] = 10.0,
    flip: Annotated[bool, typer.Option(help="Mirror one photo in two.")] = True,
    brightness: Annotated[float, typer.Option(help="Lighter or darker by up to this share.")] = 0.3,
    crop: Annotated[
        float, typer.Option(help="Smallest share of a photo that a random crop keeps; 1 crops none.")
    ] = 0.5,
    jitter: Annotated[float, typer.Option(help="Brightness, contrast and saturation vary by up to this share.")] = 0.2,
    photos: Annotated[int, typer.Option(min=1, max=24, help="How many photos, of as many classes.")] = 4,
    size: Annotated[int, typer.Option(min=16, max=512, help="Side in pixels that a training looks at.")] = 128,
    seed: Annotated[int, typer.Option(min=0, help="Another one draws other photos, and changes them otherwise.")] = 0,
) -> None:
    """Draw what random changes make of photos that are for training: each change alone, then all together.

    Example: veduta dataset preview set.csv --rotation 30 --shear 0 --out preview.png

    0 leaves a change out, as do --no-flip and --crop 1. Photos for validation or test are never shown.
    veduta train takes the same options; where none is given it crops, flips and varies colours alone.
    """
    from veduta.datasets.manifest import read_data
    from veduta.errors import UsageError
    from veduta.reports.dataset import changes_sheet
    from veduta.training.augment import Augmentation, with_changes
    from veduta.training.preview import preview as change
    from veduta.whole_file import check_place, write_whole

    if out.suffix.lower() != ".png":
        raise UsageError(f"--out {out}: the picture is a PNG; end its name in .png.")
    check_place(out)
    changes = {"crop": crop, "jitter": jitter, "flip": flip, "brightness": brightness}
    changes |= {"rotation": rotation, "shift": shift, "zoom": zoom, "shear": shear}
    how = with_changes(Augmentation(), changes)
    found = change(read_data(data), how, photos=photos, size=size, seed=seed)
    write_whole(out, changes_sheet(found.headings, found.rows))
    say(f"wrote {out}")
