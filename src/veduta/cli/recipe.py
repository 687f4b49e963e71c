"""``veduta recipe``: train again the models that come with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from veduta.errors import MissingExtra

recipe = typer.Typer(help="Train again the models that come with the package (extra train).", no_args_is_help=True)


@recipe.callback()
def recipes() -> None:
    """Train again the models that come with the package (extra train)."""


@recipe.command()
def places100(
    data: Annotated[Path, typer.Option(help="The folder with places100/ and labels/.")],
    weights: Annotated[Path, typer.Option(help="MobileNetV2 (ImageNet) to start from: its safetensors file.")],
    out: Annotated[Path, typer.Option(help="The bundle's folder.")] = Path("runs/places100/bundle"),
    run: Annotated[Path, typer.Option(help="Checkpoints and log; a killed run goes on from here.")] = Path(
        "runs/places100"
    ),
    threads: Annotated[int, typer.Option(min=1, help="Cores for training.")] = 2,
) -> None:
    """Train, calibrate, export, check and measure the bundled model."""
    try:
        from veduta.training.loop import EpochResult
        from veduta.training.places100.recipe import make
        from veduta.training.places100.stages import Progress as Callbacks
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        steps = bar.add_task("steps", total=None)

        def on_step(step: int, total: int, loss: float) -> None:
            bar.update(steps, completed=step, total=total, description=f"steps, loss {loss:.3f}")

        def on_epoch(result: EpochResult) -> None:
            console.print(
                f"epoch {result.epoch}: loss {result.training['loss']:.3f}, held out top-1 "
                f"{result.validation['top1']:.1%}, top-5 {result.validation['top5']:.1%}"
            )

        callbacks = Callbacks(on_step, on_epoch, console.print)
        bundle = make(data, weights, run, out, threads=threads, progress=callbacks)
    console.print(f"wrote {bundle.path} ({bundle.bundle_id})")


@recipe.command()
def attributes(
    data: Annotated[Path, typer.Option(help="The folder with places100/, labels/ and sun_attributes/.")],
    bundle: Annotated[Path, typer.Option(help="The folder of a places100 bundle; it is written again.")],
) -> None:
    """Learn the attributes of the bundled model again, judge them, and put them into its bundle."""
    try:
        from veduta.training.places100.attributes import add_attributes
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        photos = bar.add_task("photos", total=None)

        def on_photo(done: int, total: int) -> None:
            bar.update(photos, completed=done, total=total)

        made = add_attributes(bundle, data, note=console.print, on_photo=on_photo)
    console.print(f"wrote {made.path} ({made.bundle_id})")


def _missing(error: ModuleNotFoundError) -> MissingExtra:
    return MissingExtra(f'training needs {error.name}; install it with: pip install "veduta[train]"')
