from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from torch import Tensor, nn

from veduta.errors import MissingExtra, TrainingError, UsageError
from veduta.training import execution as executing
from veduta.training.batches import Share
from veduta.training.execution import Execution, choose_precision, first_alone, launch

CPU = torch.device("cpu")


class Moved(nn.Module):
    """Remembers the devices that it was moved to, and those of the images that it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 2, 3)
        self.to_devices: list[object] = []
        self.seen: set[torch.device] = set()

    def to(self, *given: object, **named: object) -> Moved:
        self.to_devices += given
        return super().to(*given, **named)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        self.seen.add(images.device)
        assert images.device == self.layer.weight.device
        found: Tensor = self.layer(images)
        return found


@pytest.mark.parametrize(
    "device",
    [
        CPU,
        pytest.param(
            torch.device("cuda", 0),
            marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here"),
        ),
    ],
    ids=str,
)
def test_the_trial_happens_on_the_device_that_will_train(device: torch.device) -> None:
    network = Moved()
    choose_precision(network, torch.zeros(2, 3, 8, 8), device)
    assert network.to_devices == [device]
    assert network.seen == {device}


def test_the_device_is_chosen_before_the_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[torch.device] = []

    def choose(_network: nn.Module, _images: Tensor, device: torch.device) -> tuple[str, str]:
        asked.append(device)
        return "bfloat16", "made up"

    monkeypatch.setattr(executing, "choose_precision", choose)
    notes: list[str] = []
    execution = Execution(precision="auto")
    fabric, chosen = launch(execution, Share(), Moved(), torch.zeros(2, 3, 8, 8), None, tmp_path, notes.append)
    assert asked == [fabric.device]
    assert chosen == "bfloat16"
    assert notes == ["bfloat16: made up"]
    assert "bf16" in str(fabric._precision.precision)


def test_the_values_of_a_network_survive_the_trial(tiny: ModuleType) -> None:
    network = tiny.network().train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    choose_precision(network, torch.rand(4, 3, 32, 32), CPU)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_one_process_just_works_and_its_error_is_its_own() -> None:
    done: list[int] = []
    first_alone(Execution(), Share(), lambda: done.append(1))
    assert done == [1]

    def fails() -> None:
        raise UsageError("no")

    with pytest.raises(UsageError, match="no"):
        first_alone(Execution(), Share(), fails)


def test_a_missing_tensorboard_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_given: object, **_named: object) -> None:
        raise ModuleNotFoundError("tensorboard")

    monkeypatch.setattr(executing, "TensorBoardLogger", absent)
    with pytest.raises(MissingExtra, match=r"veduta\[train\]"):
        executing.event_writer(tmp_path)


@pytest.mark.parametrize("wrong", [{"precision": "half"}, {"workers": 0}, {"threads": 0}], ids=str)
def test_settings_that_can_not_be_meant_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(TrainingError):
        Execution(**wrong)  # type: ignore[arg-type]
