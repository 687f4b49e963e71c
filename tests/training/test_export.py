from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from safetensors.torch import load

from veduta.errors import TrainingError
from veduta.models.onnx_file import inspect_onnx
from veduta.training.export import check_parity, export_graph, export_weights, round_to_half
from veduta.training.networks import SceneNetwork, build

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), np.uint8)


@pytest.fixture(scope="module")
def network() -> SceneNetwork:
    torch.manual_seed(3)
    return round_to_half(build("mobilenet_v2", 4))


@pytest.fixture(scope="module")
def graph(network: SceneNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graph") / "model.onnx"
    path.write_bytes(export_graph(network, 64))
    return path


def test_the_graph_says_what_torch_says(network: SceneNetwork, graph: Path) -> None:
    difference = check_parity(network, graph, PIXELS)
    print(f"largest difference of logits: {difference:.2e}")


def test_the_graph_takes_any_number_and_size(network: SceneNetwork, graph: Path) -> None:
    check_parity(network, graph, np.zeros((3, 96, 128, 3), np.uint8))


def test_a_graph_of_other_weights_is_refused(graph: Path) -> None:
    torch.manual_seed(4)
    other = round_to_half(build("mobilenet_v2", 4))
    with torch.no_grad():
        other.classifier.bias += 1
    with pytest.raises(TrainingError, match="disagrees"):
        check_parity(other, graph, PIXELS)


def test_large_weights_are_stored_as_float16_and_nothing_of_this_machine_is(graph: Path) -> None:
    content = graph.read_bytes()
    assert len(content) < 5_500_000
    assert str(Path.cwd()).encode() not in content
    assert {tensor.name for tensor in inspect_onnx(graph, content).outputs} == {"logits", "embedding", "class_maps"}


def test_the_trainable_weights_are_those_of_the_network_with_batch_norms(network: SceneNetwork) -> None:
    weights = load(export_weights(network))
    state = network.state_dict()
    assert weights.keys() == state.keys()
    for key, value in weights.items():
        assert torch.equal(value.to(state[key].dtype), state[key]), key
    assert "features.0.1.running_mean" in weights
