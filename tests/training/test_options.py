"""What may be asked of a recipe: nothing that it has no use for is ignored."""

from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import veduta
from veduta.cli.main import app
from veduta.errors import UsageError
from veduta.training.options import RECIPES, USED_BY, Options, RecipeName
from veduta.training.presets import PRESETS

NAMES = {field.name for field in fields(Options)}

# One that can be meant for each option.
VALUES: dict[str, Any] = {
    "architecture": "resnet18",
    "weights": "hub",
    "task": "single_label",
    "optimizer": "sgd",
    "decay": "constant",
    "class_weights": "balanced",
    "precision": "float32",
    "search": True,
    "tensorboard": True,
    "resume": False,
}


def _typed(name: str) -> str:
    return ("--no-" if name == "resume" else "--") + name.replace("_", "-")


def test_every_option_is_one_of_the_call_of_the_command_and_of_the_table_of_recipes() -> None:
    assert set(USED_BY) == NAMES
    call = set(inspect.signature(veduta.train).parameters)
    assert call == NAMES | {"data", "out", "recipe", "preset", "progress"}
    command = {parameter.name for parameter in get_command(app).commands["train"].params}  # type: ignore[attr-defined]
    # Generated pictures are not an option of a recipe: they are two trainings.
    synthetic = {"synthetic", "synthetic_share", "judge_by"}
    assert command - {"help"} == NAMES | synthetic | {"data", "out", "recipe", "preset", "quiet"}


@pytest.mark.parametrize(
    ("recipe", "name"),
    [(recipe, name) for recipe in RECIPES for name in sorted(NAMES) if recipe not in USED_BY[name]],
)
def test_what_a_recipe_has_no_use_for_is_refused(tmp_path: Path, recipe: RecipeName, name: str) -> None:
    with pytest.raises(UsageError, match=f"--recipe {recipe} has no use for {_typed(name)}: leave it out, or take"):
        veduta.train(tmp_path, tmp_path / "run", recipe=recipe, **{name: VALUES.get(name, 2)})
    assert not (tmp_path / "run").exists()


def test_it_is_refused_before_torch_is_loaded(tmp_path: Path) -> None:
    program = (
        "import sys, veduta\n"
        "try:\n    veduta.train('photos', 'run', recipe='transfer', epochs=5)\n"
        "except veduta.VedutaError:\n    sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"recipe": "distil"}, "--recipe distil is unknown; give transfer, finetune or scratch"),
        ({"optimizer": "adam"}, "--optimizer adam is unknown; give adamw or sgd"),
        ({"decay": "step"}, "--decay step is unknown; give cosine, exponential or constant"),
        ({"task": "single"}, "--task single is unknown; give single_label or multi_label"),
        ({"class_weights": "some"}, "--class-weights some is unknown"),
        ({"precision": "half"}, "--precision half is unknown; give auto, float32 or bfloat16"),
        ({"momentum": 0.9}, "--momentum counts with --optimizer sgd alone"),
        ({"epoch_factor": 0.9}, "--epoch-factor counts with --decay exponential alone"),
        (
            {"optimizer": "sgd", "decay": "cosine", "epoch_factor": 0.9},
            "--epoch-factor counts with --decay exponential",
        ),
        ({"refit": True, "class_weights": "balanced"}, "--refit knows no weights of classes"),
        ({"trials": 5}, "--trials counts with --search alone"),
        ({"search": True, "trials": 0}, "--trials 0 can't be meant; give 1 or more"),
        ({"threads": 0}, "--threads 0 can't be meant"),
        ({"preset": "rmsprop"}, "--preset rmsprop is unknown; give momentum, adam, head-first"),
        ({"preset": "momentum"}, "--preset momentum is for --recipe scratch, not for finetune; .* adam and head-first"),
        (
            {"preset": "adam", "recipe": "transfer"},
            "--preset adam is for --recipe finetune or scratch, not for transfer",
        ),
        (
            {"preset": "head-first", "recipe": "scratch"},
            "--preset head-first is for --recipe finetune, not for scratch",
        ),
        ({"weights": "none", "train_last": 2}, "--recipe scratch has no use for --train-last"),
        ({"recipe": "scratch", "weights": "hub"}, "--recipe scratch has no use for --weights"),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_what_can_not_be_meant_is_told(tmp_path: Path, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        veduta.train(tmp_path, tmp_path / "run", **asked)


def test_an_option_of_a_preset_counts_beside_one_that_is_given(tmp_path: Path) -> None:
    # Past the options it fails for the photos alone.
    with pytest.raises(UsageError, match="holds no class folders"):
        veduta.train(tmp_path, tmp_path / "run", recipe="scratch", preset="momentum", momentum=0.8, epoch_factor=0.9)
    with pytest.raises(UsageError, match="holds no class folders"):
        veduta.train(tmp_path, tmp_path / "run", recipe="scratch", preset="momentum", optimizer="adamw", rate=0.01)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_asks_for_what_its_recipes_can_use(name: str) -> None:
    for recipe in PRESETS[name].recipes:
        assert all(recipe in USED_BY[each] for each in PRESETS[name].options.given)
    help_text = next(
        each.help
        for each in get_command(app).commands["train"].params  # type: ignore[attr-defined]
        if each.name == "preset"
    )
    assert f"{name} (" in help_text
    assert PRESETS[name].summary in help_text


def test_what_is_given_overrides_the_preset() -> None:
    options = Options(rate=0.05, epochs=7).over(PRESETS["momentum"].options)
    assert options.given == {
        "rate": 0.05,
        "epochs": 7,
        "optimizer": "sgd",
        "batch_size": 50,
        "momentum": 0.9,
        "decay": "exponential",
        "epoch_factor": 0.97,
    }
