from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from veduta.evaluation.metrics import top_k_hits
from veduta.training.calibrated_loss import calibrated_loss
from veduta.training.checkpoints import load_weights
from veduta.training.loop import PhotoSet, predict_logits
from veduta.training.networks import SceneNetwork, build
from veduta.training.probe import DECAYS, choose_classifier, embed, fit_classifier, train_classifier


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


def _noisy(tiny: ModuleType, seed: int) -> PhotoSet:
    """Dark and bright photos, one in five under the wrong name."""
    photos: PhotoSet = tiny.photos(40)
    wrong = np.random.default_rng(seed).random(40) < 0.2
    return replace(photos, targets=np.where(wrong, 1 - photos.targets, photos.targets))


def test_the_decay_is_the_one_that_does_best_on_held_out_photos(tiny: ModuleType) -> None:
    training, validation = _noisy(tiny, 1), _noisy(tiny, 2)
    losses = {}
    for decay in DECAYS:
        network = tiny.network()
        fit_classifier(network, training, decay=decay)
        losses[decay] = calibrated_loss(predict_logits(network, validation), validation.labels)
    chosen = choose_classifier(network, training, validation)
    assert losses[chosen] == min(losses.values())
    assert calibrated_loss(predict_logits(network, validation), validation.labels) == pytest.approx(losses[chosen])


def test_a_classifier_that_is_trained_alone_stops_early_and_keeps_its_best_epoch(tiny: ModuleType) -> None:
    training, validation = _noisy(tiny, 1), _noisy(tiny, 2)

    def trained(epochs: int) -> tuple[SceneNetwork, int]:
        network: SceneNetwork = tiny.network()
        return network, train_classifier(network, training, validation, epochs=epochs, rate=0.3, patience=3)

    network, best = trained(100)
    assert 0 < best < 97, "it ended by itself"
    body = tiny.network().features.state_dict()
    assert all(torch.equal(body[name], tensor) for name, tensor in network.features.state_dict().items())
    again, same = trained(best)
    assert same == best
    assert torch.equal(network.classifier.weight, again.classifier.weight), "what came after the best is undone"
