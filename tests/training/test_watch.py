from __future__ import annotations

import math
from dataclasses import asdict

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra train is not installed")

from veduta.training.watch import LossWatch


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_is_seen_at_once(loss: float) -> None:
    watch = LossWatch(guessing=4.6)
    assert watch.see(4.6) is None
    said = watch.see(loss)
    assert said is not None
    assert str(loss) in said


def test_a_loss_that_grows_and_stays_is_seen_and_a_jump_is_not() -> None:
    watch = LossWatch(guessing=2.3)
    assert all(watch.see(1.0) is None for _ in range(50))
    assert watch.see(30.0) is None
    assert all(watch.see(1.0) is None for _ in range(50))
    assert watch.calm
    steps = next(step for step in range(1, 200) if watch.see(30.0) is not None)
    assert 20 <= steps <= 30
    assert not watch.calm


def test_a_training_that_goes_as_trainings_go_is_left_alone() -> None:
    random = np.random.default_rng(0)
    watch = LossWatch(guessing=math.log(100))
    for step in range(2000):
        assert watch.see(float((1 + 3.6 * math.exp(-step / 300)) * random.lognormal(0, 0.3))) is None
        assert watch.calm


def test_it_goes_on_from_its_state() -> None:
    one = LossWatch(guessing=2.3)
    for loss in (1.0, 9.0, 9.0, 9.0, 9.0):
        one.see(loss)
    other = LossWatch(**asdict(one))
    assert [one.see(50.0) for _ in range(30)] == [other.see(50.0) for _ in range(30)]
