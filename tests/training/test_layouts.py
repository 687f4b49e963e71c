"""Each tensor of somebody's weights finds its place in our network, which then answers as theirs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

import timm
from torchvision import models

from veduta.training.checkpoints import fit_weights, load_weights
from veduta.training.export import export_weights
from veduta.training.layouts import fit, guess, shapes
from veduta.training.networks import ARCHITECTURES, build

from .made_weights import State, same_answers, theirs

#: The networks that torchvision has under the same name.
OFFICIAL = [name for name in ARCHITECTURES if name in models.list_models()]
SMALL = ("mobilenet_v2", "squeezenet1_1", "resnet18")


def find_their_places(name: str, state: State) -> None:
    """Each tensor of the network is there in its shape, and none is left over."""
    fitted = fit(state, ARCHITECTURES[name], shapes(name))
    assert fitted.left_over == ()
    assert {key: value.shape for key, value in fitted.tensors.items()} == shapes(name)


@pytest.mark.parametrize(
    "name",
    [
        name if name in SMALL else pytest.param(name, marks=pytest.mark.slow)
        for name in OFFICIAL
        if name not in ("vgg16", "vgg19")  # half a gigabyte each; their keys are checked without their numbers below
    ],
)
def test_torchvisions_weights_give_torchvisions_answers(name: str) -> None:
    network = theirs(name)
    ours = build(name, 1000)
    fit_weights(ours, network.state_dict(), Path("w.pth"), classifier="keep")
    same_answers(ours, network, max(96, ARCHITECTURES[name].smallest))


@pytest.mark.parametrize("name", ["vgg16", "vgg19"])
def test_the_tensors_of_vgg_have_their_places_in_both_layouts(name: str) -> None:
    with torch.device("meta"):
        find_their_places(name, models.get_model(name, weights=None).state_dict())
        find_their_places(name, timm.create_model(name).state_dict())


@pytest.mark.slow
def test_timms_vgg_gives_timms_answers() -> None:
    torch.manual_seed(3)
    network = timm.create_model("vgg16", num_classes=4).eval()
    ours = build("vgg16", 4)
    fit_weights(ours, network.state_dict(), Path("w.pth"), classifier="keep")
    same_answers(ours, network, 224)


def test_timms_mobilenet_gives_timms_answers() -> None:
    torch.manual_seed(3)
    network = timm.create_model("mobilenetv2_100").eval()
    ours = build("mobilenet_v2", 1000)
    fit_weights(ours, network.state_dict(), Path("w.pth"), classifier="keep")
    same_answers(ours, network, 96)


def test_timms_resnet_is_torchvisions() -> None:
    network = timm.create_model("resnet18").eval()
    ours = build("resnet18", 1000)
    fit_weights(ours, network.state_dict(), Path("w.pth"), classifier="keep")
    same_answers(ours, network, 64)


@pytest.mark.slow
def test_timms_inception_sees_what_it_was_trained_on() -> None:
    # timm normalises to [-1, 1] before the network, torchvision within it.
    torch.manual_seed(4)
    network = timm.create_model("inception_v3").eval()
    ours = build("inception_v3", 1000)
    fit_weights(ours, network.state_dict(), Path("w.pth"), classifier="keep")
    mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in [(0.485, 0.456, 0.406), (0.229, 0.224, 0.225)])
    pixels = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(6))
    with torch.inference_mode():
        expected, found = network(pixels * 2 - 1), ours.eval()((pixels - mean) / std)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("name", ["densenet161", "densenet201"])
def test_old_names_of_dense_layers_find_their_places(name: str) -> None:
    with torch.device("meta"):
        new = models.get_model(name, weights=None).state_dict()
    old = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", key): value for key, value in new.items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    find_their_places(name, old)


def test_our_own_weights_fit_again_rectified_or_not(tmp_path: Path) -> None:
    for rectified in (False, True):
        network = build("squeezenet1_1", 6)
        network.rectified = rectified
        (tmp_path / "w.safetensors").write_bytes(export_weights(network))
        again = build("squeezenet1_1", 6)
        load_weights(again, tmp_path / "w.safetensors", classifier="keep")
        assert again.rectified is rectified
        torch.testing.assert_close(again.classifier.weight, network.classifier.weight, rtol=1e-3, atol=1e-4)


def test_a_fresh_classifier_is_left_as_it_was_and_all_else_is_taken_over() -> None:
    state = theirs("resnet18").state_dict()
    network = build("resnet18", 7)
    before = network.classifier.weight.clone()
    fit_weights(network, state, Path("w.pth"))
    assert (network.classifier.weight == before).all()
    assert torch.equal(network.state_dict()["features.layer3.1.bn2.running_var"], state["layer3.1.bn2.running_var"])


def test_inceptions_auxiliary_head_is_left_out() -> None:
    with torch.device("meta"):
        state = models.inception_v3(weights=None, init_weights=False).state_dict()
    assert any(key.startswith("AuxLogits") for key in state)
    find_their_places("inception_v3", state)


def test_squeezenet_for_new_classes_is_pooling_and_a_linear_layer() -> None:
    network = build("squeezenet1_1", 3)
    fit_weights(network, theirs("squeezenet1_1").state_dict(), Path("w.pth"))
    assert not network.rectified
    images = torch.randn(1, 3, 64, 64)
    network.eval()
    torch.testing.assert_close(network(images), network.classifier(network.features(images).mean((2, 3))))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_each_network_is_known_by_its_tensors(name: str) -> None:
    with torch.device("meta"):
        state = build(name, 3).state_dict()
    # The one that enlarges its photos has the same tensors.
    assert guess(state) == name.removesuffix("_128")


def test_something_else_is_guessed_to_be_nothing() -> None:
    assert guess({"encoder.weight": torch.ones(2)}) is None
