from __future__ import annotations

from types import ModuleType

import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from torch import nn

from veduta.training.batches import Share
from veduta.training.dropout import SharedDropout, share_dropout


def test_two_processes_drop_what_one_would() -> None:
    values = torch.rand(6, 50) + 0.1
    torch.manual_seed(3)
    whole = SharedDropout(0.3, Share())(values)
    parts = []
    for rank in range(2):
        torch.manual_seed(3)
        parts.append(SharedDropout(0.3, Share(rank, 2))(values[3 * rank : 3 * rank + 3]))
    assert torch.equal(torch.cat(parts), whole)


def test_the_share_is_dropped_and_the_mean_stays() -> None:
    torch.manual_seed(0)
    dropped = SharedDropout(0.2, Share())(torch.ones(100, 1000))
    assert (dropped == 0).float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.01)
    assert set(dropped.unique().tolist()) == {0.0, 1.25}


def test_at_rest_or_without_a_share_nothing_changes() -> None:
    values = torch.rand(2, 3)
    assert SharedDropout(0.5, Share()).eval()(values) is values
    assert SharedDropout(0.0, Share())(values) is values
    assert (SharedDropout(1.0, Share())(values) == 0).all()


def test_every_dropout_of_a_network_is_replaced_and_no_key_changes(tiny: ModuleType) -> None:
    network = tiny.network(dropout=0.4)
    keys = list(network.state_dict())
    share_dropout(network, Share())
    found = [module for module in network.modules() if isinstance(module, nn.Dropout)]
    assert [type(module) for module in found] == [SharedDropout]
    assert found[0].p == 0.4
    assert list(network.state_dict()) == keys
