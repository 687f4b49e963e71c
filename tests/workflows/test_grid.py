from __future__ import annotations

from typing import Any

import pytest

from veduta.errors import UsageError
from veduta.workflows.grid import Cell, Grid, Settings, check_used, work_of


def test_every_architecture_comes_at_every_size_by_every_recipe() -> None:
    grid = Grid(("a", "b"), (50, 128), ("transfer", "finetune"), {"b": ("scratch",)}, {"a": "hub"})
    assert [cell.name for cell in grid.cells] == [
        "a-50-transfer",
        "a-50-finetune",
        "a-128-transfer",
        "a-128-finetune",
        "b-50-scratch",
        "b-128-scratch",
    ]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"architectures": ()}, "no architecture to compare"),
        ({"architectures": ("a", "a")}, "architecture a is named twice"),
        ({"sizes": (64, 64)}, "size 64 is named twice"),
        ({"sizes": (8,)}, "no network takes photos of 8 pixels; give sizes from 16 to 1024"),
        ({"sizes": (2000,)}, "no network takes photos of 2000 pixels"),
        ({"recipes": ("scratch", "fine\x1btune")}, r"recipe 'fine\\x1btune' is unknown; give scratch, transfer, fine"),
        ({"recipes": ()}, "no recipe to compare"),
        ({"own_recipes": {"small_cn": ("scratch",)}}, "did you mean 'small_cnn'"),
        ({"own_recipes": {"small_cnn": ("search",)}}, "recipe 'search' is unknown"),
        ({"weights": {"resnet": "hub"}}, "weights are given for 'resnet', which is none of the architectures"),
    ],
)
def test_a_grid_that_can_not_be_meant_is_refused(wrong: dict[str, Any], said: str) -> None:
    right: dict[str, Any] = {"architectures": ("small_cnn",), "recipes": ("scratch",)}
    with pytest.raises(UsageError, match=said):
        Grid(**(right | wrong))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"batch_size": 1}, "batch_size is 1; it must be at least 2"),
        ({"test": 1.0}, "share for test is 1"),
        ({"validation": 0.0}, "share for validation is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"precision": "auto"}, "'auto' can't be compared"),
    ],
)
def test_settings_that_can_not_be_meant_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Settings(**wrong)


def test_a_recipe_depends_on_its_own_settings_alone() -> None:
    settings = Settings(epochs=3, scratch_epochs=7, patience=2, batch_size=8, views=1, seed=5)
    assert settings.of("transfer") == {"views": 1, "seed": 5}
    assert settings.of("scratch") == {"epochs": 7, "batch_size": 8, "seed": 5, "precision": "float32"}
    assert settings.of("finetune") == {"epochs": 3, "patience": 2, "batch_size": 8, "seed": 5, "precision": "float32"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (Settings(epochs=3), "epochs counts for finetune alone"),
        (Settings(views=1), "views counts for transfer alone"),
        (Settings(scratch_epochs=3), None),
        (Settings(batch_size=8, seed=3, test=0.5), None),
    ],
)
def test_a_setting_that_no_training_has_a_use_for_is_refused(settings: Settings, said: str | None) -> None:
    grid = Grid(("small_cnn",), recipes=("scratch",))
    if said is None:
        check_used(grid, settings)
        return
    with pytest.raises(UsageError, match=said):
        check_used(grid, settings)


def test_work_grows_with_pixels_and_epochs() -> None:
    settings = Settings(epochs=10, views=4)
    transfer, finetune = (work_of(Cell("a", 100, recipe), settings) for recipe in ("transfer", "finetune"))
    assert finetune == 6 * transfer
    assert work_of(Cell("a", 200, "transfer"), settings) == 4 * transfer
