"""``veduta generate train``: a generator of scenes, with alarms while it learns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from veduta.cli import options as given
from veduta.cli.job import rated_bar, say
from veduta.generation.presets import ALL_CHANGES, PRESETS, SIDES, find_preset

if TYPE_CHECKING:
    from veduta.generation.alarms import Alarm
    from veduta.generation.train import Progress

_WHAT = "What to learn"
_HOW = "How"
_RUN = "This run"


def train(
    data: Annotated[
        Path,
        typer.Argument(
            parser=given.path,
            metavar="DATA",
            help="A folder with a folder of photos for each class, or a manifest.",
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
            help="The run's folder: checkpoint, log, curves, samples, and the generator in bundle/.",
            show_default=False,
            rich_help_panel=_WHAT,
        ),
    ],
    preset: Annotated[
        str, typer.Option(help=f"Networks and settings: {', '.join(PRESETS)}.", rich_help_panel=_WHAT)
    ] = "fastgan",
    size: Annotated[
        int | None,
        typer.Option(
            help="Side in pixels: "
            + ", ".join(f"{name} {' or '.join(map(str, each))}" for name, each in SIDES.items()),
            show_default="64",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(help="Of these classes, parted by commas.", show_default="all", rich_help_panel=_WHAT),
    ] = None,
    grayscale: Annotated[
        bool | None, typer.Option("--grayscale", help="Pictures without colour.", rich_help_panel=_WHAT)
    ] = None,
    photos: Annotated[
        int | None,
        typer.Option(min=1, help="So many photos of each class.", show_default="all", rich_help_panel=_WHAT),
    ] = None,
    filters: Annotated[
        int | None,
        typer.Option(help="Width of the networks.", show_default="the preset's", rich_help_panel=_HOW),
    ] = None,
    augment: Annotated[
        bool | None,
        typer.Option(
            "--augment/--no-augment",
            help="Change real and generated pictures alike before they are judged.",
            show_default="with fastgan",
            rich_help_panel=_HOW,
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(help="Learning rate of both networks.", show_default="the preset's", rich_help_panel=_HOW),
    ] = None,
    discriminator_rate: Annotated[
        float | None,
        typer.Option(help="Another for the discriminator.", show_default="--rate", rich_help_panel=_HOW),
    ] = None,
    r1: Annotated[
        float | None,
        typer.Option(min=0, help="Weight of the R1 penalty.", show_default="0: without", rich_help_panel=_HOW),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Photos a step.", show_default="the preset's", rich_help_panel=_HOW)
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Stop after so many steps.", show_default="20,000", rich_help_panel=_RUN),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(help="Stop after so many minutes of training.", show_default=False, rich_help_panel=_RUN),
    ] = None,
    look_steps: Annotated[
        int, typer.Option(min=1, help="Steps between two looks: sample, figures, checkpoint.", rich_help_panel=_RUN)
    ] = 500,
    features: Annotated[
        str | None,
        typer.Option(
            help="The embedding that alarms measure by: a model, or NETWORK=WEIGHTS.",
            show_default="places100",
            rich_help_panel=_RUN,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Draws all that is left to chance.", show_default="0", rich_help_panel=_RUN),
    ] = None,
    precision: Annotated[
        str, typer.Option(help="float32, bfloat16 (mixed), or auto: the faster.", rich_help_panel=_RUN)
    ] = "auto",
    threads: given.Threads = None,
    quiet: given.Quiet = False,
) -> None:
    """Train a generator on photos (extra train).

    \b
    veduta generate train photos/ --out runs/scenes                   colour, 64 pixels
    veduta generate train photos/ --out runs/coasts --classes coast,cliff --size 128 --minutes 120
    veduta generate train photos/ --out runs/classic --preset dcgan
    veduta generate sample runs/scenes/bundle --out made/             use it

    A look now and then writes a sample and rings when pictures become one colour, all alike, or copies, and when one of
    the two networks has won. Stopped at any moment, the same command goes on; with more --steps or --minutes a finished
    one does, too. docs/generation.md tells more.
    """
    from veduta.errors import MissingExtra

    chosen = replace(
        find_preset(preset),
        **given.only_given(
            side=size,
            grayscale=grayscale,
            per_class=photos,
            filters=filters,
            changes=None if augment is None else ALL_CHANGES if augment else (),
            generator_rate=rate,
            discriminator_rate=rate if discriminator_rate is None else discriminator_rate,
            r1=r1,
            batch_size=batch_size,
            seed=seed,
        ),
    )
    try:
        from veduta.generation.feature_choice import chosen_features
        from veduta.generation.train import Length, train_generator
        from veduta.training.execution import Execution
    except ModuleNotFoundError as error:
        raise MissingExtra(f'training needs {error.name}; install it with: pip install "veduta[train]"') from error
    from veduta.models.threads import available_threads

    length = Length(**given.only_given(steps=steps, minutes=minutes, look_steps=look_steps))
    if steps is None and minutes is not None:
        length = replace(length, steps=None)
    names = [name.strip() for name in (classes or "").split(",") if name.strip()]
    with _shown(quiet) as progress:
        bundle = train_generator(
            data,
            out,
            chosen,
            length,
            classes=names,
            features=chosen_features(features, progress.note),
            execution=Execution(precision, threads or available_threads()),  # type: ignore[arg-type]
            progress=progress,
        )
    if not quiet:
        say(f"wrote {bundle.path}; try it: veduta generate sample {bundle.path} --out made")


@contextmanager
def _shown(quiet: bool) -> Iterator[Progress]:
    """A bar of photos, then of the training with steps a second and the time left; a line for each look."""
    from veduta.generation.train import Progress

    if quiet:
        yield Progress()
        return
    with rated_bar(counts=False) as bar:
        reading = bar.add_task("looking at photos", total=None, visible=False, rate="")
        task = bar.add_task("training", total=1, visible=False, rate="")
        began: list[int] = []

        def on_photo(done: int, total: int) -> None:
            bar.update(reading, completed=done, total=total, visible=True)

        def on_step(step: int, _steps: int | None, share: float) -> None:
            bar.update(reading, visible=False)
            if not began:
                # A run that goes on has not done its first steps now; they say nothing of the speed.
                began.append(step)
                bar.reset(task, visible=True)
            elapsed = bar.tasks[1].elapsed or 0.0
            rate = f"{(step - began[0]) / elapsed:,.1f} steps/s" if elapsed > 1 else ""
            bar.update(task, completed=share, description=f"step {step:,}", rate=rate)

        yield Progress(on_step, _tell_look, say, on_photo)


def _tell_look(row: dict[str, Any], alarms: Sequence[Alarm]) -> None:
    say(
        f"step {row['step']:,}, epoch {row['epoch']:,.0f}, {row['minutes']:.0f} min: the discriminator calls "
        f"{row['real_right']:.0%} of the photos and {row['made_right']:.0%} of the pictures right; diversity "
        f"{row['diversity']:.0%} of the photos'"
    )
    for alarm in alarms:
        say(f"  ALARM, {alarm.name.replace('_', ' ')}: {alarm.sentence}")
