"""What a network's own classifier says, as features of it."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from pathlib import Path

import numpy as np
from safetensors.torch import save_file

from veduta.models.session import Session
from veduta.training.backbone import write_backbone
from veduta.training.classemes import add_classemes
from veduta.training.linear import learn
from veduta.training.networks import build

from .test_architectures import lively, seen


def published(classes: int = 300) -> dict[str, torch.Tensor]:
    """Weights of MobileNetV2 as torchvision names them, with a classifier of so many classes."""
    network = lively("mobilenet_v2")
    state = {name: value for name, value in network.state_dict().items() if name.startswith("features.")}
    draw = torch.Generator().manual_seed(0)
    state["classifier.1.weight"] = torch.randn(classes, 1280, generator=draw) / 10
    state["classifier.1.bias"] = torch.randn(classes, generator=draw)
    return state


@pytest.mark.parametrize("architecture", ["mobilenet_v2", "mobilenet_v2_hypercolumns"])
def test_probabilities_of_the_old_classes_come_behind_the_features_at_every_position(architecture: str) -> None:
    state, network = published(), build(architecture, 2).eval()
    network.features.load_state_dict({k.removeprefix("features."): v for k, v in state.items() if k[:4] == "feat"})
    images, own = seen(2, 96), network.classifier.in_features
    with torch.inference_mode():
        plain = network.features(images)
        assert add_classemes(network, state) == 300
        features = network.features(images)
    assert network.classifier.in_features == own + 300
    assert torch.equal(features[:, :own], plain)
    said = features[:, own:]
    assert (said == said[:, :, :1, :1]).all()
    mean = plain[:, :1280].mean((2, 3))
    expected = (mean @ state["classifier.1.weight"].T + state["classifier.1.bias"]).softmax(1)
    torch.testing.assert_close(
        (said[:, :, 0, 0] / said[0, 0, 0, 0]) ** 3, expected / expected[0, 0], rtol=1e-3, atol=1e-5
    )


def test_without_a_classifier_or_with_one_of_few_classes_nothing_changes() -> None:
    network = build("mobilenet_v2", 2)
    without = {name: value for name, value in published().items() if not name.startswith("classifier")}
    assert add_classemes(network, without) == 0
    assert add_classemes(network, published(classes=100)) == 0
    assert network.classifier.in_features == 1280


def test_a_head_between_features_and_classifier_is_not_skipped_over() -> None:
    vgg = build("vgg16", 2)
    tensors = {"classifier.6.weight": torch.zeros(1000, 4096), "classifier.6.bias": torch.zeros(1000)}
    assert add_classemes(vgg, tensors) == 0


def test_the_graph_of_a_backbone_says_them(tmp_path: Path) -> None:
    save_file(published(), tmp_path / "weights.safetensors")
    plain = write_backbone("mobilenet_v2", tmp_path / "weights.safetensors", 64, tmp_path / "plain")
    made = write_backbone("mobilenet_v2", tmp_path / "weights.safetensors", 64, tmp_path / "made", classemes=True)
    assert made.embedding is not None
    assert made.embedding.size == 1280 + 300
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    before, after = (Session(each.graph).run(pixels, ["embedding"])["embedding"] for each in (plain, made))
    np.testing.assert_allclose(after[:, :1280], before, rtol=1e-3, atol=1e-3)
    assert (after[:, 1280:] > 0).all()


def test_optional_numbers_that_tell_nothing_are_left_out_and_those_that_tell_all_are_heard() -> None:
    draw = np.random.default_rng(0)
    targets = np.repeat([0, 1], 60)
    sign = np.where(targets == 0, -1, 1)[:, None]
    telling, noise = (sign + draw.normal(0, 0.7, (120, 4))).astype(np.float32), draw.normal(0, 1, (120, 40))
    left = learn(np.concatenate([telling, 8 * noise], 1)[:, None].astype(np.float32), targets, optional=40)
    assert left.left_out == 40
    assert left.classifier.weight.shape == (2, 44)
    assert (left.classifier.weight[:, 4:] == 0).all()
    heard = learn(np.concatenate([noise, telling], 1)[:, None].astype(np.float32), targets, optional=4)
    assert heard.left_out == 0
