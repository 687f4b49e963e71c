"""``veduta.train``: a model of your own classes in one call. What is asked for is checked before torch is loaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

from veduta.errors import MissingExtra, UsageError
from veduta.models.bundle import Bundle
from veduta.models.threads import available_threads
from veduta.recognition.tagger import DEFAULT_MODEL
from veduta.training.options import Options, RecipeName, check_options, check_together, find_recipe
from veduta.training.presets import find_preset
from veduta.training.progress import Progress

# What Transfer calls as options do.
_TRANSFER = frozenset({"architecture", "task", "size", "views", "folds", "seed"})

# Between two checkpoints within an epoch.
_SAVE_MINUTES = 10.0


def train(
    data: Path | str,
    out: Path | str,
    *,
    recipe: str = "finetune",
    preset: str | None = None,
    architecture: str | None = None,
    weights: Path | str | None = None,
    task: str | None = None,
    size: int | None = None,
    views: int | None = None,
    folds: int | None = None,
    train_last: int | None = None,
    head_epochs: int | None = None,
    refit: bool | None = None,
    epochs: int | None = None,
    patience: int | None = None,
    optimizer: str | None = None,
    rate: float | None = None,
    decay: str | None = None,
    epoch_factor: float | None = None,
    momentum: float | None = None,
    weight_decay: float | None = None,
    batch_size: int | None = None,
    side: int | None = None,
    crop: float | None = None,
    flip: bool | None = None,
    jitter: float | None = None,
    rotation: float | None = None,
    shift: float | None = None,
    zoom: float | None = None,
    shear: float | None = None,
    brightness: float | None = None,
    mixup: float | None = None,
    cutmix: float | None = None,
    label_smoothing: float | None = None,
    class_weights: str | None = None,
    validation: float | None = None,
    search: bool | None = None,
    trials: int | None = None,
    seed: int | None = None,
    precision: str | None = None,
    threads: int | None = None,
    tensorboard: bool | None = None,
    resume: bool | None = None,
    progress: Progress = Progress(),  # noqa: B008
) -> Bundle | None:
    """Train on ``data`` and write the model to ``out/bundle``; the same call again goes on where it was stopped.

    ``data`` is a folder with a folder of photos for each class, a CSV table of 0 and 1, or a manifest. ``recipe``:
    ``transfer`` fits a classifier behind a model's embedding (extra ``learn``, no torch), ``finetune`` trains the
    layers of pretrained weights, ``scratch`` those of fresh ones (extra ``train``). ``preset`` names classic settings,
    which options override; each option is explained by ``veduta train --help`` and ``docs/training.md``, and None
    leaves it to the preset or the recipe. An option that the recipe has no use for is refused, never ignored.

    Returns the model; None in the processes of torchrun but the first. Raises UsageError for what can't be meant,
    MissingExtra, TrainingError, OutputError, and what loading weights raises.
    """
    asked = Options(
        architecture=architecture,
        weights=weights,
        task=task,
        size=size,
        views=views,
        folds=folds,
        train_last=train_last,
        head_epochs=head_epochs,
        refit=refit,
        epochs=epochs,
        patience=patience,
        optimizer=optimizer,
        rate=rate,
        decay=decay,
        epoch_factor=epoch_factor,
        momentum=momentum,
        weight_decay=weight_decay,
        batch_size=batch_size,
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
    )
    chosen = find_recipe(recipe)
    if weights == "none" and chosen != "transfer":
        chosen, asked = "scratch", replace(asked, weights=None)
    check_options(chosen, asked)
    options = asked if preset is None else asked.over(find_preset(preset, chosen).options)
    check_together(asked, options)
    if chosen == "transfer":
        return _transfer(Path(data), Path(out), options, progress)
    return _fit(Path(data), Path(out), chosen, options, progress)


def _transfer(data: Path, out: Path, options: Options, progress: Progress) -> Bundle:
    try:
        from veduta.training.transfer import Transfer, transfer
    except ModuleNotFoundError as error:
        raise MissingExtra(f'learning needs {error.name}; install it with: pip install "veduta[learn]"') from error
    model = options.weights or DEFAULT_MODEL
    weights = str(model) == "hub" or str(model).startswith("hub:") or Path(model).is_file()
    if str(model) == "none" or (weights and options.architecture is None):
        raise UsageError(
            f"--recipe transfer learns behind a model, and --weights {model} is none; name the network of weights "
            "(--arch), or take --recipe finetune."
        )
    given = {name: value for name, value in options.given.items() if name in _TRANSFER}
    how = Transfer(model, **given)
    return transfer(data, out, how, note=progress.note, on_photo=progress.photo)


def _fit(data: Path, out: Path, recipe: RecipeName, options: Options, progress: Progress) -> Bundle | None:
    try:
        from veduta.training.execution import Execution, Precision
        from veduta.training.fitted import FITTED
        from veduta.training.recipes import fit, recipe_for
        from veduta.training.run_folder import CHECKPOINT
        from veduta.training.search import RECORD
    except ModuleNotFoundError as error:
        raise MissingExtra(f'training needs {error.name}; install it with: pip install "veduta[train]"') from error
    begun = any((out / name).exists() for name in (CHECKPOINT, FITTED, RECORD))
    if options.resume is False and begun:
        raise UsageError(f"--out {out} has a run already; name another folder, or leave --no-resume away to go on.")
    execution = Execution(
        cast("Precision", options.precision or "auto"),
        options.threads or available_threads(),
        save_minutes=_SAVE_MINUTES,
        tensorboard=bool(options.tensorboard),
    )
    return fit(data, out, recipe_for(recipe, options), execution=execution, progress=progress)
