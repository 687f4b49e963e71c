from __future__ import annotations

import copy
from types import ModuleType

import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from torch import nn

from veduta.training.frozen_statistics import FoldedNetwork, fold, set_training
from veduta.training.networks import build

IMAGES = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_a_folded_network_answers_and_learns_as_the_plain_one(tiny: ModuleType) -> None:
    plain = tiny.network(dropout=0.0)
    twin = copy.deepcopy(plain)
    folded = fold(twin, IMAGES)
    assert isinstance(folded, FoldedNetwork)
    for network in (plain, folded):
        set_training(network, frozen_statistics=True)
        network(IMAGES).square().sum().backward()
    torch.testing.assert_close(folded(IMAGES), plain(IMAGES), atol=1e-5, rtol=1e-4)
    gradients = dict(plain.named_parameters())
    for name, parameter in twin.named_parameters():
        assert parameter.grad is not None, name
        torch.testing.assert_close(parameter.grad, gradients[name].grad, atol=1e-3, rtol=1e-3)


def test_it_has_the_parameters_and_statistics_of_the_network_and_no_others(tiny: ModuleType) -> None:
    network = tiny.network()
    keys = list(network.state_dict())
    folded = fold(network, IMAGES)
    assert [key.removeprefix("network.") for key in folded.state_dict()] == keys == list(network.state_dict())
    assert {id(p) for p in folded.parameters()} == {id(p) for p in network.parameters()}


def test_it_follows_the_weights_as_they_change(tiny: ModuleType) -> None:
    network = tiny.network(dropout=0.0)
    folded = fold(network, IMAGES)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    torch.testing.assert_close(folded.eval()(IMAGES), network.eval()(IMAGES), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("architecture", ["mobilenet_v2", "resnet18"])
def test_every_batch_norm_that_follows_a_convolution_is_folded(architecture: str) -> None:
    torch.manual_seed(0)
    network = build(architecture, 3).eval()
    folded = fold(network, IMAGES)
    assert isinstance(folded, FoldedNetwork)
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    assert len(folded._pairs) == norms
    with torch.no_grad():
        torch.testing.assert_close(folded(IMAGES), network(IMAGES), atol=1e-4, rtol=1e-3)


def test_a_convolution_whose_output_is_used_twice_is_left_alone() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
            nn.init.constant_(self.norm.weight, 3.0)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            convolved: torch.Tensor = self.convolution(images)
            return self.norm(convolved) + convolved

    network = Twice()
    assert fold(network, IMAGES) is network
    plain = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 2))
    assert fold(plain, IMAGES) is plain


def test_frozen_statistics_stay_while_the_rest_is_in_training_mode(tiny: ModuleType) -> None:
    network = tiny.network()
    folded = fold(network, IMAGES)
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    set_training(folded, frozen_statistics=True)
    assert folded.training
    assert network.dropout.training
    folded(IMAGES)
    network(IMAGES)
    for name, buffer in network.named_buffers():
        assert torch.equal(before[name], buffer), name
    set_training(network, frozen_statistics=False)
    network(IMAGES)
    assert any(not torch.equal(before[name], buffer) for name, buffer in network.named_buffers())


class _Dense(nn.Module):
    """As in a dense network: the second norm follows what was put together, and can't be folded."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.joint_norm = nn.BatchNorm2d(7)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        joint: torch.Tensor = self.joint_norm(torch.cat([images, self.norm(self.convolution(images))], 1))
        return joint


def test_norms_that_can_not_be_folded_are_at_rest_as_well() -> None:
    torch.manual_seed(0)
    network = _Dense()
    folded = fold(network, IMAGES)
    assert isinstance(folded, FoldedNetwork)
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    set_training(folded, frozen_statistics=True)
    answer = folded(IMAGES)
    for name, buffer in network.named_buffers():
        assert torch.equal(before[name], buffer), name
    torch.testing.assert_close(answer, network.eval()(IMAGES), atol=1e-5, rtol=1e-4)
