"""Each network that has a name trains, keeps its statistics where asked to, and leaves as a graph saying the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from PIL import Image
from torch import Tensor, nn

import veduta
from veduta.errors import TrainingError
from veduta.images.preprocess import Preprocessing
from veduta.models.bundle import Head, write_bundle
from veduta.models.onnx_file import inspect_onnx
from veduta.models.session import Session
from veduta.records import Label
from veduta.training.architecture_facts import architecture_facts
from veduta.training.architectures import ARCHITECTURES, find_architecture
from veduta.training.batch_norms import rebase_statistics
from veduta.training.checkpoints import load_weights
from veduta.training.export import check_parity, export_graph, export_weights, round_to_half
from veduta.training.frozen_statistics import FoldedNetwork, fold, set_training
from veduta.training.networks import SceneNetwork, build
from veduta.training.normalise import Normalise
from veduta.training.photo_sets import PhotoSet
from veduta.training.taps import EvidenceModule

#: Those that train a step and come back within a few seconds; tests of the others are slow.
LIGHT = (
    "small_cnn",
    "mobilenet_v2",
    "squeezenet1_1",
    "mobilenetv4_conv_small",
    "convnext_tiny",
    "vit_small_patch14_dinov2",
    "resnet18",
    "pyramidnet50_a200",
    "alexnet",
)
#: Those of them that are exported in every run: an export takes a core some ten seconds.
EXPORTED = ("small_cnn",)

#: Another's network but for the photos' size, or for how often a block is repeated; an export would take a minute.
KIN = ("mobilenet_v2_128", "densenet161")


def fast(names: tuple[str, ...]) -> list[object]:
    """All networks by name, those that are not among ``names`` marked as slow."""
    others = [name for name in ARCHITECTURES if name not in KIN]
    return [name if name in names else pytest.param(name, marks=pytest.mark.slow) for name in others]


def side_of(name: str) -> int:
    """A small side that it takes."""
    chosen = ARCHITECTURES[name]
    return chosen.smallest + 32 if chosen.multiple == 1 else 4 * chosen.multiple


def pixels(count: int, height: int, width: int) -> np.ndarray:
    """Made photos, each of some large spots: noise would look the same to every network."""
    spots = np.random.default_rng(count + height).integers(0, 256, (count, 5, 5, 3), np.uint8)
    return np.stack(
        [np.asarray(Image.fromarray(each).resize((width, height), Image.Resampling.BICUBIC)) for each in spots]
    )


def lively(name: str, classes: int = 3, *, published_head: bool = False) -> SceneNetwork:
    """A network whose every layer counts: the scales of residuals, which begin at or next to 0, are large, and batch
    norms have the statistics of a batch.
    """
    torch.manual_seed(3)
    network = build(name, classes, dropout=0.0, published_head=published_head)
    with torch.no_grad():
        for key, parameter in network.named_parameters():
            if key.endswith(("gamma", "layer_scale")) or (key.endswith("weight") and not parameter.any()):
                parameter.fill_(0.3)
        norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = 1.0
        # Of photos larger than those of the tests: few positions give variances so small that answers explode.
        side = ARCHITECTURES[name].side if network.one_size else side_of(name) + 60
        network.train()(seen(8, side))
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
    return network


def seen(count: int, side: int) -> Tensor:
    """Made photos as features see them."""
    return Normalise()(torch.from_numpy(pixels(count, side, side)))


def step(model: nn.Module, images: Tensor) -> float:
    """One step of gradient descent; the loss before it."""
    model.zero_grad()
    loss = nn.functional.cross_entropy(model(images), torch.arange(len(images)) % 3)
    loss.backward()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert bool(parameter.grad.isfinite().all()), name
            parameter.sub_(1e-3 * parameter.grad / (1e-12 + parameter.grad.norm()))
    return loss.item()


@pytest.mark.parametrize("name", fast(LIGHT))
def test_each_learns_with_statistics_that_move_and_with_such_that_stay(name: str, tmp_path: Path) -> None:
    network = lively(name)
    images = seen(4, side_of(name))
    for frozen in (False, True):
        before = {key: value.clone() for key, value in network.state_dict().items()}
        model = fold(network, images) if frozen else network
        set_training(model, frozen_statistics=frozen)
        first = step(model, images)
        assert nn.functional.cross_entropy(model(images), torch.arange(4) % 3).item() < first
        after = network.state_dict()
        moved = {key for key in before if not torch.equal(before[key], after[key])}
        assert {key for key, _ in network.named_parameters()} <= moved
        statistics = {key for key in before if key.endswith(("running_mean", "running_var"))}
        assert not (statistics & moved) if frozen else statistics <= moved
    # What has learnt comes back from the file that a bundle keeps.
    round_to_half(network)
    (tmp_path / "weights.safetensors").write_bytes(export_weights(network))
    again = build(name, 3)
    load_weights(again, tmp_path / "weights.safetensors", classifier="keep")
    with torch.inference_mode():
        torch.testing.assert_close(again.eval()(images), network(images))


@pytest.mark.parametrize("name", fast(LIGHT))
def test_folded_it_answers_the_same_and_rebasing_changes_no_answer(name: str) -> None:
    network = lively(name).eval()
    images = seen(2, side_of(name))
    normed = any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    with torch.inference_mode():
        expected = network(images)
        scale = float(expected.abs().max())
        folded = fold(network, images)
        assert isinstance(folded, FoldedNetwork) == normed
        torch.testing.assert_close(folded(images), expected, atol=1e-4 * scale, rtol=1e-3)
    rebase_statistics(network, PhotoSet(pixels(6, side_of(name), side_of(name)), np.zeros(6, np.int64)))
    with torch.inference_mode():
        torch.testing.assert_close(network(images), expected, atol=1e-2 * scale, rtol=1e-2)


class Nearness(EvidenceModule):
    """Evidence of a kind: how small the features are, and how large the first logit."""

    def forward(self, pooled: list[Tensor], logits: Tensor) -> Tensor:
        return logits.amax(1) - pooled[0].square().mean(1)


@pytest.mark.parametrize("name", fast(EXPORTED))
def test_each_leaves_as_a_graph_that_says_the_same_of_any_number_and_size(name: str, tmp_path: Path) -> None:
    network = round_to_half(lively(name, 5))
    network.rectified = ARCHITECTURES[name].rectified
    side, graph = side_of(name), tmp_path / "model.onnx"
    graph.write_bytes(export_graph(network, side, evidence=Nearness()))
    outputs = {tensor.name: tensor.shape for tensor in inspect_onnx(graph, graph.read_bytes()).outputs}
    assert outputs["embedding"] == ("n", ARCHITECTURES[name].embedding_size)
    assert outputs["evidence"] == ("n",)
    assert (outputs["class_maps"] or ())[:2] == ("n", 5)
    # It also checks that the mean of the class maps is the logits.
    check_parity(network, graph, pixels(3, side, side), evidence=Nearness())
    check_parity(network, graph, pixels(1, side + 41, side + 90), evidence=Nearness())


def test_a_transformer_of_two_blocks_leaves_with_a_map_of_its_patches_that_explains(tmp_path: Path) -> None:
    network = round_to_half(lively("vit_small_patch14_dinov2"))
    network.features.blocks = network.features.blocks[:2]
    labels = tuple(Label(each, each) for each in ("beach", "forest", "kitchen"))
    bundle = write_bundle(
        tmp_path / "bundle",
        name="tokens",
        kind="classifier",
        graph=export_graph(network, 56),
        preprocessing=Preprocessing("crop", ((56, 56),), "bilinear", 56),
        heads=[Head("labels", "single_label", labels, "logits", "class_maps", True)],
        card="# tokens\n",
    )
    for height, width in ((56, 56), (70, 126), (61, 90)):
        check_parity(network, bundle.graph, pixels(2, height, width))
    found = Session(bundle.graph).run(pixels(1, 61, 90), ["class_maps"])["class_maps"]
    assert found.shape == (1, 3, 4, 6), "61 and 90 pixels are nearest to 4 and 6 patches"
    Image.fromarray(pixels(1, 300, 400)[0]).save(tmp_path / "photo.png")
    why = veduta.explain(veduta.load(bundle.path, threads=1), tmp_path / "photo.png", "forest")
    assert why.method == "class maps"
    assert (why.values.ndim, float(why.values.max())) == (2, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenetv4_conv_small", "convnext_tiny", "alexnet", "vgg16"])
def test_with_a_published_head_each_leaves_too_and_has_no_class_maps(name: str, tmp_path: Path) -> None:
    network = round_to_half(lively(name, published_head=True))
    head = ARCHITECTURES[name].published_head
    assert head is not None
    side, graph = ARCHITECTURES[name].side if head.one_size else side_of(name), tmp_path / "model.onnx"
    graph.write_bytes(export_graph(network, side))
    inspected = inspect_onnx(graph, graph.read_bytes())
    assert {tensor.name: tensor.shape for tensor in inspected.outputs} == {
        "logits": ("n", 3),
        "embedding": ("n", head.size),
    }
    check_parity(network, graph, pixels(2, side, side))
    if head.one_size:
        assert inspected.inputs[0].shape == ("n", side, side, 3)
    else:
        check_parity(network, graph, pixels(1, side + 41, side + 90))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_each_says_what_it_gives_and_the_least_side_that_it_takes(name: str) -> None:
    chosen = ARCHITECTURES[name]
    with torch.device("meta"):
        features = chosen.features().eval()
        found = features(torch.empty(1, 3, chosen.smallest, chosen.smallest))
        assert found.shape[:2] == (1, chosen.embedding_size)
        assert min(found.shape[2:]) >= 1
    with pytest.raises(TrainingError, match=rf"{name} sees photos from {chosen.smallest} pixels on"):
        chosen.check_side(chosen.smallest - 1)
    chosen.check_side(chosen.smallest)
    assert chosen.preprocessing.sizes == ((chosen.side, chosen.side),)


def test_a_side_that_patches_do_not_fill_is_refused_with_the_two_beside_it() -> None:
    chosen = find_architecture("vit_small_patch14_dinov2")
    chosen.check_side(224)
    with pytest.raises(TrainingError, match=r"cuts crops into patches of 14 pixels, and 128 .*; give 126 or 140\."):
        chosen.check_side(128, "crops")
    with pytest.raises(TrainingError, match=r"give 14 or 28\."):
        chosen.check_side(15)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("resnet51", "resnet50"),
        ("ResNet-50", "resnet50"),
        ("efficientnet_v2_s", "efficientnetv2_s"),
        ("dinov2", "vit_small_patch14_dinov2"),
        ("pyramidnet", "pyramidnet50_a200"),
        ("mobilenetv4", "mobilenetv4_conv_small"),
        ("inceptionresnetv2", "inception_resnet_v2"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(typed: str, meant: str) -> None:
    with pytest.raises(TrainingError, match=rf"no architecture '{typed}'; did you mean .*{meant}.*\?"):
        find_architecture(typed)


def test_a_name_like_none_is_refused_with_the_command_that_lists_them() -> None:
    with pytest.raises(TrainingError, match=r"no architecture 'qqq'; `veduta models architectures` lists all \d+\."):
        find_architecture("qqq")


def test_parameters_are_those_of_the_network_without_its_classifier() -> None:
    facts = {each.architecture.name: each for each in architecture_facts()}
    assert list(facts) == list(ARCHITECTURES)
    network = build("resnet18", 2)
    assert facts["resnet18"].parameters == sum(each.numel() for each in network.features.parameters())
    assert facts["resnet18"].published == ("places365-resnet18", "imagenet-resnet18")
    assert facts["small_cnn"].published == ()
