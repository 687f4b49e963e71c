"""Two towers: their grids agree at every size, either varies alike, and the file's first layer means the same."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

import onnx

from veduta.errors import BundleCorrupt, TrainingError
from veduta.training.networks import build
from veduta.training.normalise import Normalise
from veduta.training.towers import EMBEDDING_SIZES, LeakySqueezeNet, TwoTowers, load_places365_squeezenet

_ENDS = [[onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1])] for name in ("images", "logits")]
SQUEEZENET = "../weights/places365_squeezenet.onnx"


@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 65), (64, 100), (127, 96)])
def test_the_maps_of_both_towers_have_one_grid_at_any_size(height: int, width: int) -> None:
    with torch.inference_mode():
        maps = TwoTowers().eval()(torch.zeros(1, 3, height, width))
    assert maps.shape == (1, sum(EMBEDDING_SIZES), math.ceil(height / 32), math.ceil(width / 32))


def test_balanced_towers_vary_alike() -> None:
    torch.manual_seed(0)
    towers = TwoTowers().eval()
    embeddings = torch.cat([torch.randn(50, 1280) * 7, torch.randn(50, 512) / 9], 1)
    towers.set_balance(embeddings)
    things, places = torch.split(embeddings, list(EMBEDDING_SIZES), 1)
    assert (things * towers.balance[0]).std().item() == pytest.approx(0.5, rel=1e-4)
    assert (places * towers.balance[1]).std().item() == pytest.approx(0.5, rel=1e-4)


def test_photos_are_enlarged_inside_the_network_of_the_bundle_and_stay_within_their_range() -> None:
    network = build("two_towers", 3)
    grey = torch.full((1, 128, 96, 3), 200, dtype=torch.uint8)
    planes = Normalise(network.enlarge)(grey)
    assert planes.shape == (1, 3, 160, 120)
    assert torch.allclose(planes, Normalise()(grey)[:, :, :1, :1].expand_as(planes), atol=1e-5)


def test_the_first_layer_of_the_file_means_the_same_over_normalised_planes(shared_data: Path) -> None:
    network = LeakySqueezeNet()
    load_places365_squeezenet(network, shared_data / SQUEEZENET)
    tensors = {
        each.name: onnx.numpy_helper.to_array(each) for each in onnx.load(shared_data / SQUEEZENET).graph.initializer
    }
    as_stored = copy.deepcopy(network.first)
    with torch.no_grad():
        as_stored.weight.copy_(torch.from_numpy(tensors["onnx::Conv_279"].copy()))
        as_stored.bias.copy_(torch.from_numpy(tensors["onnx::Conv_280"].copy()))
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 20, 24, 3), np.uint8))
    mean = torch.from_numpy(tensors["mean"].copy())
    bgr = (pixels.permute(0, 3, 1, 2).flip(1).float() - mean) / 255
    with torch.inference_mode():
        expected, got = as_stored(bgr), network.first(Normalise()(pixels))
    # The padding differs: there a zero is the mean of the one or of the other.
    assert torch.allclose(got[:, :, 1:-1, 1:-1], expected[:, :, 1:-1, 1:-1], atol=1e-4)


def test_another_network_and_a_file_that_is_none_are_refused_by_name(tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["images"], ["logits"])], "other", *_ENDS)
    onnx.save(onnx.helper.make_model(graph), other)
    with pytest.raises(TrainingError, match=r"other\.onnx does not hold a SqueezeNet"):
        load_places365_squeezenet(LeakySqueezeNet(), other)
    with pytest.raises(TrainingError, match=r"absent\.onnx are not there"):
        load_places365_squeezenet(LeakySqueezeNet(), tmp_path / "absent.onnx")
    (tmp_path / "page.onnx").write_text("<html>")
    with pytest.raises(BundleCorrupt, match=r"page\.onnx"):
        load_places365_squeezenet(LeakySqueezeNet(), tmp_path / "page.onnx")
