"""``veduta explain``: which region of a photo decided?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from veduta.cli import options as given
from veduta.cli.job import say
from veduta.errors import MissingExtra, OutputError, UsageError

if TYPE_CHECKING:
    from veduta.explanation.explain import Explanation
    from veduta.explanation.saliency import MapMaker, MethodChoice
    from veduta.recognition.tagger import Tagger

#: The comment in the JPEG files that this command writes; it stands at their beginning.
_MARK = b"veduta explain"

_METHODS = ("auto", "class-maps", "occlusion", "grad-cam")


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
    method: Annotated[
        str,
        typer.Option(
            help="class-maps; occlusion: slower, for any model; grad-cam: for a model with weights (extra train); "
            "auto: class-maps where the model has them, else occlusion."
        ),
    ] = "auto",
    opacity: Annotated[float, typer.Option(min=0, max=1, help="Of the heat map over the photo.")] = 0.6,
    precision: given.Precision = "float32",
    threads: given.Threads = None,
) -> None:
    """Draw where in the photo a scene was seen: original, heat map, the region, and all side by side.

    \b
    veduta explain photo.jpg
    veduta explain photo.jpg --class kitchen --out why/
    veduta explain photo.jpg --method grad-cam           another way to the map, for comparison
    """
    from veduta.explanation.explain import explain as explain_photo

    if method not in _METHODS:
        raise UsageError(f"--method {method} is unknown; give {', '.join(_METHODS[:-1])} or {_METHODS[-1]}.")
    (tagger,) = given.load_taggers([model], precision, threads, None, None, top_k=1)
    explanation = explain_photo(tagger, photo, label, method=_map_method(method, tagger, threads))
    pictures = {
        "original": explanation.photo,
        "overlay": explanation.overlay(opacity),
        "segmentation": explanation.segmentation(),
        "side-by-side": explanation.side_by_side(opacity),
    }
    _tell(explanation, advise_gradients=method == "auto" and tagger.bundle.has_weights)
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


def _map_method(method: str, tagger: Tagger, threads: int | None) -> MethodChoice | MapMaker:
    """The method as ``veduta.explain`` takes it."""
    from veduta.explanation.saliency import network_weights

    match method:
        case "class-maps":
            return "class maps"
        case "occlusion":
            return "occlusion"
        case "grad-cam":
            # Nobody shall install torch to learn that their model has no weights.
            network_weights(tagger.bundle)
            try:
                from veduta.training.grad_cam import GradCam
            except ModuleNotFoundError as error:
                raise MissingExtra(
                    f'--method grad-cam needs {error.name}; install it with: pip install "veduta[train]"'
                ) from error
            return GradCam(tagger.bundle, threads)
        case _:
            return "auto"


def _tell(explanation: Explanation, advise_gradients: bool) -> None:
    score = explanation.label
    say(f"{score.label.name} {score.probability:.0%}, by {explanation.method}")
    if not explanation.values.any():
        say(f"the map is empty: nothing in the photo speaks for {score.label.name}")
    elif advise_gradients and explanation.method == "occlusion":
        say("this model has no class maps; --method grad-cam is another way, and quicker (extra train)")


def _refuse_to_replace_a_photo(target: Path) -> None:
    """``IMG-original.jpg`` may well be a photo of the user's own."""
    if not target.exists():
        return
    with target.open("rb") as file:
        head = file.read(64)
    if _MARK not in head:
        raise OutputError(f"{target} is there already, and not from `veduta explain`; name another folder with --out.")
