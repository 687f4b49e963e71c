"""Training the last blocks alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from torch import nn

from veduta.errors import TrainingError
from veduta.training.batch_norms import rebase_statistics
from veduta.training.freezing import blocks_of, freeze
from veduta.training.frozen_statistics import set_training
from veduta.training.loop import train
from veduta.training.networks import SceneNetwork, build


@pytest.mark.parametrize(
    ("architecture", "count", "last"),
    [
        ("mobilenet_v2", 19, "Conv2dNormActivation"),
        ("resnet18", 9, "BasicBlock"),
        ("squeezenet1_1", 9, "Fire"),
        pytest.param("densenet201", 102, "_DenseLayer", marks=pytest.mark.slow),
        pytest.param("inception_v3", 16, "InceptionE", marks=pytest.mark.slow),
    ],
)
def test_the_blocks_of_a_network_are_what_it_repeats(architecture: str, count: int, last: str) -> None:
    network = build(architecture, 2)
    blocks = blocks_of(network)
    assert len(blocks) == count
    assert type(blocks[-1][0]).__name__ == last
    covered = {id(p) for block in blocks for module in block for p in module.parameters()}
    own = {id(parameter) for parameter in network.classifier.parameters()}
    assert covered | own == {id(parameter) for parameter in network.parameters()}
    assert not covered & own


class _Stage(nn.Module):
    """As timm puts its networks together: blocks below a module of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.downsample = nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1))
        self.blocks = nn.Sequential(_Residual())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.blocks(self.downsample(images))
        return answer


class _Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))


class _Theirs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.zeros(4))
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU())
        self.stages = nn.Sequential(_Stage(), _Stage())
        self.norm = nn.BatchNorm2d(4)


class _Wrapper(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network = _Theirs()


def test_blocks_are_found_below_modules_of_another_library() -> None:
    network = SceneNetwork(_Wrapper(), 4, 2)
    named = [[type(module).__name__ for module in block] for block in blocks_of(network)]
    assert named == [
        ["Conv2d", "BatchNorm2d", "ReLU", "BatchNorm2d"],
        ["Conv2d"],
        ["_Residual", "BatchNorm2d"],
        ["Conv2d"],
        ["_Residual", "BatchNorm2d"],
    ]
    freeze(network, 1)
    learning = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert all(
        name.startswith(("features.network.stages.1.blocks.", "features.network.norm.", "classifier."))
        for name in learning
    )
    freeze(network, 5)
    assert all(parameter.requires_grad for parameter in network.parameters()), "what is in no block learns with all"


@pytest.mark.parametrize("frozen_statistics", [True, False], ids=["folded", "statistics-of-batches"])
@pytest.mark.parametrize("last", [0, 1])
def test_what_is_frozen_stays_to_the_bit_and_the_rest_learns(
    tiny: ModuleType, tmp_path: Path, last: int, frozen_statistics: bool
) -> None:
    photos = tiny.photos()
    network: SceneNetwork = tiny.network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    # Weight decay and averaging touch every weight that they are given.
    schedule = replace(tiny.SCHEDULE, train_last=last, frozen_statistics=frozen_statistics, weight_decay=0.5)
    trained = train(network, photos, photos, schedule, tmp_path)
    rebase_statistics(trained, photos)
    changed = {name for name, tensor in trained.state_dict().items() if not torch.equal(tensor, before[name])}
    learning = ("classifier.", "features.3.", "features.4.")[: 3 if last else 1]
    assert {name for name in changed if not name.startswith(learning)} == set()
    assert {"classifier.weight", "classifier.bias"} <= changed
    assert ("features.3.weight" in changed) == (last == 1)
    checkpoint = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    for name, tensor in before.items():
        if not name.startswith(learning):
            assert torch.equal(checkpoint["network"][name], tensor), name
            assert torch.equal(checkpoint["averaged"][f"module.{name}"], tensor), name


def test_frozen_parts_take_no_part_in_the_way_back(tiny: ModuleType) -> None:
    network: SceneNetwork = tiny.network()
    freeze(network, 1)
    set_training(network, frozen_statistics=False)
    seen: list[bool] = []
    network.features[2].register_forward_hook(lambda _module, _inputs, output: seen.append(output.requires_grad))
    network(torch.rand(4, 3, 32, 32)).sum().backward()
    assert seen == [False], "no gradient is kept for what does not learn"
    assert network.features[0].weight.grad is None
    assert network.features[3].weight.grad is not None


@pytest.mark.parametrize("last", [0, 1, 2])
def test_a_stopped_run_that_trains_the_last_blocks_goes_on_to_the_same_weights(
    tiny: ModuleType, tmp_path: Path, last: int
) -> None:
    photos, schedule = tiny.photos(), replace(tiny.SCHEDULE, train_last=last)
    whole = train(tiny.network(), photos, photos, schedule, tmp_path / "whole")

    def stop(step: int, _steps: int, _loss: float) -> None:
        if step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tiny.network(), photos, photos, schedule, tmp_path / "cut", on_step=stop)
    resumed = train(tiny.network(), photos, photos, schedule, tmp_path / "cut")
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_more_blocks_than_there_are_get_a_sentence_before_any_work(tiny: ModuleType, tmp_path: Path) -> None:
    photos = tiny.photos()
    with pytest.raises(
        TrainingError, match=r"the last 3 blocks can't be trained, for the network has 2; give 0 .* to 2"
    ):
        train(tiny.network(), photos, photos, replace(tiny.SCHEDULE, train_last=3), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(TrainingError, match="mobilenet_v2 has 19"):
        freeze(build("mobilenet_v2", 2), 20)
    with pytest.raises(TrainingError, match="train_last is -1"):
        replace(tiny.SCHEDULE, train_last=-1)


def test_a_run_of_all_layers_is_not_gone_on_with_by_the_last_alone(tiny: ModuleType, tmp_path: Path) -> None:
    photos = tiny.photos()
    train(tiny.network(), photos, photos, tiny.SCHEDULE, tmp_path)
    with pytest.raises(TrainingError, match="begun with train_last None, not 1"):
        train(tiny.network(), photos, photos, replace(tiny.SCHEDULE, train_last=1), tmp_path)
    # Checkpoints of before train_last was there trained all layers.
    old = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    del old["schedule"]["train_last"]
    torch.save(old, tmp_path / "checkpoint.pt")
    train(tiny.network(), photos, photos, tiny.SCHEDULE, tmp_path)
    with pytest.raises(TrainingError, match="begun with train_last None, not 1"):
        train(tiny.network(), photos, photos, replace(tiny.SCHEDULE, train_last=1), tmp_path)
