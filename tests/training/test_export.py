from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from safetensors.torch import load
from torch import Tensor

from veduta.errors import TrainingError
from veduta.models.onnx_file import inspect_onnx
from veduta.training.export import check_parity, export_graph, export_weights, round_to_half
from veduta.training.networks import SceneNetwork, build
from veduta.training.taps import EvidenceModule

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), np.uint8)


class Nearness(EvidenceModule):
    """Evidence of a kind, from the features' means and the logits, with a constant of its own."""

    centre: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.linspace(-1, 1, size))

    def forward(self, pooled: list[Tensor], logits: Tensor) -> Tensor:
        return -pooled[0].square().mean(1) - (logits - self.centre).square().mean(1)


@pytest.fixture(scope="module")
def network() -> SceneNetwork:
    torch.manual_seed(3)
    return round_to_half(build("mobilenet_v2", 4))


@pytest.fixture(scope="module")
def graph(network: SceneNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graph") / "model.onnx"
    path.write_bytes(export_graph(network, 64, evidence=Nearness(4)))
    return path


def test_the_graph_says_what_torch_says(network: SceneNetwork, graph: Path) -> None:
    difference = check_parity(network, graph, PIXELS, evidence=Nearness(4))
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
    outputs = {tensor.name for tensor in inspect_onnx(graph, content).outputs}
    assert outputs == {"logits", "embedding", "class_maps", "evidence"}


def test_the_trainable_weights_are_those_of_the_network_with_batch_norms(network: SceneNetwork) -> None:
    weights = load(export_weights(network))
    state = network.state_dict()
    assert weights.keys() == state.keys()
    for key, value in weights.items():
        assert torch.equal(value.to(state[key].dtype), state[key]), key
    assert "features.0.1.running_mean" in weights


def test_other_evidence_is_refused(network: SceneNetwork, graph: Path) -> None:
    changed = Nearness(4)
    changed.centre += 1
    with pytest.raises(TrainingError, match="evidence by up to"):
        check_parity(network, graph, PIXELS, evidence=changed)


def test_a_side_too_small_for_the_network_is_refused() -> None:
    with pytest.raises(TrainingError, match="can't see images of 32 by 32 pixels"):
        export_graph(build("alexnet", 2), 32)


def test_a_number_too_large_for_float16_keeps_its_tensor_in_float32() -> None:
    network = build("squeezenet1_1", 2)
    with torch.no_grad():
        network.classifier.weight[0, 0] = 70_000
        network.classifier.weight[0, 1] = 1.0001
    round_to_half(network)
    assert network.classifier.weight[0, 1].item() == pytest.approx(1.0001, abs=1e-7)
    weights = load(export_weights(network))
    assert weights["classifier.weight"].dtype == torch.float32
    assert weights["classifier.bias"].dtype == torch.float16
