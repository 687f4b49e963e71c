from __future__ import annotations

from dataclasses import replace

import pytest

from veduta.generation.alarms import WARM_UP_STEPS, Signs, alarms

GOOD = Signs(
    step=5000,
    contrast=0.95,
    diversity=0.9,
    within=0.9,
    real_right=0.8,
    made_right=0.85,
    closer=3,
    by_chance=0.5,
    pictures=256,
)


def test_none_rings_for_good_pictures() -> None:
    assert alarms(GOOD) == []
    assert alarms(replace(GOOD, closer=None, by_chance=1.0)) == []
    # Among dozens of looks.
    assert alarms(replace(GOOD, closer=9, by_chance=0.01)) == []


@pytest.mark.parametrize(("change", "name", "words"), [
    ({"contrast": 0.1}, "one_colour", "nearly of one colour"),
    ({"diversity": 0.3}, "mode_collapse", "nearly all alike"),
    ({"real_right": 1.0, "made_right": 0.999}, "discriminator_wins", "never wrong"),
    ({"real_right": 1.0, "made_right": 0.0}, "discriminator_lost", "calls all pictures real"),
    ({"real_right": 0.4, "made_right": 0.004}, "discriminator_lost", "calls all pictures real"),
    ({"real_right": 0.001, "made_right": 1.0}, "discriminator_lost", "calls all photos generated"),
    ({"within": 0.3}, "mode_collapse", "the pictures of each class are nearly all alike"),
    ({"closer": 20, "by_chance": 1e-5}, "memorising", "20 of 256 generated pictures are closer to a training photo"),
])  # fmt: skip
def test_each_rings_for_its_own_and_says_what_to_try(change: dict[str, float], name: str, words: str) -> None:
    (alarm,) = alarms(replace(GOOD, **change))  # type: ignore[arg-type]
    assert alarm.name == name
    assert words in alarm.sentence
    assert "Try" in alarm.sentence or "Go back" in alarm.sentence


def test_none_rings_before_there_is_anything_to_see() -> None:
    assert alarms(replace(GOOD, step=WARM_UP_STEPS - 1, contrast=0.0, diversity=0.0)) == []
