"""The networks of the comparisons: torch modules as anybody has them, and the same weights as our bundles."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision import models as torchvision_models
from transformers import (
    MobileNetV2Config,
    MobileNetV2ForImageClassification,
    PreTrainedModel,
    ResNetConfig,
    ResNetForImageClassification,
)

from bench.settings import MOBILENET_WEIGHTS
from veduta.errors import UsageError
from veduta.images.preprocess import Preprocessing
from veduta.models.bundle import Head, OutputSpec, write_bundle
from veduta.records import Label
from veduta.training.export import export_graph
from veduta.training.networks import SceneNetwork

NetworkName = Literal["mobilenet_v2", "resnet50"]
NETWORKS: tuple[NetworkName, ...] = ("mobilenet_v2", "resnet50")
TITLES: dict[NetworkName, str] = {"mobilenet_v2": "MobileNetV2", "resnet50": "ResNet-50"}

CLASSES = 1000
#: torchvision's usual preprocessing of ImageNet, on every side.
SHORT_SIDE, SIDE = 256, 224
INPUT = Preprocessing(fit="crop", sizes=((SIDE, SIDE),), filter="bilinear", short_side=SHORT_SIDE)


def torch_network(name: NetworkName) -> nn.Module:
    """torchvision's network in evaluation mode: MobileNetV2 with ImageNet's weights, ResNet-50 with random ones."""
    if name == "resnet50":
        torch.manual_seed(50)
        untrained: nn.Module = torchvision_models.resnet50(weights=None)
        return untrained.eval()
    if not MOBILENET_WEIGHTS.is_file():
        raise UsageError(f"{MOBILENET_WEIGHTS} is not there; the benchmarks need the folder shared/.")
    network: nn.Module = torchvision_models.mobilenet_v2(weights=None)
    weights = {key: value.float() for key, value in load_file(MOBILENET_WEIGHTS).items()}
    unfit = network.load_state_dict(weights, strict=False)
    if unfit.unexpected_keys or any(not key.endswith("num_batches_tracked") for key in unfit.missing_keys):
        raise UsageError(f"{MOBILENET_WEIGHTS} does not fit torchvision's mobilenet_v2: {unfit}.")
    return network.eval()


def bundle_of(name: NetworkName, folder: Path) -> Path:
    """Our bundle of the same weights, exported as our own models are, into ``folder``."""
    target = folder / name
    network = torch_network(name)
    if isinstance(network, torchvision_models.MobileNetV2):
        features, classifier = network.features, network.classifier[1]
    else:
        *layers, _, classifier = network.children()
        features = nn.Sequential(*layers)
    assert isinstance(classifier, nn.Linear)
    ours = SceneNetwork(features, classifier.in_features, CLASSES)
    ours.classifier.load_state_dict(classifier.state_dict())
    write_bundle(
        target,
        name=name,
        kind="classifier",
        graph=export_graph(ours.eval(), SIDE),
        preprocessing=INPUT,
        heads=[Head("imagenet", "single_label", _labels(), class_maps="class_maps", class_maps_mean_is_logits=True)],
        card=f"# {name}\n\nMade for the benchmarks.\n",
        embedding=OutputSpec("embedding", classifier.in_features),
        architecture=name,
        replace=True,
    )
    return target


def hugging_face_network(name: NetworkName) -> PreTrainedModel:
    """transformers' own network with the same weights; checked to give the same logits."""
    original = torch_network(name)
    labels = {number: label.id for number, label in enumerate(_labels())}
    if name == "mobilenet_v2":
        network: PreTrainedModel = MobileNetV2ForImageClassification(
            MobileNetV2Config(id2label=labels, tf_padding=False, layer_norm_eps=1e-5)
        )
        order = list(original.state_dict().values())
    else:
        network = ResNetForImageClassification(ResNetConfig(id2label=labels))
        order = _shortcuts_first(original)
    state = network.state_dict()
    network.load_state_dict(dict(zip(state, order, strict=True)))
    network.train(False)
    with torch.inference_mode():
        images = torch.rand((2, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(1))
        expected, found = original(images), network(images).logits
    difference = float((expected - found).abs().max() / expected.abs().max())
    if difference > 1e-4:
        raise UsageError(f"{name}: transformers' network gives other logits than torchvision's ({difference:.2g}).")
    return network


def _shortcuts_first(network: nn.Module) -> list[Tensor]:
    """ResNet-50's tensors in transformers' order, which has a block's shortcut before its convolutions."""
    ordered: list[Tensor] = []
    held: list[Tensor] = []
    block = ""
    for key, value in network.state_dict().items():
        now = ".".join(key.split(".")[:2]) if key.startswith("layer") else ""
        if now != block:
            ordered, held, block = ordered + held, [], now
        if "downsample" in key:
            ordered.append(value)
        else:
            held.append(value)
    return ordered + held


def _labels() -> tuple[Label, ...]:
    return tuple(Label(f"imagenet_{number:04d}", f"ImageNet {number}") for number in range(CLASSES))
