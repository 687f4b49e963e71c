"""The options of ``veduta landmarks train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from veduta.cli import options as given

Data = Annotated[
    Path,
    typer.Argument(
        parser=given.path,
        metavar="DATA",
        help="A folder with a folder of photos for each landmark, or a manifest.",
        show_default=False,
    ),
]
Out = Annotated[
    Path,
    typer.Option("--out", "-o", parser=given.path, metavar="<path>", help="The folder of the run.", show_default=False),
]
Others = Annotated[
    list[str],
    typer.Option("--others", help="Photos that show no landmark, to train with; repeatable.", show_default=False),
]
JudgeBy = Annotated[
    list[str] | None,
    typer.Option(
        help="More photos without landmarks, never trained with: the thresholds are chosen by them; repeatable.",
        show_default=False,
    ),
]
Table = Annotated[
    Path | None,
    typer.Option(
        parser=given.path,
        metavar="<path>",
        help="A table of landmarks, as collect writes it: names, cities and positions for the index.",
        show_default=False,
    ),
]
People = Annotated[
    Path | None,
    typer.Option(
        parser=given.path,
        metavar="<path>",
        help="A folder of cut-out people (PNG, WebP with transparency) to paste into training photos.",
        show_default=False,
    ),
]
PeopleRate = Annotated[
    float | None, typer.Option(help="The share of training photos that get one.", show_default="0.6")
]
Weights = Annotated[
    str | None,
    typer.Option(help="Start from these: a model, a file, hub or hub:NAME.", show_default="places100"),
]
Architecture = Annotated[
    str | None, typer.Option("--arch", help="The network of the weights.", show_default="that of the weights")
]
Loss = Annotated[str, typer.Option(help="arcface, or center (softmax with center loss).")]
Margin = Annotated[float | None, typer.Option(help="ArcFace's margin, in radians.", show_default="0.3")]
CenterWeight = Annotated[float | None, typer.Option(help="How much the center loss counts.", show_default="0.01")]
TrainLast = Annotated[
    int | None,
    typer.Option(min=0, help="So many blocks at the end learn, beside the new layers.", show_default="4"),
]
Size = Annotated[int | None, typer.Option(help="Photos are seen as squares of this side.", show_default="288")]
Embedding = Annotated[int | None, typer.Option(help="How many numbers the embedding has.", show_default="256")]
Outliers = Annotated[
    float, typer.Option(help="Drop this share of the landmarks' photos: those that fit the others least.")
]
Epochs = Annotated[int | None, typer.Option(min=1, help="Times through all photos.", show_default="20")]
Rate = Annotated[float | None, typer.Option(help="Learning rate of the blocks.", show_default="3e-4")]
BatchSize = Annotated[int | None, typer.Option(min=2, help="Photos a step.", show_default="64")]
FalseAlarms = Annotated[
    float, typer.Option(help="The share of photos without a landmark that may be told to show one.")
]
Seed = Annotated[int | None, typer.Option(min=0, help="Draws what is left to chance.", show_default="0")]
