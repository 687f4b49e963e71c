"""``veduta train``: a model of the user's own classes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from veduta.cli import options as given
from veduta.cli.job import counting_bar, messages, say
from veduta.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    from veduta.training.execution import Precision
    from veduta.training.loop import EpochResult
    from veduta.training.recipes import Progress
    from veduta.training.schedules import OptimizerName, Schedule, Weighting


def train(
    data: Annotated[
        Path,
        typer.Argument(
            parser=given.path,
            metavar="DATA",
            help="A folder with a folder of photos for each class, or a CSV table: file, then 0 or 1 for each label.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            parser=given.path,
            metavar="<path>",
            help="The run's folder: checkpoints, log, curves, and the finished model in bundle/.",
        ),
    ],
    recipe: Annotated[
        str,
        typer.Option(
            help="finetune: train all layers; scratch: the same from fresh weights; transfer: a classifier behind a "
            "model's embedding, in a minute and without torch (extra learn)."
        ),
    ] = "finetune",
    weights: Annotated[
        str,
        typer.Option(
            help="What to start from: a weights file, a model by name or folder, hub (ImageNet, downloaded), hub:NAME "
            "(those of veduta models pull), or none."
        ),
    ] = "places100",
    architecture: Annotated[
        str | None,
        typer.Option(
            help="The network; it must be that of the weights.",
            show_default="that of the model or of hub:NAME, or mobilenet_v2",
        ),
    ] = None,
    size: Annotated[int, typer.Option(min=16, help="Side of the square, in pixels, that the model looks at.")] = 128,
    side: Annotated[
        int | None,
        typer.Option(
            min=16,
            help="Side of the random crops that it trains on, in pixels; fewer take less time.",
            show_default="as large as the network sees photos",
        ),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="How often each photo is seen.")] = 10,
    batch_size: Annotated[int, typer.Option(min=2, help="Photos in a step.")] = 64,
    rate: Annotated[
        float | None,
        typer.Option(help="Learning rate; lower it where the loss jumps.", show_default="by optimizer and weights"),
    ] = None,
    optimizer: Annotated[
        str, typer.Option(help="adamw: cosine decay; sgd: momentum, and a tenth less after each epoch.")
    ] = "adamw",
    mixup: Annotated[
        float,
        typer.Option(min=0, help="Blend each photo with another, α of Beta(α, α); try 0.2 where photos are few."),
    ] = 0.0,
    cutmix: Annotated[
        float, typer.Option(min=0, help="Paste a rectangle of another photo into each, α of Beta(α, α).")
    ] = 0.0,
    label_smoothing: Annotated[
        float, typer.Option(min=0, max=1, help="How far targets are drawn to not knowing.")
    ] = 0.1,
    class_weights: Annotated[
        str, typer.Option(help="none; balanced or effective let rare classes count more.")
    ] = "none",
    validation: Annotated[
        float, typer.Option(min=0.01, max=0.9, help="Share of each class held out to choose the best epoch.")
    ] = 0.15,
    views: Annotated[
        int, typer.Option(min=0, help="transfer: changed views of each photo that are learnt from as well.")
    ] = 4,
    patience: Annotated[
        int, typer.Option(min=0, help="Stop after so many epochs without a better one; 0 never stops early.")
    ] = 3,
    precision: Annotated[
        str, typer.Option(help="float32, bfloat16, or auto: what a few measured steps show to be faster here.")
    ] = "auto",
    threads: given.Threads = None,
    seed: Annotated[int, typer.Option(min=0, help="Another one gives other draws, the same one the same model.")] = 0,
    tensorboard: Annotated[bool, typer.Option(help="Write events for TensorBoard into the run's folder.")] = False,
    resume: Annotated[
        bool, typer.Option(help="Go on where a run in --out was stopped; --no-resume refuses a folder with a run.")
    ] = True,
    quiet: given.Quiet = False,
) -> None:
    """Train a model on your own classes (extra train, or learn for --recipe transfer).

    \b
    veduta train photos/ --out runs/quick --recipe transfer      a minute, for a first look or few photos
    veduta train photos/ --out runs/mine                 photos/beach/*.jpg, photos/forest/*.jpg, ...
    veduta train labels.csv --out runs/tags              many labels for a photo: file,sea,trees
    veduta tag holiday/ --model runs/mine/bundle         use it

    Part of the photos is held out; the epoch that does best on them is kept, and its probabilities are calibrated.
    Stopped at any moment, the same command goes on. docs/training.md tells more.
    """
    if recipe not in ("finetune", "scratch", "transfer"):
        raise UsageError(f"--recipe {recipe} is unknown; give finetune, scratch or transfer.")
    if recipe == "transfer":
        _transfer(data, out, weights, views, seed, quiet)
        return
    if recipe == "scratch" and weights not in ("places100", "none"):
        raise UsageError(
            f"--recipe scratch starts from fresh weights, and --weights {weights} asks for others; drop one."
        )
    if recipe == "scratch":
        weights = "none"
    try:
        from veduta.training.execution import Execution, share_of_this_process
        from veduta.training.loop import has_checkpoint
        from veduta.training.recipes import Recipe, fit
        from veduta.training.schedules import PRESETS
    except ModuleNotFoundError as error:
        raise MissingExtra(f'training needs {error.name}; install it with: pip install "veduta[train]"') from error
    if not resume and has_checkpoint(out):
        raise UsageError(f"--out {out} has a run already; name another folder, or leave --no-resume away to go on.")
    if optimizer not in ("adamw", "sgd"):
        raise UsageError(f"--optimizer {optimizer} is unknown; give adamw or sgd.")
    preset = PRESETS[f"{'scratch' if weights == 'none' else 'fine_tune'}_{optimizer}"]
    schedule = replace(
        preset,
        side=side or 0,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=cast("OptimizerName", optimizer),
        learning_rate=preset.learning_rate if rate is None else rate,
        label_smoothing=label_smoothing,
        class_weights=cast("Weighting", class_weights),
        patience=patience,
        seed=seed,
        augmentation=replace(preset.augmentation, mixup=mixup, cutmix=cutmix),
    )
    wanted = Recipe(architecture, None if weights == "none" else weights, size, validation, schedule)
    execution = Execution(
        cast("Precision", precision), threads or given.decoders_for(None), save_minutes=10, tensorboard=tensorboard
    )
    with _shown(quiet or share_of_this_process().rank > 0) as progress:
        bundle = fit(data, out, wanted, execution=execution, progress=progress)
    if bundle is not None and not quiet:
        say(f"wrote {bundle.path} ({bundle.bundle_id}); try it: veduta tag PHOTOS --model {bundle.path}")


def _transfer(data: Path, out: Path, model: str, views: int, seed: int, quiet: bool) -> None:
    try:
        from veduta.training.transfer import Transfer, transfer
    except ModuleNotFoundError as error:
        raise MissingExtra(f'learning needs {error.name}; install it with: pip install "veduta[learn]"') from error
    with counting_bar(quiet) as show:
        bundle = transfer(
            data,
            out,
            Transfer(model, views, seed=seed),
            note=(lambda _words: None) if quiet else say,
            on_photo=(lambda _done, _all: None) if show is None else lambda done, total: show(done, 0, total),
        )
    if not quiet:
        say(f"wrote {bundle.path} ({bundle.bundle_id}); try it: veduta tag PHOTOS --model {bundle.path}")


@contextmanager
def _shown(quiet: bool) -> Iterator[Progress]:
    """A bar of the steps with their loss, photos a second and the time left; a line for each epoch."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from veduta.training.recipes import Progress

    if quiet:
        yield Progress()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=messages, transient=True, disable=not messages.is_terminal) as bar:
        task = bar.add_task("steps", total=None, start=False, visible=False, rate="")
        reading = bar.add_task("reading photos", total=None, rate="")
        photos = 0

        def on_photo(done: int, total: int) -> None:
            bar.update(reading, completed=done, total=total)

        def on_start(schedule: Schedule) -> None:
            nonlocal photos
            photos = schedule.batch_size
            bar.update(reading, visible=False)
            bar.update(task, visible=True)

        def on_step(step: int, steps: int, loss: float) -> None:
            if not bar.tasks[0].started:
                # A run that goes on has not done its first steps now; they say nothing of the speed.
                bar.update(task, completed=step - 1)
                bar.start_task(task)
            speed = bar.tasks[0].speed
            rate = f"{speed * photos:,.0f} photos/s" if speed else ""
            bar.update(task, completed=step, total=steps, description=f"loss {loss:.3f}", rate=rate)

        def on_epoch(result: EpochResult) -> None:
            told = ", ".join(_words(name, value) for name, value in result.validation.items())
            kept = "; best so far" if result.best else ""
            say(
                f"epoch {result.epoch}: training loss {result.training['loss']:.3f}; held out: {told}{kept} "
                f"({result.photos_per_second:,.0f} photos/s)"
            )

        yield Progress(on_step, on_epoch, say, on_start, on_photo)


def _words(name: str, value: float) -> str:
    return f"loss {value:.3f}" if name == "loss" else f"{name.replace('_', ' ')} {value:.1%}"
