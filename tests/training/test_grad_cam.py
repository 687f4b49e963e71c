"""Grad-CAM, and that class maps agree with it where both exist."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from torch import nn

import veduta
from veduta.errors import UsageError
from veduta.explanation.saliency import map_preprocessing
from veduta.images.decode import decode
from veduta.images.preprocess import Preprocessing
from veduta.models.bundle import Bundle, Head, write_bundle
from veduta.records import Label
from veduta.training.checkpoints import read_checkpoint
from veduta.training.convert import convert
from veduta.training.export import export_graph, export_weights, round_to_half
from veduta.training.grad_cam import GradCam, grad_cam
from veduta.training.networks import SceneNetwork, build
from veduta.training.normalise import Normalise

from .made_weights import official

LABELS = (Label("a", "a"), Label("b", "b"))


def images(count: int, side: int) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (count, side, side, 3)).astype(np.uint8)


def features_of(network: SceneNetwork, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    with torch.inference_mode():
        found: NDArray[np.float32] = network.eval().features(Normalise(network.enlarge)(torch.tensor(pixels))).numpy()
    return found


def class_maps_without_bias(network: SceneNetwork, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Of all classes, ``[n, classes, h', w']``."""
    weight = network.classifier.weight.detach().numpy()
    maps: NDArray[np.float32] = np.einsum("ck,nkij->ncij", weight, features_of(network, pixels))
    return maps


def assert_equal_maps(found: NDArray[np.float64], expected: NDArray[np.floating], tolerance: float = 1e-4) -> None:
    assert found.shape == expected.shape
    assert found.max() > 0
    assert np.abs(found - expected).max() <= tolerance * expected.max()


@pytest.mark.parametrize("enlarge", [1.0, 1.75])
def test_behind_pooling_and_a_linear_layer_it_is_the_rectified_class_map_by_its_positions(
    tiny: ModuleType, enlarge: float
) -> None:
    network = tiny.network(3)
    network.enlarge = enlarge
    pixels = images(6, 32)
    labels = [0, 1, 2, 2, 1, 0]
    maps = class_maps_without_bias(network, pixels)[range(6), labels]
    side = round(8 * enlarge)
    assert maps.shape == (6, side, side)
    assert_equal_maps(grad_cam(network, pixels, labels), np.maximum(maps, 0) / side**2)


def test_features_that_are_a_grid_of_tokens_have_class_maps_that_agree_with_it() -> None:
    torch.manual_seed(0)
    network = build("vit_small_patch14_dinov2", 2)
    pixels = images(2, 56)
    maps = class_maps_without_bias(network, pixels)[range(2), [0, 1]]
    assert_equal_maps(grad_cam(network, pixels, [0, 1]), np.maximum(maps, 0) / 16)


def test_behind_a_rectified_classifier_only_positions_that_count_have_gradients(tiny: ModuleType) -> None:
    network = tiny.network()
    network.rectified = True
    pixels = images(4, 32)
    plain = class_maps_without_bias(network, pixels)[:, 1]
    counting = (plain + network.classifier.bias.detach().numpy()[1] > 0).sum((1, 2))
    assert 0 < counting.min() < 64
    found = grad_cam(network, pixels, [1] * 4)
    assert_equal_maps(found, np.maximum(plain, 0) * counting[:, None, None] / 64**2)


def test_through_hidden_layers_it_is_the_paper_s_formula_worked_out_by_hand(tiny: ModuleType) -> None:
    base = tiny.network(3)
    hidden = nn.Linear(12 * 64, 20)
    network = SceneNetwork(base.features, 20, 3, head=nn.Sequential(nn.Flatten(), hidden, nn.ReLU()))
    pixels, labels = images(5, 32), [0, 1, 2, 0, 1]
    features = features_of(network, pixels)
    first, last = hidden.weight.detach().numpy(), network.classifier.weight.detach().numpy()
    active = features.reshape(5, -1) @ first.T + hidden.bias.detach().numpy() > 0
    gradients = ((last[labels] * active) @ first).reshape(features.shape)
    weights = gradients.mean((2, 3), keepdims=True)
    assert_equal_maps(grad_cam(network, pixels, labels), np.maximum((weights * features).sum(1), 0))


def test_it_is_empty_where_all_of_the_photo_speaks_against_the_class(tiny: ModuleType) -> None:
    network = tiny.network()
    with torch.no_grad():
        network.classifier.weight[1] = -network.classifier.weight[1].abs()
    assert not grad_cam(network, images(2, 32), [1, 1]).any()


def test_each_photo_has_the_map_that_it_has_alone(tiny: ModuleType) -> None:
    network, pixels = tiny.network(), images(3, 32)
    together = grad_cam(network, pixels, [0, 1, 1])
    for index, label in enumerate([0, 1, 1]):
        alone = grad_cam(network, pixels[index : index + 1], [label])[0]
        assert np.allclose(together[index], alone, atol=1e-6 * together.max())


