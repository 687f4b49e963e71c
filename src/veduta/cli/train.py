"""``veduta train``: a model of the user's own classes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from veduta.cli import train_options as given
from veduta.cli import train_synthetic as pictures
from veduta.cli.job import rated_bar, say

if TYPE_CHECKING:
    from veduta.models.bundle import Bundle
    from veduta.training.loop import EpochResult
    from veduta.training.progress import Progress
    from veduta.training.schedules import Schedule


def train(
    data: given.Data,
    out: given.Out,
    recipe: given.Recipe = "finetune",
    preset: given.Preset = None,
    weights: given.Weights = None,
    architecture: given.Architecture = None,
    size: given.Size = None,
    task: given.Task = None,
    views: given.Views = None,
    folds: given.Folds = None,
    train_last: given.TrainLast = None,
    head_epochs: given.HeadEpochs = None,
    refit: given.Refit = None,
    epochs: given.Epochs = None,
    patience: given.Patience = None,
    batch_size: given.BatchSize = None,
    optimizer: given.Optimizer = None,
    rate: given.Rate = None,
    decay: given.Decay = None,
    epoch_factor: given.EpochFactor = None,
    momentum: given.Momentum = None,
    weight_decay: given.WeightDecay = None,
    side: given.Side = None,
    crop: given.Crop = None,
    flip: given.Flip = None,
    jitter: given.Jitter = None,
    rotation: given.Rotation = None,
    shift: given.Shift = None,
    zoom: given.Zoom = None,
    shear: given.Shear = None,
    brightness: given.Brightness = None,
    mixup: given.Mixup = None,
    cutmix: given.Cutmix = None,
    label_smoothing: given.LabelSmoothing = None,
    class_weights: given.ClassWeights = None,
    validation: given.Validation = None,
    search: given.Search = None,
    trials: given.Trials = None,
    seed: given.Seed = None,
    precision: given.Precision = None,
    threads: given.Threads = None,
    tensorboard: given.TensorBoard = None,
    resume: given.Resume = None,
    synthetic: pictures.Synthetic = None,
    synthetic_share: pictures.SyntheticShare = None,
    judge_by: pictures.JudgeBy = None,
    quiet: given.Quiet = False,
) -> None:
    """Train a model on your own classes (extra train, or learn for --recipe transfer).

    \b
    veduta train photos/ --out runs/quick --recipe transfer      a minute, for a first look or few photos
    veduta train photos/ --out runs/mine                 photos/beach/*.jpg, photos/forest/*.jpg, ...
    veduta train labels.csv --out runs/tags              many labels for a photo: file,sea,trees
    veduta train photos/ --out runs/best --search        better settings, then the training
    veduta train photos/ --out runs/more --synthetic runs/scenes/bundle    generated pictures too, if they help
    veduta tag holiday/ --model runs/mine/bundle         use it

    Part of the photos is held out; the epoch that does best on them is kept, and its probabilities are calibrated.
    Stopped at any moment, the same command goes on. An option that a recipe has no use for is refused.
    docs/training.md tells more.
    """
    import veduta
    from veduta.errors import UsageError

    def train_on(data: Path, out: Path, progress: Progress) -> Bundle | None:
        return veduta.train(
            data,
            out,
            recipe=recipe,
            preset=preset,
            weights=weights,
            architecture=architecture,
            size=size,
            task=task,
            views=views,
            folds=folds,
            train_last=train_last,
            head_epochs=head_epochs,
            refit=refit,
            epochs=epochs,
            patience=patience,
            batch_size=batch_size,
            optimizer=optimizer,
            rate=rate,
            decay=decay,
            epoch_factor=epoch_factor,
            momentum=momentum,
            weight_decay=weight_decay,
            side=side,
            crop=crop,
            flip=flip,
            jitter=jitter,
            rotation=rotation,
            shift=shift,
            zoom=zoom,
            shear=shear,
            brightness=brightness,
            mixup=mixup,
            cutmix=cutmix,
            label_smoothing=label_smoothing,
            class_weights=class_weights,
            validation=validation,
            search=search,
            trials=trials,
            seed=seed,
            precision=precision,
            threads=threads,
            tensorboard=tensorboard,
            resume=resume,
            progress=progress,
        )

    if synthetic is None and (synthetic_share is not None or judge_by is not None):
        raise UsageError("--synthetic-share and --judge-by count with --synthetic alone: name a generator.")
    with _shown(quiet) as progress:
        if synthetic is None:
            bundle = train_on(data, out, progress)
        else:
            bundle = pictures.train_with(
                data,
                out,
                synthetic,
                lambda data, out: train_on(data, out, progress),
                share=synthetic_share,
                judge_by=judge_by,
                seed=seed,
                note=progress.note,
            )
    if bundle is not None and not quiet:
        say(f"wrote {bundle.path} ({bundle.bundle_id}); try it: veduta tag PHOTOS --model {bundle.path}")


@contextmanager
def _shown(quiet: bool) -> Iterator[Progress]:
    """Bars of photos and of steps, with their loss, photos a second and the time left; a line for each epoch."""
    from veduta.training.progress import Progress

    if quiet:
        yield Progress()
        return
    with rated_bar(counts=True) as bar:
        task = bar.add_task("steps", total=None, start=False, visible=False, rate="")
        reading = bar.add_task("reading photos", total=None, visible=False, rate="")
        photos = 0

        def on_photo(done: int, total: int) -> None:
            bar.update(reading, completed=done, total=total, visible=True)

        def on_start(schedule: Schedule) -> None:
            nonlocal photos
            photos = schedule.batch_size
            bar.update(reading, visible=False)
            bar.reset(task, start=False, visible=True, rate="")

        def on_step(step: int, steps: int, loss: float) -> None:
            if not bar.tasks[0].started:
                # A run that goes on has not done its first steps now; they say nothing of the speed.
                bar.update(task, completed=step - 1)
                bar.start_task(task)
            speed = bar.tasks[0].speed
            rate = f"{speed * photos:,.0f} photos/s" if speed else ""
            bar.update(task, completed=step, total=steps, description=f"loss {loss:.3f}", rate=rate)

        yield Progress(on_step, _tell_epoch, say, on_start, on_photo)


def _tell_epoch(result: EpochResult) -> None:
    told = ", ".join(_words(name, value) for name, value in result.validation.items())
    if not result.epoch:
        say(f"epoch 0, the fitted classifier: held out: {told}")
        return
    kept = "; best so far" if result.best else ""
    say(
        f"epoch {result.epoch}: training loss {result.training['loss']:.3f}; held out: {told}{kept} "
        f"({result.photos_per_second:,.0f} photos/s)"
    )


def _words(name: str, value: float) -> str:
    return f"{name.replace('_', ' ')} " + (f"{value:.3f}" if name.endswith("loss") else f"{value:.1%}")
