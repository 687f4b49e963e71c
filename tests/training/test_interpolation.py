from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from torch import Tensor, nn

from veduta.errors import TrainingError
from veduta.training.interpolation import interpolate


def features(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())


def trained_and_start() -> tuple[nn.Sequential, dict[str, Tensor]]:
    return features(1), copy.deepcopy(features(0).state_dict())


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_each_weight_lies_on_the_line_between_start_and_training(share: float) -> None:
    network, start = trained_and_start()
    trained = copy.deepcopy(network.state_dict())
    interpolate(network, start, share)
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(parameter.detach(), share * trained[name] + (1 - share) * start[name])


def test_statistics_that_the_training_changed_are_refused_and_nothing_is_moved() -> None:
    network, start = trained_and_start()
    network.train()(torch.randn(2, 3, 8, 8))
    before = copy.deepcopy(network.state_dict())
    with pytest.raises(TrainingError, match=r"1\.running_mean is no longer.*frozen_statistics"):
        interpolate(network, start, 0.5)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_another_networks_start_is_refused() -> None:
    network, start = trained_and_start()
    del start["0.bias"]
    with pytest.raises(TrainingError, match="of another network"):
        interpolate(network, start, 0.5)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    network, start = trained_and_start()
    with pytest.raises(TrainingError, match="from 0 to 1"):
        interpolate(network, start, share)
