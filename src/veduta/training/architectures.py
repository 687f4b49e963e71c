"""The networks that can be built, by name: what they are made of, what they take, and how published weights look.

For new classes each is a feature extractor, global average pooling and one linear layer. What some of them have
between features and classifier in published weights, their head, is built only for such weights, whose classifier
means nothing without it. ``docs/architectures.md`` names the papers.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import nn
from torchvision import models

from veduta.errors import TrainingError
from veduta.images.preprocess import Preprocessing
from veduta.training import feature_extractors as extractors
from veduta.training.pyramidnet import feature_channels, pyramidnet
from veduta.training.small_cnn import WIDTHS, small_cnn

_PYRAMID_UNITS, _PYRAMID_WIDENING = (3, 4, 6, 3), 200


@dataclass(frozen=True, slots=True)
class PublishedHead:
    """What stands between features and classifier in published weights, and maps features to an embedding.

    ``build`` makes it for features, from which it may take a layer over; ``size`` is the embedding's. ``layers`` are
    the names that its layers have in published weights, and their names in the module. ``one_size`` tells that only
    features of one size fit.
    """

    build: Callable[[nn.Module], nn.Module]
    size: int
    layers: Mapping[str, str]
    one_size: bool = False


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network that can be built, and what its weights elsewhere look like.

    ``features`` makes the feature extractor, with fresh weights; ``embedding_size`` is the number of its channels.
    ``smallest`` is the least side in pixels that it takes; sides must be multiples of ``multiple``. ``body`` and
    ``classifier`` are prefixes of keys in published weights: of the feature extractor (empty where its layers lie at
    the top) and of the last layer; what begins with one of ``dropped`` only training used. ``rectified`` tells that
    ImageNet's classifier is a convolution with a ReLU, then the pooling. ``enlarge`` is how much larger photos are made
    inside the graph. ``side``, ``short_side`` and ``filter`` are the crop and the resize that its first ImageNet
    weights were measured with. ``kin`` is the network whose features are made of the same tensors, so that a training
    can start from its weights.
    """

    name: str
    features: Callable[[], nn.Module]
    embedding_size: int
    smallest: int
    multiple: int = 1
    published_head: PublishedHead | None = None
    body: str = ""
    classifier: str = "fc"
    dropped: tuple[str, ...] = ()
    rectified: bool = False
    enlarge: float = 1.0
    side: int = 224
    short_side: int = 256
    filter: str = "bilinear"
    kin: str | None = None

    @property
    def family(self) -> str:
        """One name for all networks whose features are made of the same tensors."""
        return self.kin or self.name

    @property
    def preprocessing(self) -> Preprocessing:
        """What its first ImageNet weights were measured with."""
        return Preprocessing("crop", ((self.side, self.side),), self.filter, self.short_side)

    def check_side(self, side: int, what: str = "photos") -> None:
        """Refuse squares of ``side`` pixels that this network can't be trained on; ``what`` they are is told.

        Raises TrainingError, naming what it takes.
        """
        if side < self.smallest:
            raise TrainingError(f"{self.name} sees {what} from {self.smallest} pixels on; {side} are too few.")
        if side % self.multiple:
            below = side - side % self.multiple
            near = [str(each) for each in (below, below + self.multiple) if each >= self.smallest]
            raise TrainingError(
                f"{self.name} cuts {what} into patches of {self.multiple} pixels, and {side} is no multiple of that; "
                f"give {' or '.join(near)}."
            )


def same_family(one: str | None, other: str | None) -> bool:
    """Whether the features of two networks, by name, are made of the same tensors."""
    known = [ARCHITECTURES[name].family if name in ARCHITECTURES else name for name in (one, other)]
    return known[0] == known[1]


def find_architecture(name: str) -> Architecture:
    """The architecture of this name. Raises TrainingError with the nearest names."""
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    typed = name.lower().replace("-", "_")
    near = [each for each in ARCHITECTURES if len(typed) > 2 and (typed in each or each in typed)]
    near += [each for each in difflib.get_close_matches(typed, ARCHITECTURES, n=3, cutoff=0.55) if each not in near]
    hint = f"did you mean {' or '.join(near[:3])}? " if near else ""
    raise TrainingError(
        f"there is no architecture {name!r}; {hint}`veduta models architectures` lists all {len(ARCHITECTURES)}."
    )


def _mobilenet_v2(name: str, **differs: Any) -> Architecture:
    usual = Architecture(
        name,
        partial(extractors.sequential_features, models.mobilenet_v2),
        1280,
        32,
        body="features.",
        classifier="classifier.1",
    )
    return replace(usual, **differs)


def _resnet(name: str, make: Callable[..., nn.Module], embedding_size: int) -> Architecture:
    return Architecture(name, partial(extractors.resnet_features, make), embedding_size, 32)


