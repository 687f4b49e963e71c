from __future__ import annotations

from dataclasses import replace

import pytest

from veduta.errors import UsageError
from veduta.generation.presets import PRESETS, SIDES, find_preset


def test_each_network_has_a_preset_of_its_name() -> None:
    assert all(PRESETS[name].network == name for name in SIDES)


def test_a_name_that_is_none_is_answered_with_near_ones() -> None:
    with pytest.raises(UsageError, match="near it: fastgan"):
        find_preset("fast-gan")
    with pytest.raises(UsageError, match="dense, dcgan"):
        find_preset("zzz")


@pytest.mark.parametrize(("name", "side"), [("dense", 128), ("dcgan", 100), ("fastgan", 32), ("fastgan", 0)])
def test_a_side_that_the_network_cannot_make_is_refused_with_those_that_it_can(name: str, side: int) -> None:
    with pytest.raises(UsageError, match=f"makes pictures of {SIDES[PRESETS[name].network][0]} or"):
        replace(PRESETS[name], side=side)


@pytest.mark.parametrize("change", [
    {"filters": 0}, {"filters": 6}, {"filters": 10_000}, {"batch_size": 1}, {"generator_rate": 0.0},
    {"discriminator_rate": 2.0}, {"generator_rate": float("nan")}, {"per_class": 0},
    {"change_above": 0.2}, {"change_above": 1.0}, {"alike": 0}, {"alike": 5}, {"r1": float("nan")}, {"r1": -1.0},
    {"seed": -1}, {"seed": 2**64},
], ids=str)  # fmt: skip
def test_what_cannot_be_trained_with_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        replace(PRESETS["dcgan"], **change)  # type: ignore[arg-type]
