"""The options of ``veduta evaluate``, in groups, and what becomes of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from veduta.cli.options import path

if TYPE_CHECKING:
    from veduta.evaluation.label_map import LabelMap

_JUDGED = "What is judged, and by which labels"
_TOLD = "What is told beside it"
_WRITTEN = "What is written"

Model = Annotated[str, typer.Argument(metavar="MODEL", help="Name or folder of a model.", show_default=False)]
Data = Annotated[
    Path,
    typer.Argument(
        parser=path,
        metavar="DATA",
        help="A folder with a folder of photos for each class; for a model of many labels, a CSV table; for either a "
        "manifest.",
        show_default=False,
    ),
]
Split = Annotated[
    str | None,
    typer.Option(
        help="Photos of a manifest: train, validation, test, or all.",
        show_default="test; all where there are no splits",
        rich_help_panel=_JUDGED,
    ),
]
Labels = Annotated[
    Path | None,
    typer.Option(
        parser=path,
        metavar="<path>",
        help="A CSV file, folder,label: what the classes of the set mean, where their names are not the model's.",
        show_default=False,
        rich_help_panel=_JUDGED,
    ),
]
Same = Annotated[
    list[str] | None,
    typer.Option(
        "--same",
        help="The same for one class: ice_skating=ice_skating_rink/outdoor. Repeatable.",
        rich_help_panel=_JUDGED,
    ),
]
Coarse = Annotated[
    bool,
    typer.Option(
        "--coarse",
        help="Judge by everyday labels, where the set's classes are not the model's.",
        rich_help_panel=_JUDGED,
    ),
]
Map = Annotated[
    Path | None,
    typer.Option(
        "--map",
        parser=path,
        metavar="<path>",
        help="A CSV file, class,wider class: judge by your wider classes as well.",
        show_default=False,
        rich_help_panel=_JUDGED,
    ),
]
Wild = Annotated[
    Path | None,
    typer.Option(
        parser=path,
        metavar="<path>",
        help="Photos from elsewhere, as DATA: how much worse is it there? 28 suffice for a first look.",
        show_default=False,
        rich_help_panel=_TOLD,
    ),
]
Strangers = Annotated[
    Path | None,
    typer.Option(
        parser=path,
        metavar="<path>",
        help="A folder of photos that show none of the classes: what share does the evidence reject?",
        show_default=False,
        rich_help_panel=_TOLD,
    ),
]
PrecisionTarget = Annotated[
    list[float] | None,
    typer.Option(
        "--precision-target",
        help="Look for the threshold above which so many answers are right, such as 0.99. Repeatable.",
        show_default="0.9, 0.95 and 0.99",
        rich_help_panel=_TOLD,
    ),
]
Json = Annotated[
    Path | None,
    typer.Option(
        "--json",
        parser=path,
        metavar="<path>",
        help="Write all figures here; - prints them.",
        rich_help_panel=_WRITTEN,
    ),
]
Csv = Annotated[
    Path | None,
    typer.Option(
        "--csv",
        parser=path,
        metavar="<path>",
        help="Write CSV tables into this folder: each photo, each class, the confusions.",
        rich_help_panel=_WRITTEN,
    ),
]
Report = Annotated[
    Path | None,
    typer.Option(
        "--report",
        "-r",
        parser=path,
        metavar="<path>",
        help="Write a page with all figures, diagrams, and the surest mistakes with heat maps.",
        rich_help_panel=_WRITTEN,
    ),
]


def meanings_from(labels: Path | None, same: list[str] | None) -> LabelMap:
    """What the classes of a set mean: the pairs of the file, and those of ``--same`` before them."""
    from veduta.evaluation.label_map import MEANINGS, LabelMap, read_label_map

    meanings = LabelMap() if labels is None else read_label_map(labels, MEANINGS)
    if not same:
        return meanings
    told = dict(map(_pair, same))
    return LabelMap({**meanings.pairs, **told}, f"{meanings.source} and --same" if labels else "--same")


def _pair(same: str) -> tuple[str, str]:
    from veduta.errors import UsageError

    name, equals, label = same.partition("=")
    if not (name and equals and label):
        raise UsageError(f"--same {same} can't be meant; write it as in ice_skating=ice_skating_rink/outdoor.")
    return name, label
