from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from veduta.evaluation.metrics import top_k_hits
from veduta.training.checkpoints import load_weights
from veduta.training.loop import PhotoSet, predict_logits
from veduta.training.networks import build
from veduta.training.probe import embed, fit_classifier


def _photos() -> PhotoSet:
    random = np.random.default_rng(0)
    targets = np.repeat(np.arange(3), 8)
    pixels = random.integers(0, 60, (24, 32, 32, 3)).astype(np.uint8)
    for target in range(3):
        pixels[targets == target, :, :, target] += 180
    return PhotoSet(pixels, targets)


def test_the_fitted_classifier_tells_apart_what_the_features_do_and_leaves_them_alone(shared_weights: Path) -> None:
    network, photos = build("mobilenet_v2", 3), _photos()
    load_weights(network, shared_weights / "mobilenet_v2_imagenet.safetensors")
    before = {key: value.clone() for key, value in network.features.state_dict().items()}
    fit_classifier(network, photos, decay=1e-4)
    assert top_k_hits(predict_logits(network, photos), photos.targets, 1).all()
    assert all(torch.equal(before[key], value) for key, value in network.features.state_dict().items())


def test_fitting_twice_gives_the_same_classifier() -> None:
    torch.manual_seed(1)
    network, photos = build("mobilenet_v2", 3), _photos()
    fit_classifier(network, photos)
    first = network.classifier.weight.clone()
    fit_classifier(network, photos)
    assert torch.equal(first, network.classifier.weight)


def test_embeddings_do_not_depend_on_the_batches() -> None:
    torch.manual_seed(1)
    network, photos = build("mobilenet_v2", 3), _photos()
    torch.testing.assert_close(embed(network, photos, 5), embed(network, photos, 24), atol=1e-5, rtol=1e-4)
