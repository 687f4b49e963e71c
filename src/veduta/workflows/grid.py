"""Which trainings are compared: architectures × sizes × recipes, and the settings that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from veduta.errors import UsageError
from veduta.images.preprocess import LARGEST_SIDE
from veduta.labels.text_file import near_misses, shown

#: From fresh weights; a classifier behind a network's embedding; that, and then all layers.
RECIPES = ("scratch", "transfer", "finetune")

# The recipes that have a use for a setting, where not all have.
_USED_BY = {
    "epochs": ("finetune",),
    "patience": ("finetune",),
    "scratch_epochs": ("scratch",),
    "views": ("transfer",),
    "batch_size": ("scratch", "finetune"),
    "validation": ("scratch", "finetune"),
}

# What is reckoned with where the recipe chooses.
_USUAL_VIEWS, _USUAL_EPOCHS = 2, {"scratch": 60, "finetune": 10}

# Even a network of a few layers needs some pixels.
_SMALLEST_SIDE = 16


@dataclass(frozen=True, slots=True)
class Cell:
    """One training of a comparison; ``size`` is the side in pixels of the square that the network looks at."""

    architecture: str
    size: int
    recipe: str

    @property
    def name(self) -> str:
        """What it is called, in tables and as the baseline."""
        return f"{self.architecture}-{self.size}-{self.recipe}"


@dataclass(frozen=True, slots=True)
class Grid:
    """Every architecture at every size by every recipe.

    ``own_recipes`` replaces the recipes of an architecture by its own. ``weights`` says what an architecture starts
    from, for ``transfer`` and ``finetune``: what ``load_weights`` takes.
    Raises UsageError for values that can't be meant.
    """

    architectures: tuple[str, ...]
    sizes: tuple[int, ...] = (128,)
    recipes: tuple[str, ...] = ("transfer", "finetune")
    own_recipes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_once("architecture", self.architectures)
        _check_once("size", self.sizes)
        for recipes in (self.recipes, *self.own_recipes.values()):
            _check_once("recipe", recipes)
            for recipe in recipes:
                if recipe not in RECIPES:
                    raise UsageError(f"the recipe '{shown(recipe)}' is unknown; give {', '.join(RECIPES)}.")
        for size in self.sizes:
            if not _SMALLEST_SIDE <= size <= LARGEST_SIDE:
                raise UsageError(
                    f"no network takes photos of {size} pixels; give sizes from {_SMALLEST_SIDE} to {LARGEST_SIDE}."
                )
        for what, named in (("recipes", self.own_recipes), ("weights", self.weights)):
            for name in named:
                if name not in self.architectures:
                    raise UsageError(
                        f"{what} are given for '{shown(name)}', which is none of the architectures to compare"
                        f"{near_misses(name, self.architectures) or '.'}"
                    )

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All trainings, by architecture, then size, then recipe."""
        return tuple(
            Cell(architecture, size, recipe)
            for architecture, size in product(self.architectures, self.sizes)
            for recipe in self.own_recipes.get(architecture, self.recipes)
        )


@dataclass(frozen=True, slots=True)
class Settings:
    """What all trainings of a comparison share; None leaves a value to the recipe.

    ``epochs`` and ``patience`` (so many epochs without a better one end it) are those of finetune, ``scratch_epochs``
    those of scratch; ``views`` those of transfer. ``validation`` is the share of the photos to train on that is held
    out to choose the epoch, where the data does not say which, and ``test`` the share of all photos that no training
    sees, likewise. ``precision`` is one for all trainings, for they are timed; ``threads`` (None is all that the
    process may use) are also those that speeds are measured with.
    """

    epochs: int | None = None
    scratch_epochs: int | None = None
    patience: int | None = None
    batch_size: int | None = None
    validation: float | None = None
    test: float = 0.2
    views: int | None = None
    seed: int = 0
    precision: str = "float32"
    threads: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("scratch_epochs", 1), ("batch_size", 2), ("views", 0), ("patience", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError(f"{name} is {value}; it must be at least {least}.")
        for name, share in (("validation", self.validation), ("test", self.test)):
            if share is not None and not 0 < share < 1:
                raise UsageError(f"the share for {name} is {share:g}; it must be between 0 and 1.")
        if self.seed < 0:
            raise UsageError(f"seed is {self.seed}; it must be 0 or more.")
        if self.precision not in ("float32", "bfloat16"):
            raise UsageError(
                f"trainings in the precision '{shown(self.precision)}' can't be compared; give float32 or bfloat16."
            )

    def of(self, recipe: str) -> dict[str, Any]:
        """What a training by this recipe is given, by name."""
        given: dict[str, Any]
        if recipe == "transfer":
            given = {"views": self.views, "seed": self.seed}
        else:
            given = {
                "epochs": self.scratch_epochs if recipe == "scratch" else self.epochs,
                "patience": None if recipe == "scratch" else self.patience,
                "batch_size": self.batch_size,
                "validation": self.validation,
                "seed": self.seed,
                "precision": self.precision,
            }
        return {name: value for name, value in given.items() if value is not None}


def check_used(grid: Grid, settings: Settings) -> None:
    """Raises UsageError for a setting that no recipe of the grid has a use for: nothing is ignored."""
    recipes = {cell.recipe for cell in grid.cells}
    for name, users in _USED_BY.items():
        if getattr(settings, name) is not None and not recipes & set(users):
            raise UsageError(f"{name} counts for {' and '.join(users)} alone, and nothing is trained so; leave it out.")


def work_of(cell: Cell, settings: Settings) -> float:
    """How much there is to compute, relative to other cells: pixels, and how often each is passed.

    A step forward and back takes about three times what a step forward takes.
    """
    given = settings.of(cell.recipe)
    if cell.recipe == "transfer":
        passes = 1 + given.get("views", _USUAL_VIEWS)
    else:
        passes = 3 * given.get("epochs", _USUAL_EPOCHS[cell.recipe])
    return float(passes * cell.size**2)


def _check_once(what: str, values: Sequence[object]) -> None:
    if not values:
        raise UsageError(f"there is no {what} to compare; name one or more.")
    for place, value in enumerate(values):
        if value in values[:place]:
            raise UsageError(f"the {what} {shown(str(value))} is named twice; name it once.")
