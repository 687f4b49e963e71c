"""``veduta landmarks train``: an embedding in which photos of one landmark lie close together, and an index of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from veduta.cli import options as given
from veduta.cli.job import say, stages


def train(
    data: Annotated[
        Path,
        typer.Argument(
            parser=given.path,
            metavar="DATA",
            help="A folder with a folder of photos for each landmark, or a manifest.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", parser=given.path, metavar="<path>", help="The folder of the run.", show_default=False
        ),
    ],
    others: Annotated[
        list[str],
        typer.Option("--others", help="Photos that show no landmark, to train with; repeatable.", show_default=False),
    ],
    judge_by: Annotated[
        list[str] | None,
        typer.Option(
            help="More photos without landmarks, never trained with: the thresholds are chosen by them; repeatable.",
            show_default=False,
        ),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            parser=given.path,
            metavar="<path>",
            help="A table of landmarks, as collect writes it: names, cities and positions for the index.",
            show_default=False,
        ),
    ] = None,
    people: Annotated[
        Path | None,
        typer.Option(
            parser=given.path,
            metavar="<path>",
            help="A folder of cut-out people (PNG, WebP with transparency) to paste into training photos.",
            show_default=False,
        ),
    ] = None,
    people_rate: Annotated[
        float | None, typer.Option(help="The share of training photos that get one.", show_default="0.3")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="Start from these: a model, a file, hub or hub:NAME.", show_default="places100"),
    ] = None,
    architecture: Annotated[
        str | None, typer.Option("--arch", help="The network of the weights.", show_default="that of the weights")
    ] = None,
    loss: Annotated[str, typer.Option(help="arcface, or center (softmax with center loss).")] = "arcface",
    margin: Annotated[float | None, typer.Option(help="ArcFace's margin, in radians.", show_default="0.3")] = None,
    center_weight: Annotated[
        float | None, typer.Option(help="How much the center loss counts.", show_default="0.01")
    ] = None,
    train_last: Annotated[
        int | None,
        typer.Option(min=0, help="So many blocks at the end learn, beside the new layers.", show_default="4"),
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Photos are seen as squares of this side.", show_default="288")
    ] = None,
    embedding: Annotated[
        int | None, typer.Option(help="How many numbers the embedding has.", show_default="256")
    ] = None,
    outliers: Annotated[
        float, typer.Option(help="Drop this share of the landmarks' photos: those that fit the others least.")
    ] = 0.0,
    epochs: Annotated[int | None, typer.Option(min=1, help="Times through all photos.", show_default="12")] = None,
    rate: Annotated[float | None, typer.Option(help="Learning rate of the blocks.", show_default="3e-4")] = None,
    batch_size: Annotated[int | None, typer.Option(min=2, help="Photos a step.", show_default="64")] = None,
    false_alarms: Annotated[
        float, typer.Option(help="The share of photos without a landmark that may be told to show one.")
    ] = 0.01,
    seed: Annotated[int | None, typer.Option(min=0, help="Draws what is left to chance.", show_default="0")] = None,
    threads: given.Threads = None,
    quiet: given.Quiet = False,
) -> None:
    """Train an embedding of landmarks, and make an index of them (extra train).

    \b
    veduta landmarks train landmarks/ --others scenes/ --judge-by holiday/ --out runs/lm
    veduta landmarks evaluate test/ --others other/ --index runs/lm/index.landmarks

    Stopped at any moment, the same command goes on. docs/landmarks.md tells more.
    """
    from dataclasses import replace

    from veduta.errors import MissingExtra, UsageError

    try:
        from veduta.training.landmarks.train import SCHEDULE, LandmarkRecipe, train_embedding
        from veduta.training.loop import Execution
        from veduta.training.people import People
        from veduta.training.progress import Progress
    except ModuleNotFoundError as error:
        raise MissingExtra(f'training needs {error.name}; install it with: pip install "veduta[train]"') from error
    from veduta.datasets.landmark_table import read_landmark_table
    from veduta.recognition.landmarks.recogniser import PhotoEmbedder
    from veduta.workflows.landmarks import build_index, dropped_photos

    known = {} if table is None else read_landmark_table(table)
    if loss not in ("arcface", "center"):
        raise UsageError(f"the loss {loss!r} is not known; give arcface or center.")
    if people is None and people_rate is not None:
        raise UsageError("--people-rate says how often people are pasted in; say which ones (--people).")
    asked = {"epochs": epochs, "learning_rate": rate, "batch_size": batch_size, "train_last": train_last, "seed": seed}
    schedule = replace(SCHEDULE, **_given(asked))
    if people_rate is not None:
        schedule = replace(schedule, augmentation=replace(schedule.augmentation, people=people_rate))
    recipe = LandmarkRecipe(
        schedule=schedule,
        loss="center" if loss == "center" else "arcface",
        outliers=outliers,
        **_given(
            {
                "weights": weights,
                "architecture": architecture,
                "size": size,
                "embedding": embedding,
                "margin": margin,
                "center_weight": center_weight,
            }
        ),
    )
    with stages(quiet) as watch:

        def epoch_ended(result: Any) -> None:
            found = result.validation
            watch.note(
                f"epoch {result.epoch}: loss {result.training['loss']:.3f}, {found['top1']:.1%} of the photos held out "
                f"are right, {result.photos_per_second:.0f} photos/s"
            )

        bundle = train_embedding(
            data,
            others,
            out,
            recipe,
            people=None if people is None else People.read(people),
            execution=Execution(threads=threads),
            progress=Progress(
                step=lambda step, steps, _loss: watch.step(step, steps),
                epoch=epoch_ended,
                note=watch.note,
                start=lambda _schedule: watch.begin("training"),
                photo=watch.step,
            ),
        )
        watch.begin("making the index")
        index = build_index(
            out / "index.landmarks",
            data,
            PhotoEmbedder(bundle),
            judge_by or others,
            false_alarms=false_alarms,
            leave_out=dropped_photos(out),
            table=known,
            on_photo=watch.step,
        )
        if not judge_by:
            watch.note(
                "the thresholds were chosen by photos that were trained with, so they are too low; give others "
                "(--judge-by)"
            )
    index.close()
    if not quiet:
        written = out / "index.landmarks"
        say(f"{len(index)} landmarks in {written}; use it: veduta tag PHOTOS --landmarks --landmark-index {written}")


def _given(asked: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if value is not None}
