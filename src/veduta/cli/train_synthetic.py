"""``veduta train --synthetic``: its options, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from veduta.cli import options as given

if TYPE_CHECKING:
    from veduta.models.bundle import Bundle
    from veduta.workflows.synthetic import Train

_SYNTHETIC = "Generated pictures beside the photos"

Synthetic = Annotated[
    str | None,
    typer.Option(
        help="A generator (veduta generate train). Trains without and with its pictures, and keeps these only where "
        "photos held out say that they help.",
        show_default=False,
        rich_help_panel=_SYNTHETIC,
    ),
]
SyntheticShare = Annotated[
    float | None,
    typer.Option(
        help="The share of what is trained on that is generated.", show_default="0.5", rich_help_panel=_SYNTHETIC
    ),
]
JudgeBy = Annotated[
    Path | None,
    typer.Option(
        parser=given.path,
        metavar="<path>",
        help="Labelled photos that decide.",
        show_default="those for testing, or a fifth",
        rich_help_panel=_SYNTHETIC,
    ),
]


def train_with(
    data: Path,
    out: Path,
    generator: str,
    train: Train,
    *,
    share: float | None,
    judge_by: Path | None,
    seed: int | None,
    note: Callable[[str], None],
) -> Bundle:
    """Train without and with generated pictures; tell both, and what follows."""
    from veduta.workflows.synthetic import REPORT, train_with_synthetic
    from veduta.workflows.watch import Watch

    bundle, found = train_with_synthetic(
        data,
        out,
        generator,
        train,
        share=0.5 if share is None else share,
        judge_by=judge_by,
        seed=seed or 0,
        watch=Watch(begin=note, note=note),
    )
    for sentence in found.sentences():
        note(sentence)
    note(f"{out / REPORT} has the figures")
    return bundle
