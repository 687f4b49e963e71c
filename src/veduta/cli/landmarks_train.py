"""``veduta landmarks train``: an embedding in which photos of one landmark lie close together, and an index of them."""

from __future__ import annotations

from typing import Any

from veduta.cli import landmarks_train_options as asked
from veduta.cli import options as given
from veduta.cli.job import say, stages


def train(
    data: asked.Data,
    out: asked.Out,
    others: asked.Others,
    judge_by: asked.JudgeBy = None,
    table: asked.Table = None,
    people: asked.People = None,
    people_rate: asked.PeopleRate = None,
    weights: asked.Weights = None,
    architecture: asked.Architecture = None,
    loss: asked.Loss = "arcface",
    margin: asked.Margin = None,
    center_weight: asked.CenterWeight = None,
    train_last: asked.TrainLast = None,
    size: asked.Size = None,
    embedding: asked.Embedding = None,
    outliers: asked.Outliers = 0.0,
    epochs: asked.Epochs = None,
    rate: asked.Rate = None,
    batch_size: asked.BatchSize = None,
    false_alarms: asked.FalseAlarms = 0.01,
    seed: asked.Seed = None,
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
    turned = given.only_given(
        epochs=epochs, learning_rate=rate, batch_size=batch_size, train_last=train_last, seed=seed
    )
    schedule = replace(SCHEDULE, **turned)
    if people_rate is not None:
        schedule = replace(schedule, augmentation=replace(schedule.augmentation, people=people_rate))
    recipe = LandmarkRecipe(
        schedule=schedule,
        loss="center" if loss == "center" else "arcface",
        outliers=outliers,
        **given.only_given(
            weights=weights,
            architecture=architecture,
            size=size,
            embedding=embedding,
            margin=margin,
            center_weight=center_weight,
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
