"""Each tensor of somebody's weights finds its place in our network, which then answers as theirs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

import timm
from safetensors.torch import load
from torch import nn
from torchvision import models

from veduta.errors import WeightsError
from veduta.training.checkpoints import fit_weights, load_weights
from veduta.training.export import export_weights
from veduta.training.layouts import fit, guess, has_published_head, shapes
from veduta.training.networks import ARCHITECTURES, SceneNetwork, build, find_architecture

from .made_weights import State, same_answers, theirs

#: The networks that torchvision has, and what it calls them.
OFFICIAL = {name: name for name in ARCHITECTURES if name in models.list_models()} | {
    "efficientnetv2_s": "efficientnet_v2_s"
}
SMALL = ("mobilenet_v2", "squeezenet1_1", "resnet18", "convnext_tiny")


def as_published(name: str, classes: int = 1000) -> SceneNetwork:
    return build(name, classes, published_head=True)


def find_their_places(name: str, state: State) -> None:
    """Each tensor of the network is there in its shape, and none is left over."""
    expected = shapes(name, published_head=True)
    fitted = fit(state, ARCHITECTURES[name], expected)
    assert fitted.left_over == ()
    assert {key: value.shape for key, value in fitted.tensors.items()} == expected


@pytest.mark.parametrize(
    "name",
    [
        name if name in SMALL else pytest.param(name, marks=pytest.mark.slow)
        for name in OFFICIAL
        if name not in ("vgg16", "vgg19")  # half a gigabyte each; their keys are checked without their numbers below
    ],
)
def test_torchvisions_weights_give_torchvisions_answers(name: str) -> None:
    network = theirs(OFFICIAL[name])
    ours = as_published(name)
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
    ours = as_published("vgg16", 4)
    fit_weights(ours, network.state_dict(), Path("w.pth"), classifier="keep")
    same_answers(ours, network, 224)


def test_timms_convnext_gives_timms_answers() -> None:
    torch.manual_seed(3)
    network = timm.create_model("convnext_tiny", num_classes=4).eval()
    for key, parameter in network.named_parameters():
        if key.endswith("gamma"):  # next to 0, it hides what its block says
            nn.init.uniform_(parameter, 0.2, 0.5)
    ours = as_published("convnext_tiny", 4)
    fit_weights(ours, network.state_dict(), Path("w.pth"), classifier="keep")
    same_answers(ours, network, 64)


@pytest.mark.parametrize("name", ["mobilenetv4_conv_small", "mobilenetv4_conv_medium"])
def test_timms_mobilenetv4_gives_timms_answers(name: str) -> None:
    torch.manual_seed(3)
    network = timm.create_model(name).eval()
    ours = as_published(name)
    fit_weights(ours, network.state_dict(), Path("w.pth"), classifier="keep")
    same_answers(ours, network, 96)


def test_dinov2s_patches_are_timms_at_the_size_of_its_positions_and_its_official_file_fits() -> None:
    torch.manual_seed(3)
    network = timm.create_model("vit_small_patch14_dinov2", img_size=56).eval()
    whole = build("vit_small_patch14_dinov2", 2)
    state = network.state_dict() | {"mask_token": torch.zeros(1, 384)}
    state["pos_embed"] = torch.randn(1, 1 + 37 * 37, 384)
    for key, value in state.items():
        if key.endswith("gamma"):
            nn.init.uniform_(value, 0.2, 0.5)
    fit_weights(whole, state, Path("dinov2_vits14_pretrain.pth"))
    images = torch.randn(1, 3, 56, 56)
    grid = torch.nn.functional.interpolate(
        state["pos_embed"][:, 1:].transpose(1, 2).unflatten(2, (37, 37)), (4, 4), mode="bicubic"
    )
    network.load_state_dict(
        {key: value for key, value in state.items() if key != "mask_token"}
        | {"pos_embed": torch.cat([state["pos_embed"][:, :1], grid.flatten(2).transpose(1, 2)], 1)}
    )
    with torch.inference_mode():
        patches = network.forward_features(images)[:, 1:]
        torch.testing.assert_close(
            whole.eval().features(images).flatten(2).transpose(1, 2), patches, rtol=1e-3, atol=1e-4
        )
    with pytest.raises(WeightsError, match=r"pretrain\.pth: has no classifier, so no model can be made of it"):
        fit_weights(whole, state, Path("dinov2_vits14_pretrain.pth"), classifier="keep")


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
@pytest.mark.parametrize("name", ["inception_v3", "inception_resnet_v2"])
def test_timms_inceptions_see_what_they_were_trained_on(name: str) -> None:
    # timm normalises to [-1, 1] before the network, we within it, as torchvision does.
    torch.manual_seed(4)
    network = timm.create_model(name).eval()
    ours = build(name, 1000)
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


@pytest.mark.parametrize(
    ("name", "origin"),
    [
        ("mobilenetv4_conv_small", timm.create_model),
        ("convnext_tiny", models.get_model),
        pytest.param("vgg16", models.get_model, marks=pytest.mark.slow),
        pytest.param("alexnet", models.get_model, marks=pytest.mark.slow),
    ],
)
def test_a_network_for_new_classes_takes_the_features_and_leaves_the_published_head(
    name: str, origin: Callable[[str], nn.Module], tmp_path: Path
) -> None:
    torch.manual_seed(3)
    state = origin(name).state_dict()
    assert has_published_head(state, ARCHITECTURES[name])
    published, pooled = as_published(name), build(name, 3)
    fit_weights(published, state, Path("w.pth"), classifier="keep")
    fit_weights(pooled, state, Path("w.pth"))
    assert pooled.has_class_maps
    assert not published.has_class_maps
    # The weights of a model that was converted start a training as well, and those of the training's model another.
    again, third = build(name, 3), build(name, 2)
    for source, target in ((published, again), (pooled, third)):
        content = export_weights(source)
        assert has_published_head(load(content), ARCHITECTURES[name]) == (source is published)
        (tmp_path / "w.safetensors").write_bytes(content)
        load_weights(target, tmp_path / "w.safetensors")
    for key, value in pooled.features.state_dict().items():
        for other in (again, third):
            torch.testing.assert_close(other.features.state_dict()[key], value, rtol=1e-3, atol=1e-3, msg=key)
    with pytest.raises(WeightsError, match=rf"w\.pth: does not fit {name}: "):
        fit_weights(build(name, 1000), state, Path("w.pth"), classifier="keep")


def test_convnexts_norm_comes_before_the_pooling_for_new_classes() -> None:
    network = models.get_model("convnext_tiny", weights=None)
    nn.init.uniform_(network.classifier[0].weight, 0.5, 2)
    ours = build("convnext_tiny", 3)
    fit_weights(ours, network.state_dict(), Path("w.pth"))
    assert torch.equal(ours.state_dict()["features.norm.weight"], network.classifier[0].weight)
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        expected = network.classifier[0](network.features(images)).mean((2, 3))
        torch.testing.assert_close(ours.eval().embed(images), expected)


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
    assert guess(state) == find_architecture(name).family


def test_something_else_is_guessed_to_be_nothing() -> None:
    assert guess({"encoder.weight": torch.ones(2)}) is None