def test_neither_training_mode_nor_no_grad_around_it_changes_a_map(tiny: ModuleType) -> None:
    network, pixels = tiny.network(dropout=0.9), images(2, 32)
    expected = grad_cam(network, pixels, [0, 1])
    with torch.no_grad():
        assert np.array_equal(grad_cam(network.train(), pixels, [0, 1]), expected)
    assert all(parameter.grad is None for parameter in network.parameters())


def test_class_maps_of_the_bundled_graph_agree_with_it_on_real_photos(shared_data: Path) -> None:
    tagger = veduta.load(threads=1)
    bundle = tagger.bundle
    maker, wanted = GradCam(bundle, threads=1), map_preprocessing(bundle)
    assert bundle.weights is not None
    bias = read_checkpoint(bundle.weights)["classifier.bias"].numpy()
    for photo in sorted((shared_data / "samples_cc0").iterdir())[::2]:
        pixels = np.asarray(decode(photo.read_bytes(), [wanted]).inputs[0], dtype=np.uint8)[None]
        found = tagger.session.run(pixels, ["logits", "class_maps"])
        # The most and the least probable class: of the last one, only little is left after the ReLU.
        for label in found["logits"][0].argsort()[[-1, -2, 0]]:
            maps = found["class_maps"][0, label] - bias[label]
            mine = maker.maps(pixels, [int(label)])[0]
            scale = np.abs(maps).max() / maps.size
            assert np.abs(mine - np.maximum(maps, 0) / maps.size).max() <= 1e-3 * scale, photo.name
        by_gradients = veduta.explain(tagger, photo, method=maker)
        by_class_maps = veduta.explain(tagger, photo)
        assert by_gradients.method == "grad-cam"
        assert by_gradients.label == by_class_maps.label
        # What is shown has the bias in it.
        assert np.abs(by_gradients.values - by_class_maps.values).max() < 0.02


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A model of the small network whose two classes do not compete."""
    torch.manual_seed(4)
    network = round_to_half(build("small_cnn", 2))
    return write_bundle(
        tmp_path_factory.mktemp("models") / "small",
        name="small",
        kind="classifier",
        graph=export_graph(network, 64),
        preprocessing=Preprocessing("crop", ((64, 64),), "bilinear", 64),
        heads=[Head("labels", "multi_label", LABELS, "logits", "class_maps", True)],
        card="A network for tests.",
        architecture="small_cnn",
        weights=export_weights(network),
    )


def test_a_model_of_many_labels_is_explained_label_by_label(small: Bundle) -> None:
    tagger, maker, photo = veduta.load(small.path, threads=1), GradCam(small), Image.fromarray(images(1, 96)[0])
    assert small.weights is not None
    bias = read_checkpoint(small.weights)["classifier.bias"].numpy()
    maps = tagger.session.run(np.asarray(photo)[None], ["class_maps"])["class_maps"][0] - bias[:, None, None]
    assert (maps.max((1, 2)) > 0).any()
    for index, label in enumerate(("a", "b")):
        found = veduta.explain(tagger, photo, label, method=maker)
        assert (found.label.label.id, found.method) == (label, "grad-cam")
        expected = np.maximum(maps[index], 0)
        expected -= expected.min()
        assert np.allclose(found.values, expected / max(expected.max(), 1e-9), atol=1e-3)


def test_a_model_without_weights_is_refused_with_the_way_that_it_has(small: Bundle) -> None:
    with pytest.raises(UsageError, match=r"small: lacks weights.safetensors.*the method auto, which takes class maps"):
        GradCam(replace(small, has_weights=False))
    blind = replace(small, has_weights=False, heads=(replace(small.heads[0], class_maps=None),))
    with pytest.raises(UsageError, match="which takes occlusion here"):
        GradCam(blind)


def test_maps_of_one_model_are_not_shown_for_another(small: Bundle) -> None:
    maker = GradCam(small)
    with pytest.raises(UsageError, match=r"made for another model than .*places100"):
        veduta.explain(veduta.load(threads=1), Image.fromarray(images(1, 96)[0]), method=maker)


@pytest.mark.slow
def test_an_imported_network_with_hidden_layers_has_maps_by_gradients_and_by_occlusion(
    tmp_path: Path, store: Path
) -> None:
    (tmp_path / "w.pth").write_bytes(official("alexnet", 2))
    convert(tmp_path / "w.pth", architecture="alexnet", labels=LABELS, name="alex")
    tagger, photo = veduta.load("alex", threads=1), Image.fromarray(images(1, 224)[0])
    found = veduta.explain(tagger, photo, "b", method=GradCam(tagger.bundle))
    assert found.method == "grad-cam"
    assert found.values.shape == (6, 6)
    assert veduta.explain(tagger, photo, "b").method == "occlusion"
    with pytest.raises(UsageError, match="no class maps; choose the method occlusion, grad-cam, or auto"):
        veduta.explain(tagger, photo, "b", method="class maps")
