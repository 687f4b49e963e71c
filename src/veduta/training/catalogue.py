"""Weights that others publish and ``veduta models pull`` brings: where they lie, and what is known of them."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from veduta.errors import UsageError

LabelList = Literal["imagenet", "places365"]

_PLACES = (
    "Trained on Places365-Standard, 1.8 million photos of 365 scenes, by its authors: Zhou et al. 2017, 'Places: A 10 "
    "million Image Database for Scene Recognition'; http://places2.csail.mit.edu, github.com/CSAILVision/places365."
)
_TORCHVISION = "Trained on ImageNet-1k (ILSVRC 2012) by the authors of torchvision; pytorch.org/vision."
_TIMM = "Trained on ImageNet-1k (ILSVRC 2012) by Ross Wightman for timm; github.com/huggingface/pytorch-image-models."
_TENSORFLOW = (
    "Trained on ImageNet-1k (ILSVRC 2012) by the authors of Inception-ResNet-v2, and brought to timm by Ross Wightman; "
    "github.com/huggingface/pytorch-image-models."
)
_DINOV2 = (
    "Trained without labels on LVD-142M by Meta AI: Oquab et al. 2024, 'DINOv2: Learning Robust Visual Features "
    "without Supervision'; github.com/facebookresearch/dinov2."
)


@dataclass(frozen=True, slots=True)
class Published:
    """One file of weights.

    ``labels`` None: a training can start from it and no model can be made of it, for it has no classifier, or one of
    other classes than the lists. ``megabytes`` is its size, about. ``hash_prefix`` are the first digits of its SHA-256,
    where its authors put them into its name, or all, where many have published the same. ``short_side`` and ``filter``
    tell the photo's resize where the recipe differs from the usual one of the architecture. ``accuracy`` is the top-1
    that its authors publish, in percent, where they do.
    """

    name: str
    architecture: str
    labels: LabelList | None
    address: str
    megabytes: int
    source: str
    license: str
    hash_prefix: str | None = None
    short_side: int | None = None
    filter: str = "bilinear"
    accuracy: float | None = None

    @property
    def file_name(self) -> str:
        """The last part of the address."""
        return urlsplit(self.address).path.rpartition("/")[2]


def _places365(architecture: str, megabytes: int) -> Published:
    return Published(
        f"places365-{architecture}",
        architecture,
        "places365",
        f"http://places2.csail.mit.edu/models_places365/{architecture}_places365.pth.tar",
        megabytes,
        _PLACES,
        "CC-BY",
    )


def _imagenet(
    architecture: str, file: str, megabytes: int, accuracy: float, variant: str = "", short_side: int | None = None
) -> Published:
    return Published(
        f"imagenet-{architecture}{variant}",
        architecture,
        "imagenet",
        f"https://download.pytorch.org/models/{file}.pth",
        megabytes,
        _TORCHVISION,
        "BSD-3-Clause",
        hash_prefix=file.rpartition("-")[2],
        short_side=short_side,
        accuracy=accuracy,
    )


PUBLISHED: dict[str, Published] = {
    "places365-resnet18": _places365("resnet18", 46),
    "places365-resnet50": _places365("resnet50", 97),
    "places365-densenet161": _places365("densenet161", 110),
    "places365-alexnet": _places365("alexnet", 234),
    "imagenet-mobilenet_v2": _imagenet("mobilenet_v2", "mobilenet_v2-b0353104", 14, 71.878),
    "imagenet-mobilenet_v2-v2": _imagenet("mobilenet_v2", "mobilenet_v2-7ebf99e0", 14, 72.154, "-v2", 232),
    "imagenet-squeezenet1_1": _imagenet("squeezenet1_1", "squeezenet1_1-b8a52dc0", 5, 58.178),
    "imagenet-resnet18": _imagenet("resnet18", "resnet18-f37072fd", 45, 69.758),
    "imagenet-resnet50": _imagenet("resnet50", "resnet50-0676ba61", 98, 76.13),
    "imagenet-resnet50-v2": _imagenet("resnet50", "resnet50-11ad3fa6", 98, 80.858, "-v2", 232),
    "imagenet-resnet152": _imagenet("resnet152", "resnet152-394f9c45", 230, 78.312),
    "imagenet-resnet152-v2": _imagenet("resnet152", "resnet152-f82ba261", 230, 82.284, "-v2", 232),
    "imagenet-wide_resnet50_2": _imagenet("wide_resnet50_2", "wide_resnet50_2-95faca4d", 132, 78.468),
    "imagenet-wide_resnet50_2-v2": _imagenet("wide_resnet50_2", "wide_resnet50_2-9ba9bcbe", 263, 81.602, "-v2", 232),
    "imagenet-resnext50_32x4d": _imagenet("resnext50_32x4d", "resnext50_32x4d-7cdf4587", 96, 77.618),
    "imagenet-resnext50_32x4d-v2": _imagenet("resnext50_32x4d", "resnext50_32x4d-1a0047aa", 96, 81.198, "-v2", 232),
    "imagenet-convnext_tiny": _imagenet("convnext_tiny", "convnext_tiny-983f1562", 109, 82.52),
    "imagenet-efficientnetv2_s": _imagenet("efficientnetv2_s", "efficientnet_v2_s-dd5fe13b", 83, 84.228),
    "imagenet-densenet161": _imagenet("densenet161", "densenet161-8d451a50", 111, 77.138),
    "imagenet-densenet201": _imagenet("densenet201", "densenet201-c1103571", 78, 76.896),
    "imagenet-alexnet": _imagenet("alexnet", "alexnet-owt-7be5be79", 234, 56.522),
    "imagenet-vgg16": _imagenet("vgg16", "vgg16-397923af", 528, 71.592),
    "imagenet-vgg19": _imagenet("vgg19", "vgg19-dcbb9e9d", 549, 72.376),
    "imagenet-inception_v3": _imagenet("inception_v3", "inception_v3_google-0cc3c7bd", 104, 77.294),
    "imagenet-mobilenetv2_100-timm": Published(
        "imagenet-mobilenetv2_100-timm",
        "mobilenet_v2",
        "imagenet",
        "https://github.com/huggingface/pytorch-image-models/releases/download/v0.1-weights/"
        "mobilenetv2_100_ra-b33bc2c4.pth",
        14,
        _TIMM,
        "Apache-2.0",
        hash_prefix="b33bc2c4",
        filter="bicubic",
    ),
    # Its classifier has a class for the background, before ImageNet's thousand.
    "imagenet-inception_resnet_v2": Published(
        "imagenet-inception_resnet_v2",
        "inception_resnet_v2",
        None,
        "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-weights/"
        "inception_resnet_v2-940b1cd6.pth",
        214,
        _TENSORFLOW,
        "Apache-2.0",
        hash_prefix="940b1cd6",
        filter="bicubic",
    ),
    "lvd142m-vit_small_patch14_dinov2": Published(
        "lvd142m-vit_small_patch14_dinov2",
        "vit_small_patch14_dinov2",
        None,
        "https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/dinov2_vits14_pretrain.pth",
        84,
        _DINOV2,
        "Apache-2.0",
        hash_prefix="b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9",
        filter="bicubic",
    ),
}


def published(name: str) -> Published:
    """The entry of this name, or of the authors' own (``resnet18_places365``).

    Raises UsageError with near misses.
    """
    for entry in PUBLISHED.values():
        if name in (entry.name, entry.file_name.partition(".")[0]):
            return entry
    near = difflib.get_close_matches(name, PUBLISHED, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else "`veduta models pull` without a name lists them."
    raise UsageError(f"{name!r} is none of the {len(PUBLISHED)} published networks that are known; {hint}")
