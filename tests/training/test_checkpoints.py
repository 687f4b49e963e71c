"""Weights are found by what a user calls them, and fit the network whole or not at all."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from torch import nn
from torchvision import models

from veduta.errors import BundleCorrupt, BundleNotFound, UsageError, WeightsError
from veduta.models.store import BUNDLED
from veduta.training.checkpoints import fit_weights, load_weights
from veduta.training.loop import train
from veduta.training.networks import SceneNetwork, build

from .made_weights import State, theirs

# --- fitting


@pytest.mark.parametrize(
    ("theirs_is", "asked"), [("mobilenet_v2", "resnet18"), ("resnet50", "resnet18"), ("densenet201", "densenet161")]
)
def test_weights_of_another_network_are_named_and_guessed(theirs_is: str, asked: str) -> None:
    with torch.device("meta"):
        state, network = models.get_model(theirs_is, weights=None).state_dict(), build(asked, 5)
    with pytest.raises(WeightsError, match=rf"does not fit {asked}: .*and \d+ more.*it looks like {theirs_is}\."):
        fit_weights(network, state, Path("w.pth"))


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        ("missing", r"1 tensor is missing \(features\.12\.squeeze\.bias\)"),
        ("extra", r"1 tensor is left over \(features\.99\.weight\)"),
        ("shape", r"1 tensor is of another shape \(features\.0\.bias \[2\], expected \[64\]\)"),
    ],
)
def test_each_kind_of_misfit_is_told_by_tensor(state: State, harm: str, sentence: str) -> None:
    changed = dict(state)
    match harm:
        case "missing":
            del changed["features.12.squeeze.bias"]
        case "extra":
            changed["features.99.weight"] = torch.ones(1)
        case _:
            changed["features.0.bias"] = torch.ones(2)
    network = build("squeezenet1_1", 9)
    before = network.features.state_dict()["0.weight"].clone()
    with pytest.raises(WeightsError, match=sentence):
        fit_weights(network, changed, Path("w.pth"))
    assert torch.equal(network.features.state_dict()["0.weight"], before), "a misfit changes nothing"


def test_another_number_of_classes_is_told_in_words(state: State) -> None:
    with pytest.raises(WeightsError, match="tells 9 classes apart, expected 5"):
        fit_weights(build("squeezenet1_1", 5), state, Path("w.pth"), classifier="keep")


def test_counters_of_batches_may_be_there_or_not() -> None:
    state = theirs("resnet18").state_dict()
    without = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    assert len(without) < len(state)
    fit_weights(build("resnet18", 5), without, Path("w.pth"))


# --- sources


def test_no_source_leaves_the_network_as_it_is() -> None:
    network = build("squeezenet1_1", 3)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    assert load_weights(network, None) is None
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_a_bundle_is_found_by_name_and_by_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEDUTA_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "models" / "mine"
    shutil.copytree(BUNDLED / "places100", folder)
    for source in ("mine", folder):
        origin = load_weights(build("mobilenet_v2_128", 5), source)
        assert origin is not None
        assert origin.path == folder / "weights.safetensors"
        assert origin.source.startswith("places100 (")
    for kin in ("mobilenet_v2", "mobilenet_v2_hypercolumns"):
        network = build(kin, 5)
        assert load_weights(network, "mine") is not None
        assert network.enlarge == 1
    with pytest.raises(WeightsError, match="places100 is a mobilenet_v2_128, the network to train a resnet18"):
        load_weights(build("resnet18", 2), "mine")
    (folder / "weights.safetensors").write_bytes(b"altered")
    with pytest.raises(BundleCorrupt, match="altered"):
        load_weights(build("mobilenet_v2_128", 2), "mine")


def test_the_best_epoch_of_a_run_starts_another_training(tiny: ModuleType, tmp_path: Path) -> None:
    photos = tiny.photos()
    trained = train(build("squeezenet1_1", 2), photos, photos, replace(tiny.SCHEDULE, epochs=1), tmp_path / "run")
    best = tmp_path / "run" / "best.pt"
    again = build("squeezenet1_1", 2)
    origin = load_weights(again, str(best), classifier="keep")
    assert origin is not None
    assert (origin.source, origin.path) == (str(best), best)
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in trained.state_dict().items())
    load_weights(build("squeezenet1_1", 5), best)
    with pytest.raises(WeightsError, match=r"does not fit resnet18: .*it looks like squeezenet1_1"):
        load_weights(build("resnet18", 2), best)


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    network = build("squeezenet1_1", 2)
    with pytest.raises(WeightsError, match=r"none\.pth: there is no such file"):
        load_weights(network, tmp_path / "none.pth")
    with pytest.raises(WeightsError, match=r"none\.pth: there is no such file"):
        load_weights(network, "none.pth")
    with pytest.raises(BundleNotFound, match="did you mean places100"):
        load_weights(network, "places10")


def test_a_network_that_was_not_built_by_name_is_refused(state: State) -> None:
    with pytest.raises(UsageError, match=r"networks\.build"):
        fit_weights(SceneNetwork(nn.Conv2d(3, 4, 1), 4, 2), state, Path("w.pth"))


def test_the_bundled_weights_start_a_training() -> None:
    network = build("mobilenet_v2_128", 100)
    origin = load_weights(network, "places100", classifier="keep")
    assert origin is not None
    assert np.isfinite(network.classifier.weight.detach().numpy()).all()


@pytest.mark.parametrize("name", ["mobilenet_v2", "squeezenet1_1"])
def test_the_shared_weights_fit_with_their_thousand_classes(shared_weights: Path, name: str) -> None:
    network = build(name, 1000)
    load_weights(network, shared_weights / f"{name}_imagenet.safetensors", classifier="keep")
    assert network.rectified == (name == "squeezenet1_1")
