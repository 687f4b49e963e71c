from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from torch import Tensor, nn

from veduta.training.networks import ARCHITECTURES, BundleGraph, Normalise, SceneNetwork, build
from veduta.training.normalise import Recentre
from veduta.training.taps import EvidenceModule

#: One of each kind, those that cost little; ``test_architectures.py`` has them all.
KINDS = ("small_cnn", "mobilenet_v2_128", "squeezenet1_1", "convnext_tiny", "vit_small_patch14_dinov2")


class Nearness(EvidenceModule):
    """Evidence of a kind: how small the features are, and how large the first logit."""

    def forward(self, pooled: list[Tensor], logits: Tensor) -> Tensor:
        return logits.amax(1) - pooled[0].square().mean(1)


@pytest.mark.parametrize("name", KINDS)
def test_a_network_gives_logits_embedding_class_maps_and_evidence(name: str) -> None:
    torch.manual_seed(1)
    network = build(name, 5).eval()
    graph = BundleGraph(network, Nearness()).eval()
    images = torch.randint(0, 256, (2, 84, 112, 3), dtype=torch.uint8)
    with torch.inference_mode():
        found = dict(zip(graph.outputs, graph(images), strict=True))
        plain = Normalise(network.enlarge)(images)
        torch.testing.assert_close(network(plain), found["logits"])
        torch.testing.assert_close(network.embed(plain), found["embedding"])
    assert tuple(found["logits"].shape) == (2, 5)
    assert tuple(found["embedding"].shape) == (2, ARCHITECTURES[name].embedding_size)
    assert tuple(found["evidence"].shape) == (2,)
    scale = max(1.0, float(found["logits"].abs().max()))
    torch.testing.assert_close(found["class_maps"].mean((2, 3)), found["logits"], atol=1e-5 * scale, rtol=1e-5)
    assert network.architecture == name


@pytest.mark.parametrize(
    ("name", "side"), [("mobilenetv4_conv_small", 64), ("convnext_tiny", 64), ("alexnet", 224), ("resnet18", 64)]
)
def test_a_published_head_stands_before_the_classifier_where_there_is_one(name: str, side: int) -> None:
    head = ARCHITECTURES[name].published_head
    network = build(name, 4, published_head=True).eval()
    images = torch.randint(0, 256, (2, side, side, 3), dtype=torch.uint8)
    with torch.inference_mode():
        found = dict(zip(BundleGraph(network).outputs, BundleGraph(network).eval()(images), strict=True))
    assert ("class_maps" in found) == (head is None)
    assert tuple(found["embedding"].shape) == (2, ARCHITECTURES[name].embedding_size if head is None else head.size)
    assert network.one_size == (name == "alexnet")


def test_a_rectified_classifier_has_no_negative_map_and_their_mean_is_the_logits() -> None:
    torch.manual_seed(2)
    network = build("squeezenet1_1", 7).eval()
    network.rectified = True
    images = torch.randint(0, 256, (2, 64, 96, 3), dtype=torch.uint8)
    with torch.inference_mode():
        logits, embedding, class_maps = BundleGraph(network).eval()(images)
        assert float(class_maps.min()) >= 0
        torch.testing.assert_close(class_maps.mean((2, 3)), logits)
        torch.testing.assert_close(network(Normalise()(images)), logits)
        assert not torch.allclose(network.classifier(embedding), logits)


def test_normalising_gives_channels_first_with_imagenets_statistics() -> None:
    grey = torch.full((1, 2, 2, 3), 128, dtype=torch.uint8)
    got = Normalise()(grey)
    assert tuple(got.shape) == (1, 3, 2, 2)
    assert got[0, :, 0, 0].tolist() == pytest.approx([0.0741, 0.2052, 0.4265], abs=1e-3)


def test_inception_sees_minus_one_to_one() -> None:
    black_and_white = torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 2, 1).expand(1, 1, 2, 3)
    seen = Recentre()(Normalise()(black_and_white))
    torch.testing.assert_close(seen, torch.tensor([-1.0, 1.0]).view(1, 1, 1, 2).expand(1, 3, 1, 2))


def test_a_network_of_ones_own_parts_needs_no_name() -> None:
    network = SceneNetwork(nn.Conv2d(3, 4, 3), 4, 2)
    assert network.architecture is None
    assert network.has_class_maps
    assert BundleGraph(network).outputs == ("logits", "embedding", "class_maps")


def test_dropout_is_what_was_asked_for() -> None:
    assert build("squeezenet1_1", 3, dropout=0.5).dropout.p == 0.5
