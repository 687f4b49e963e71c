"""The losses of landmark embeddings, against formulas by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from veduta.training.landmarks.losses import ArcFaceLoss, CenterLoss
from veduta.training.landmarks.network import CenteredClassifier, SubCenterClassifier

torch.manual_seed(0)


def one_hot(*numbers: int, classes: int = 3) -> torch.Tensor:
    return functional.one_hot(torch.tensor(numbers), classes).float()


def test_arcface_adds_its_margin_to_the_angle_of_the_own_class() -> None:
    cosines = torch.tensor([[0.6, 0.2, -0.1]])
    found = ArcFaceLoss(10.0, 0.3)((10 * cosines, torch.zeros(1, 4)), one_hot(0))
    widened = torch.tensor([[10 * math.cos(math.acos(0.6) + 0.3), 2.0, -1.0]])
    assert float(found) == pytest.approx(float(functional.cross_entropy(widened, torch.tensor([0]))), abs=1e-5)


def test_no_landmark_has_no_margin() -> None:
    logits = 10 * torch.tensor([[0.1, 0.2, 0.5]])
    found = ArcFaceLoss(10.0, 0.5)((logits, torch.zeros(1, 4)), one_hot(2))
    assert float(found) == pytest.approx(float(functional.cross_entropy(logits, torch.tensor([2]))), abs=1e-5)


def test_arcface_has_gradients_at_the_ends_of_the_cosine() -> None:
    logits = torch.tensor([[10.0, -10.0, 0.0]], requires_grad=True)
    ArcFaceLoss(10.0)((logits, torch.zeros(1, 4)), one_hot(0)).backward()
    assert logits.grad is not None
    assert bool(torch.isfinite(logits.grad).all())


def test_a_class_is_as_near_as_its_nearest_centre() -> None:
    classifier = SubCenterClassifier(4, 5, centres=3, scale=7.0)
    embeddings = torch.randn(6, 4)
    by_hand = 7 * torch.stack(
        [
            functional.cosine_similarity(embeddings[:, None], classifier.weight[place][None], dim=2).amax(1)
            for place in range(5)
        ],
        dim=1,
    )
    torch.testing.assert_close(classifier(embeddings), by_hand)


def test_center_loss_is_half_the_squared_distance_and_spares_no_landmark() -> None:
    classifier = CenteredClassifier(4, 3)
    classifier.centres.copy_(torch.randn(3, 4))
    before, embeddings = classifier.centres.clone(), torch.randn(3, 4)
    logits = classifier(embeddings)
    found = CenterLoss(classifier, 0.1)((logits, embeddings), one_hot(0, 1, 2))
    pull = ((embeddings[:2] - before[:2]) ** 2).sum(1).mean() / 2
    plain = functional.cross_entropy(logits, torch.tensor([0, 1, 2]))
    assert found.item() == pytest.approx((plain + 0.1 * pull).item(), abs=1e-5)
    torch.testing.assert_close(classifier.centres[2], before[2])
    # One photo of the class: the centre goes α/2 of the way to it.
    torch.testing.assert_close(classifier.centres[0], before[0] + 0.25 * (embeddings[0] - before[0]))


def test_a_batch_without_landmarks_moves_no_centre() -> None:
    classifier = CenteredClassifier(4, 3)
    embeddings = torch.randn(2, 4)
    CenterLoss(classifier)((classifier(embeddings), embeddings), one_hot(2, 2))
    assert not classifier.centres.any()
