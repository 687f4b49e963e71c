"""``veduta explain``: which region of a photo decided?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from veduta.cli import options as given
from veduta.cli.job import say
from veduta.errors import OutputError

#: The comment in the JPEG files that this command writes; it stands at their beginning.
_MARK = b"veduta explain"


def explain(
    photo: Annotated[Path, typer.Argument(parser=given.path, metavar="PHOTO", help="A photo.", show_default=False)],
    label: Annotated[
        str | None,
        typer.Option("--class", "-c", help="The scene to explain, by id or name.", show_default="the most probable"),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", parser=given.path, metavar="<path>", help="The folder for the pictures.")
    ] = Path(),
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
    from veduta.explanation.explain import explain as explain_photo

    (tagger,) = given.load_taggers([model], precision, threads, None, None, top_k=1)
    explanation = explain_photo(tagger, photo, label)
    pictures = {
        "original": explanation.photo,
        "overlay": explanation.overlay(opacity),
        "segmentation": explanation.segmentation(),
        "side-by-side": explanation.side_by_side(opacity),
    }
    score = explanation.label
    say(f"{score.label.name} {score.probability:.0%}, by {explanation.method}")
    targets = {out / f"{photo.stem}-{kind}.jpg": picture for kind, picture in pictures.items()}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for target in targets:
            _refuse_to_replace_a_photo(target)
        for target, picture in targets.items():
            picture.convert("RGB").save(target, quality=90, comment=_MARK)
            say(f"wrote {target}")
    except OSError as error:
        raise OutputError(f"the pictures can't be written to {out} ({error.strerror}); name another folder.") from error


def _refuse_to_replace_a_photo(target: Path) -> None:
    """``IMG-original.jpg`` may well be a photo of the user's own."""
    if not target.exists():
        return
    with target.open("rb") as file:
        head = file.read(64)
    if _MARK not in head:
        raise OutputError(f"{target} is there already, and not from `veduta explain`; name another folder with --out.")
