from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from types import ModuleType

import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from veduta.errors import TrainingError
from veduta.training.schedules import DEFAULTS, Schedule, learning_rate, make_optimizer, parameter_groups

PLAIN = Schedule(learning_rate=0.2, warm_up_steps=10, epochs=4)


def test_the_rate_warms_up_in_equal_steps() -> None:
    flat = replace(PLAIN, decay="constant")
    assert [learning_rate(flat, step, 50) for step in range(12)] == pytest.approx(
        [0.2 * min(1, (step + 1) / 10) for step in range(12)]
    )


@pytest.mark.parametrize(
    ("step", "share"), [(50, (1 + math.sqrt(0.5)) / 2), (100, 0.5), (150, (1 - math.sqrt(0.5)) / 2)]
)
def test_the_cosine_is_where_it_should_be_after_each_quarter(step: int, share: float) -> None:
    assert learning_rate(PLAIN, step, 50) == pytest.approx(0.2 * share)
    assert learning_rate(PLAIN, 199, 50) == pytest.approx(0.2 * (1 + math.cos(math.pi * 199 / 200)) / 2)


def test_exponential_decay_multiplies_after_each_epoch_and_not_within() -> None:
    falling = replace(PLAIN, decay="exponential", epoch_factor=0.5)
    assert [learning_rate(falling, step, 50) for step in (49, 50, 99, 100, 150)] == pytest.approx(
        [0.2, 0.1, 0.1, 0.05, 0.025]
    )


def test_norms_and_biases_are_not_decayed_and_the_classifier_has_its_own_rate(tiny: ModuleType) -> None:
    network = tiny.network()
    groups = parameter_groups(network, replace(PLAIN, classifier_rate=7.0, weight_decay=0.3))
    told = {id(p): (group["rate"], group["weight_decay"]) for group in groups for p in group["params"]}
    assert told.keys() == {id(parameter) for parameter in network.parameters()}
    for name, parameter in network.named_parameters():
        expected = (7.0 if name.startswith("classifier") else 1.0, 0.3 if parameter.ndim > 1 else 0.0)
        assert told[id(parameter)] == expected, name


def test_layers_that_do_not_train_are_in_no_group(tiny: ModuleType) -> None:
    network = tiny.network()
    network.features.requires_grad_(False)
    assert sum(len(group["params"]) for group in parameter_groups(network, PLAIN)) == 2


@pytest.mark.parametrize(("name", "kind"), [("adamw", "AdamW"), ("sgd", "SGD")])
def test_the_optimizer_is_the_named_one(tiny: ModuleType, name: str, kind: str) -> None:
    optimizer = make_optimizer(tiny.network(), replace(PLAIN, optimizer=name, momentum=0.8))  # type: ignore[arg-type]
    assert type(optimizer).__name__ == kind
    if name == "sgd":
        assert optimizer.defaults["momentum"] == 0.8
        assert optimizer.defaults["nesterov"]


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_schedule_is_json(name: str) -> None:
    values = json.loads(json.dumps(asdict(DEFAULTS[name])))
    assert values["optimizer"] in ("adamw", "sgd")
    assert asdict(DEFAULTS[name]) == values


@pytest.mark.parametrize(
    "values",
    [
        {"epochs": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"label_smoothing": 1.5},
        {"optimizer": "adam"},
        {"decay": "linear"},
        {"class_weights": "inverse"},
        {"patience": -1},
    ],
    ids=str,
)
def test_a_value_that_can_not_be_meant_is_named(values: dict[str, object]) -> None:
    with pytest.raises(TrainingError, match=next(iter(values))):
        Schedule(**values)  # type: ignore[arg-type]
