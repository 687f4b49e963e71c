"""``veduta samples``: pictures to try Veduta on, from packages that ship some."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from veduta.cli.job import messages
from veduta.errors import OutputError


def samples(
    folder: Annotated[Path, typer.Argument(help="Copy the pictures into this folder.")] = Path("samples"),
) -> None:
    """Copy the sample pictures of scikit-image and scikit-learn (extra samples), and say whose they are."""
    from rich.table import Table

    from veduta.images.samples import SAMPLES

    table = Table("picture", "shows", "from", "credit", box=None, pad_edge=False, header_style="bold")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for sample in SAMPLES:
            shutil.copyfile(sample.path, folder / sample.target)
            table.add_row(str(sample.target), sample.shows, sample.package, sample.credit)
    except OSError as error:
        raise OutputError(
            f"the samples can't be copied to {folder} ({error.strerror}); name another folder."
        ) from error
    messages.print(table)
