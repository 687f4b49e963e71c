"""``veduta explain``: which region of a photo decided?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from veduta.cli import options as given
from veduta.cli.job import messages


def explain(
    photo: Annotated[Path, typer.Argument(help="A photo.", show_default=False)],
    label: Annotated[
        str | None,
        typer.Option("--class", "-c", help="The scene to explain, by id or name.", show_default="the most probable"),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for the pictures.")] = Path(),
    model: Annotated[str, typer.Option("--model", "-m", help="Name or folder of a model.")] = "places100",
    opacity: Annotated[float, typer.Option(min=0, max=1, help="Of the heat map over the photo.")] = 0.6,
    precision: given.Precision = "float32",
    threads: given.Threads = None,
) -> None:
    """Draw where in the photo a scene was seen: original, heat map, the region, and all side by side.

    \b
    veduta explain photo.jpg
    veduta explain photo.jpg --class kitchen --out why/
    """
    from veduta.cli.tag import load_taggers
    from veduta.errors import OutputError
    from veduta.explanation.explain import explain as explain_photo

    (tagger,) = load_taggers([model], precision, threads, None, None, top_k=1)
    explanation = explain_photo(tagger, photo, label)
    pictures = {
        "original": explanation.photo,
        "overlay": explanation.overlay(opacity),
        "segmentation": explanation.segmentation(),
        "side-by-side": explanation.side_by_side(opacity),
    }
    score = explanation.label
    messages.print(f"{score.label.name} {score.probability:.0%}, by {explanation.method}", markup=False)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for kind, picture in pictures.items():
            target = out / f"{photo.stem}-{kind}.jpg"
            picture.convert("RGB").save(target, quality=90)
            messages.print(f"wrote {target}", markup=False, soft_wrap=True)
    except OSError as error:
        raise OutputError(f"the pictures can't be written to {out} ({error.strerror}); name another folder.") from error
