"""What is known of published weights is what their authors say."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the extra train is not installed")

from torchvision import models

from veduta.errors import UsageError
from veduta.training import pull
from veduta.training.catalogue import PUBLISHED, published
from veduta.training.networks import ARCHITECTURES

#: The networks that torchvision has, by its names.
OFFICIAL = ["efficientnet_v2_s", *(name for name in ARCHITECTURES if name in models.list_models())]


def test_each_published_file_is_for_a_network_that_can_be_built() -> None:
    for name, entry in PUBLISHED.items():
        assert name == entry.name
        assert entry.architecture in ARCHITECTURES
        assert pull.preprocessing(entry).sizes[0][0] == ARCHITECTURES[entry.architecture].side


def test_what_the_issue_promises_can_be_pulled() -> None:
    for network in ("resnet18", "resnet50", "densenet161", "alexnet"):
        entry = published(f"{network}_places365")
        assert entry.address == f"http://places2.csail.mit.edu/models_places365/{network}_places365.pth.tar"
    for network in ("resnet50", "vgg16", "vgg19", "inception_v3", "densenet201", "mobilenet_v2"):
        assert published(f"imagenet-{network}").labels == "imagenet"


def test_weights_without_a_classifier_for_the_labels_start_trainings_only(store: Path) -> None:
    for name in ("imagenet-inception_resnet_v2", "lvd142m-vit_small_patch14_dinov2"):
        assert published(name).labels is None
        with pytest.raises(UsageError, match=rf"no model can be made of it; .*--weights hub:{name}"):
            pull.pull(name)
    assert not store.exists()
    with pytest.raises(UsageError, match="did you mean lvd142m-vit_small_patch14_dinov2"):
        published("imagenet-vit_small_patch14_dinov2")


def test_torchvision_says_the_same_of_its_own_files() -> None:
    known = {weights.url: weights for name in OFFICIAL for weights in models.get_model_weights(name)}
    for entry in PUBLISHED.values():
        if not entry.address.startswith("https://download.pytorch.org/"):
            continue
        weights = known[entry.address]
        recipe, wanted = weights.transforms(), pull.preprocessing(entry)
        assert [wanted.short_side] == recipe.resize_size
        assert [wanted.sizes[0][0]] == recipe.crop_size
        assert wanted.filter == recipe.interpolation.value
        assert entry.accuracy == weights.meta["_metrics"]["ImageNet-1K"]["acc@1"]
        assert abs(entry.megabytes - weights.meta["_file_size"]) < 1
        assert entry.hash_prefix is not None
        assert entry.address.endswith(f"-{entry.hash_prefix}.pth")


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("imagenet-mobilenetv2_100-timm", "mobilenetv2_100"),
        ("imagenet-inception_resnet_v2", "inception_resnet_v2"),
        ("lvd142m-vit_small_patch14_dinov2", "vit_small_patch14_dinov2"),
    ],
)
def test_timm_says_the_same_of_what_it_has_too(name: str, theirs: str) -> None:
    import timm

    entry = published(name)
    config = timm.get_pretrained_cfg(theirs).to_dict()
    if "url" in config:  # timm has its own copies of some on another site
        assert config["url"].rpartition("/")[2] == entry.file_name
    assert config["interpolation"] == entry.filter
    if entry.labels is not None:
        assert round(224 / config["crop_pct"]) == pull.preprocessing(entry).short_side


def test_an_unknown_name_is_refused_with_near_ones() -> None:
    with pytest.raises(UsageError, match="did you mean places365-resnet50"):
        published("places365-resnet52")