def _densenet(name: str, make: Callable[..., nn.Module], embedding_size: int) -> Architecture:
    return Architecture(
        name,
        partial(extractors.densenet_features, make),
        embedding_size,
        29,
        body="features.",
        classifier="classifier",
    )


def _vgg(name: str, plan: str) -> Architecture:
    return Architecture(
        name,
        partial(extractors.vgg_features, plan),
        512,
        32,
        published_head=PublishedHead(
            lambda _features: extractors.fully_connected(512, 7, dropout_first=False),
            4096,
            {"classifier.0": "layers.0", "classifier.3": "layers.3"},
            one_size=True,
        ),
        body="features.",
        classifier="classifier.6",
    )


def _mobilenetv4(name: str) -> Architecture:
    return Architecture(
        name,
        partial(extractors.mobilenetv4_features, name),
        960,
        32,
        published_head=PublishedHead(
            lambda _features: extractors.pooled_convolution(960), 1280, {"conv_head": "conv", "norm_head": "norm"}
        ),
        classifier="classifier",
        filter="bicubic",
    )


_ALL = (
    Architecture("small_cnn", small_cnn, WIDTHS[-1], 16),
    _mobilenet_v2("mobilenet_v2"),
    Architecture(
        "squeezenet1_1",
        partial(extractors.sequential_features, models.squeezenet1_1),
        512,
        17,
        body="features.",
        classifier="classifier.1",
        rectified=True,
    ),
    # For photos that have no more than 128 pixels: the graph enlarges them, for a network sees more in larger ones.
    _mobilenet_v2("mobilenet_v2_128", enlarge=1.75, side=128, short_side=128, kin="mobilenet_v2"),
    # For classes that are not ImageNet's: the last of the blocks of 64, 96 and 160 channels are read as well.
    _mobilenet_v2(
        "mobilenet_v2_hypercolumns",
        features=partial(extractors.hypercolumns, models.mobilenet_v2, {"10": 2, "13": 2, "16": 1}),
        embedding_size=1280 + 64 + 96 + 160,
        kin="mobilenet_v2",
    ),
    _mobilenetv4("mobilenetv4_conv_small"),
    _mobilenetv4("mobilenetv4_conv_medium"),
    Architecture(
        "efficientnetv2_s",
        partial(extractors.sequential_features, partial(models.efficientnet_v2_s, stochastic_depth_prob=0.0)),
        1280,
        32,
        body="features.",
        classifier="classifier.1",
        side=384,
        short_side=384,
    ),
    Architecture(
        "convnext_tiny",
        extractors.convnext_features,
        768,
        32,
        published_head=PublishedHead(extractors.pooled_norm, 768, {"classifier.0": "norm"}),
        body="features.",
        classifier="classifier.2",
        short_side=236,
    ),
    Architecture(
        "vit_small_patch14_dinov2",
        partial(extractors.patch_features, "vit_small_patch14_dinov2"),
        384,
        14,
        multiple=14,
        classifier="head",
        dropped=("mask_token",),
        filter="bicubic",
    ),
    _resnet("resnet18", models.resnet18, 512),
    _resnet("resnet50", models.resnet50, 2048),
    _resnet("resnet152", models.resnet152, 2048),
    _resnet("resnet200", extractors.resnet200, 2048),
    _resnet("wide_resnet50_2", models.wide_resnet50_2, 2048),
    _resnet("resnext50_32x4d", models.resnext50_32x4d, 2048),
    Architecture(
        f"pyramidnet{3 * sum(_PYRAMID_UNITS) + 2}_a{_PYRAMID_WIDENING}",
        partial(pyramidnet, _PYRAMID_UNITS, _PYRAMID_WIDENING),
        feature_channels(_PYRAMID_WIDENING),
        32,
    ),
    _densenet("densenet161", models.densenet161, 2208),
    _densenet("densenet201", models.densenet201, 1920),
    Architecture(
        "alexnet",
        partial(extractors.sequential_features, models.alexnet),
        256,
        63,
        published_head=PublishedHead(
            lambda _features: extractors.fully_connected(256, 6, dropout_first=True),
            4096,
            {"classifier.1": "layers.1", "classifier.4": "layers.4"},
            one_size=True,
        ),
        body="features.",
        classifier="classifier.6",
    ),
    _vgg("vgg16", "D"),
    _vgg("vgg19", "E"),
    Architecture(
        "inception_v3",
        extractors.inception_features,
        2048,
        75,
        dropped=("AuxLogits.",),
        side=299,
        short_side=342,
    ),
    Architecture(
        "inception_resnet_v2",
        extractors.inception_resnet_features,
        1536,
        75,
        classifier="classif",
        side=299,
        short_side=333,
        filter="bicubic",
    ),
)

ARCHITECTURES: dict[str, Architecture] = {each.name: each for each in _ALL}
