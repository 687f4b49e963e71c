"""What may be asked of a training, and which recipe can use it; no torch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from veduta.errors import UsageError

RecipeName = Literal["transfer", "finetune", "scratch"]
RECIPES: tuple[RecipeName, ...] = ("transfer", "finetune", "scratch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was asked for by name, as ``veduta.train`` explains it; None leaves a value to the preset or the recipe."""

    architecture: str | None = None
    weights: Path | str | None = None
    task: str | None = None
    size: int | None = None
    views: int | None = None
    folds: int | None = None
    train_last: int | None = None
    head_epochs: int | None = None
    refit: bool | None = None
    epochs: int | None = None
    patience: int | None = None
    optimizer: str | None = None
    rate: float | None = None
    decay: str | None = None
    epoch_factor: float | None = None
    momentum: float | None = None
    weight_decay: float | None = None
    batch_size: int | None = None
    side: int | None = None
    crop: float | None = None
    flip: bool | None = None
    jitter: float | None = None
    rotation: float | None = None
    shift: float | None = None
    zoom: float | None = None
    shear: float | None = None
    brightness: float | None = None
    mixup: float | None = None
    cutmix: float | None = None
    label_smoothing: float | None = None
    class_weights: str | None = None
    validation: float | None = None
    search: bool | None = None
    trials: int | None = None
    seed: int | None = None
    precision: str | None = None
    threads: int | None = None
    tensorboard: bool | None = None
    resume: bool | None = None

    @property
    def given(self) -> dict[str, Any]:
        """What was asked for, by name."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def over(self, others: Options) -> Options:
        """These, and those of ``others`` that these leave open."""
        return dataclasses.replace(others, **self.given)


_ALL = frozenset(RECIPES)
_TRANSFER: frozenset[RecipeName] = frozenset({"transfer"})
_FINETUNE: frozenset[RecipeName] = frozenset({"finetune"})
_TORCH = _ALL - _TRANSFER

#: The recipes that can use an option.
USED_BY: dict[str, frozenset[RecipeName]] = {
    "weights": _TRANSFER | _FINETUNE,
    **dict.fromkeys(("architecture", "task", "size", "seed"), _ALL),
    **dict.fromkeys(("views", "folds"), _TRANSFER),
    **dict.fromkeys(("train_last", "head_epochs", "refit"), _FINETUNE),
}
USED_BY |= {field.name: _TORCH for field in dataclasses.fields(Options) if field.name not in USED_BY}

# An option that counts beside one value of another alone.
_ONLY_WITH: dict[str, tuple[str, Any]] = {
    "momentum": ("optimizer", "sgd"),
    "epoch_factor": ("decay", "exponential"),
    "trials": ("search", True),
}

_VALUES: dict[str, tuple[str, ...]] = {
    "task": ("single_label", "multi_label"),
    "optimizer": ("adamw", "sgd"),
    "decay": ("cosine", "exponential", "constant"),
    "class_weights": ("none", "balanced", "effective"),
    "precision": ("auto", "float32", "bfloat16"),
}


# Elsewhere 0 stands for what is usual.
_LEAST = {"trials": 1, "threads": 1, "head_epochs": 1}


def find_recipe(name: str) -> RecipeName:
    """The recipe of this name. Raises UsageError."""
    for recipe in RECIPES:
        if recipe == name:
            return recipe
    raise UsageError(f"--recipe {name} is unknown; give transfer, finetune or scratch.")


def check_options(recipe: RecipeName, options: Options) -> None:
    """Raises UsageError for an option that ``recipe`` has no use for, or that has no such value: nothing is ignored."""
    for name, value in options.given.items():
        if recipe not in USED_BY[name]:
            others = " or ".join(each for each in RECIPES if each in USED_BY[name])
            raise UsageError(
                f"--recipe {recipe} has no use for {_typed(name, value)}: leave it out, or take --recipe {others}."
            )
        if name in _LEAST and value < _LEAST[name]:
            raise UsageError(f"{_typed(name)} {value} can't be meant; give {_LEAST[name]} or more.")
        known = _VALUES.get(name)
        if known is not None and value not in known:
            raise UsageError(f"{_typed(name)} {value} is unknown; give {', '.join(known[:-1])} or {known[-1]}.")


def check_together(asked: Options, options: Options) -> None:
    """Raises UsageError where ``asked`` has an option that does not count among all ``options``, those of a preset
    included.
    """
    values = {"optimizer": "adamw", **options.given}
    values.setdefault("decay", "exponential" if values["optimizer"] == "sgd" else "cosine")
    for name, (other, value) in _ONLY_WITH.items():
        if name in asked.given and values.get(other) != value:
            needed = _typed(other) if value is True else f"{_typed(other)} {value}"
            raise UsageError(f"{_typed(name)} counts with {needed} alone: give both, or leave {_typed(name)} out.")
    if asked.refit and options.class_weights not in (None, "none"):
        raise UsageError("--refit knows no weights of classes: leave it out, or leave --class-weights out.")


def _typed(name: str, value: object = None) -> str:
    """An option as it is typed."""
    return ("--no-" if value is False else "--") + name.replace("_", "-")
