from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from torch.nn import functional

from veduta.errors import TrainingError
from veduta.training.losses import (
    EFFECTIVE_BETA,
    Loss,
    class_weights,
    distillation_loss,
    multi_label_loss,
    positive_weights,
    single_label_loss,
    soften,
)

LOGITS = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
HARD = torch.tensor([0, 1, 2, 3, 1, 1])
ONE_HOT = functional.one_hot(HARD, 4).float()


@given(share=st.floats(0, 1), smoothing=st.floats(0, 0.5), weighted=st.booleans())
def test_the_loss_of_a_mixture_is_the_mixture_of_the_losses(share: float, smoothing: float, weighted: bool) -> None:
    other = functional.one_hot((HARD + 1) % 4, 4).float()
    weights = torch.tensor([0.5, 1.0, 2.0, 0.7]) if weighted else None
    mixed = single_label_loss(LOGITS, share * ONE_HOT + (1 - share) * other, smoothing, weights)
    parts = [single_label_loss(LOGITS, targets, smoothing, weights) for targets in (ONE_HOT, other)]
    torch.testing.assert_close(mixed, share * parts[0] + (1 - share) * parts[1])


def test_hard_targets_give_the_cross_entropy_of_the_class() -> None:
    expected = functional.cross_entropy(LOGITS, HARD, label_smoothing=0.1)
    torch.testing.assert_close(single_label_loss(LOGITS, ONE_HOT, 0.1), expected)


@pytest.mark.parametrize("task", ["single_label", "multi_label"])
def test_the_mean_over_parts_of_a_batch_is_the_mean_over_the_batch(task: str) -> None:
    weights = torch.tensor([0.2, 3.0, 1.0, 0.5])
    loss = Loss(task, 0.1, weights, weights if task == "multi_label" else None)  # type: ignore[arg-type]
    parts = [loss(LOGITS[i : i + 3], ONE_HOT[i : i + 3]) for i in (0, 3)]
    torch.testing.assert_close((parts[0] + parts[1]) / 2, loss(LOGITS, ONE_HOT))


def test_softmax_and_sigmoid_are_not_swapped() -> None:
    single, many = (Loss(task)(LOGITS, ONE_HOT) for task in ("single_label", "multi_label"))  # type: ignore[arg-type]
    log_probability = LOGITS.log_softmax(1)[torch.arange(6), HARD]
    torch.testing.assert_close(single, -log_probability.mean())
    chances = LOGITS.sigmoid()
    torch.testing.assert_close(many, -torch.where(ONE_HOT > 0, chances, 1 - chances).log().mean())


def test_smoothing_of_many_labels_draws_targets_to_one_half() -> None:
    nothing = torch.zeros(2, 3)
    for_one = multi_label_loss(torch.full((2, 3), 2.0), nothing + 1, smoothing=0.2)
    torch.testing.assert_close(for_one, multi_label_loss(torch.full((2, 3), 2.0), nothing + 0.9))


@pytest.mark.parametrize("task", ["single_label", "multi_label"])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_a_teacher_that_says_the_same_costs_nothing_and_any_other_something(task: str, temperature: float) -> None:
    same = distillation_loss(LOGITS, soften(LOGITS, temperature, task), temperature, task)  # type: ignore[arg-type]
    assert abs(same.item()) < 1e-5
    other = soften(LOGITS.flip(0), temperature, task)  # type: ignore[arg-type]
    assert distillation_loss(LOGITS, other, temperature, task) > 0.01  # type: ignore[arg-type]


def test_distillation_is_the_divergence_times_the_squared_temperature() -> None:
    teacher = LOGITS.flip(1)
    p, q = (teacher / 3).softmax(1), (LOGITS / 3).softmax(1)
    expected = 9 * (p * (p / q).log()).sum(1).mean()
    torch.testing.assert_close(distillation_loss(LOGITS, soften(teacher, 3.0), 3.0), expected)


def test_alpha_is_the_teachers_share() -> None:
    teacher = soften(LOGITS.flip(0), 2.0)
    hard, taught = Loss("single_label")(LOGITS, ONE_HOT), distillation_loss(LOGITS, teacher, 2.0)
    mixed = Loss("single_label", alpha=0.3, temperature=2.0)(LOGITS, ONE_HOT, teacher)
    torch.testing.assert_close(mixed, 0.7 * hard + 0.3 * taught)


def test_balanced_weights_are_those_of_the_formula() -> None:
    weights = class_weights(np.array([10, 30, 60]), "balanced")
    assert weights is not None
    np.testing.assert_allclose(weights, [100 / 30, 100 / 90, 100 / 180], rtol=1e-6)


def test_effective_weights_follow_the_effective_number() -> None:
    counts = np.array([1, 100, 100_000])
    weights = class_weights(counts, "effective")
    assert weights is not None
    numbers = [(1 - EFFECTIVE_BETA**count) / (1 - EFFECTIVE_BETA) for count in counts.tolist()]
    np.testing.assert_allclose(weights * numbers, (weights * numbers)[0], rtol=1e-4)


@given(counts=st.lists(st.integers(1, 10_000), min_size=2, max_size=8), how=st.sampled_from(["balanced", "effective"]))
def test_the_mean_weight_of_a_photo_is_one(counts: list[int], how: str) -> None:
    weights = class_weights(np.array(counts), how)  # type: ignore[arg-type]
    assert weights is not None
    assert math.isclose((weights * counts).sum() / sum(counts), 1.0, rel_tol=1e-4)


def test_a_class_without_photos_is_named() -> None:
    with pytest.raises(TrainingError, match="class 1 has no photo"):
        class_weights(np.array([3, 0, 2]), "balanced")
    with pytest.raises(TrainingError, match="label 2 is on no photo"):
        positive_weights(np.array([[1, 0, 0], [1, 1, 0]], np.float32))
    assert class_weights(np.array([3, 0]), "none") is None


def test_positive_weights_are_absences_over_presences_and_bounded() -> None:
    targets = np.zeros((100, 3), np.float32)
    targets[:50, 0], targets[:20, 1], targets[:1, 2] = 1, 1, 1
    assert positive_weights(targets).tolist() == [1.0, 4.0, 20.0]
