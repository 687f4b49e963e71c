from __future__ import annotations

import math

import pytest
import torch

from veduta.generation.losses import discriminator_loss, generator_loss, r1_penalty


def test_hinge_asks_for_no_more_than_a_margin_of_one() -> None:
    sure, unsure = torch.tensor([[3.0], [1.0]]), torch.zeros(2, 1)
    assert float(discriminator_loss("hinge", sure, -sure)) == 0
    assert float(discriminator_loss("hinge", unsure, unsure)) == 2
    assert float(generator_loss("hinge", sure)) == -2


def test_cross_entropy_is_log_two_each_where_nothing_is_known() -> None:
    unsure = torch.zeros(2, 1)
    assert float(discriminator_loss("cross_entropy", unsure, unsure)) == pytest.approx(2 * math.log(2))
    assert float(generator_loss("cross_entropy", unsure)) == pytest.approx(math.log(2))
    assert float(generator_loss("cross_entropy", torch.full((1, 1), -50.0))) == pytest.approx(
        50
    )  # it does not saturate


@pytest.mark.parametrize("loss", ["hinge", "cross_entropy"])
def test_each_side_gains_what_the_other_loses(loss: str) -> None:
    fooled, seen_through = torch.full((3, 1), 0.5), torch.full((3, 1), -0.5)
    real = torch.full((3, 1), 0.5)
    assert discriminator_loss(loss, real, seen_through) < discriminator_loss(loss, real, fooled)  # type: ignore[arg-type]
    assert generator_loss(loss, fooled) < generator_loss(loss, seen_through)  # type: ignore[arg-type]


def test_the_penalty_is_the_squared_gradient_of_the_logits() -> None:
    weight = torch.tensor([1.0, -2.0, 3.0]).view(1, 3, 1, 1)
    pictures = torch.rand(5, 3, 4, 4).requires_grad_(True)
    logits = (pictures * weight).sum(dim=(1, 2, 3))[:, None]
    assert float(r1_penalty(pictures, logits)) == pytest.approx(14 * 16)
