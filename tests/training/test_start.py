from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from veduta.errors import TrainingError, UsageError
from veduta.training import start
from veduta.training.checkpoints import Origin
from veduta.training.execution import Execution
from veduta.training.networks import SceneNetwork
from veduta.training.start import architecture_for, start_network


@pytest.fixture(autouse=True)
def no_download(store: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what would have been downloaded."""
    asked: list[str] = []
    monkeypatch.setattr(start, "fetch_weights", asked.append)

    def load(_network: SceneNetwork, source: Path | str | None) -> Origin | None:
        return None if source is None else Origin(str(source), Path("weights.pth"), "0" * 64)

    monkeypatch.setattr(start, "load_weights", load)
    return asked


@pytest.mark.parametrize(
    ("asked", "weights", "expected"),
    [
        (None, None, "mobilenet_v2"),
        ("resnet18", None, "resnet18"),
        (None, "hub", "mobilenet_v2"),
        ("resnet18", "hub", "resnet18"),
        (None, "hub:places365-resnet50", "resnet50"),
        ("resnet50", "hub:places365-resnet50", "resnet50"),
        (None, "weights.safetensors", "mobilenet_v2"),
    ],
)
def test_the_network_is_known_before_anything_is_downloaded(
    no_download: list[str], asked: str | None, weights: str | None, expected: str
) -> None:
    assert architecture_for(asked, weights) == expected
    assert no_download == []


def test_networks_that_do_not_fit_are_refused_before_a_download(no_download: list[str]) -> None:
    with pytest.raises(UsageError, match="has the weights of a resnet50, and the network to train is a resnet18"):
        architecture_for("resnet18", "hub:places365-resnet50")
    with pytest.raises(UsageError, match="did you mean"):
        architecture_for(None, "hub:places365-resnet5")
    with pytest.raises(TrainingError, match="no architecture 'lenet'"):
        architecture_for("lenet", "hub")
    assert no_download == []


def test_a_download_is_told_unless_the_file_is_here(no_download: list[str], tmp_path: Path) -> None:
    notes: list[str] = []
    network, origin = start_network("squeezenet1_1", 3, "hub", 0, Execution(), notes.append)
    assert no_download == ["imagenet-squeezenet1_1"]
    assert notes == ["downloading squeezenet1_1-b8a52dc0.pth (5 MB)"]
    assert origin is not None
    (tmp_path / "cache" / "downloads").mkdir(parents=True)
    (tmp_path / "cache" / "downloads" / "squeezenet1_1-b8a52dc0.pth").write_bytes(b"here")
    again, _ = start_network("squeezenet1_1", 3, "hub", 0, Execution(), notes.append)
    assert len(notes) == 1
    assert torch.equal(network.classifier.weight, again.classifier.weight), "the seed decides the fresh weights"
    none, nowhere = start_network("squeezenet1_1", 3, None, 1, Execution(), notes.append)
    assert nowhere is None
    assert not torch.equal(network.classifier.weight, none.classifier.weight)
