"""The names that a network's tensors have elsewhere, and the same tensors under our names.

Three layouts are known: our own (``features.*``, ``head.*``, ``classifier.*``), that of the library which a network
comes from, and timm's of networks that come from torchvision, where the names differ (MobileNetV2, VGG, ConvNeXt).
Which one a file has is not asked: each is tried, and the one that gives the most tensors a place is taken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from veduta.training.architectures import ARCHITECTURES, Architecture
from veduta.training.networks import SceneNetwork, build

# Up to torchvision 0.2 a dense layer's parts were called norm.1, conv.2; official checkpoints still are.
_OLD_DENSE = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.\w+)")

# timm's mobilenetv2_100: stage and block, and the first block has no expansion.
_TIMM_BLOCK = re.compile(r"blocks\.(\d)\.(\d)\.(conv_pw|conv_dw|conv_pwl|bn1|bn2|bn3)\.(\w+)")
_TIMM_STAGES = (1, 2, 3, 4, 3, 3, 1)
_TIMM_FIRST = {"conv_dw": "0.0", "bn1": "0.1", "conv_pw": "1", "bn2": "2"}
_TIMM_OTHERS = {"conv_pw": "0.0", "bn1": "0.1", "conv_dw": "1.0", "bn2": "1.1", "conv_pwl": "2", "bn3": "3"}
_TIMM_ENDS = {
    "conv_stem": "features.0.0",
    "bn1": "features.0.1",
    "conv_head": "features.18.0",
    "bn2": "features.18.1",
    "classifier": "classifier",
}

_TIMM_VGG = {"pre_logits.fc1": "head.layers.0", "pre_logits.fc2": "head.layers.3", "head.fc": "classifier"}

# timm's ConvNeXt: what halves the sides before each stage but the first, and the stages' blocks.
_TIMM_HALVING = re.compile(r"stages\.([1-3])\.downsample\.(\d\.\w+)")
_TIMM_CONVNEXT_BLOCK = re.compile(r"stages\.(\d)\.blocks\.(\d+)\.(gamma|conv_dw|norm|mlp\.fc1|mlp\.fc2)(?:\.(\w+))?")
_TIMM_CONVNEXT_LAYERS = {"conv_dw": "0", "norm": "2", "mlp.fc1": "3", "mlp.fc2": "5"}
_TIMM_CONVNEXT = {"stem.0": "features.0.0", "stem.1": "features.0.1", "head.norm": "head.norm", "head.fc": "classifier"}

#: Our name and the tensor as we have it; None where the layout has no such name.
_Rename = Callable[[Architecture, str, Tensor], tuple[str, Tensor] | None]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A file's tensors under our names, and the names that they had in the file."""

    tensors: dict[str, Tensor]
    names: dict[str, str]
    left_over: tuple[str, ...]


def fit(tensors: Mapping[str, Tensor], wanted: Architecture, expected: Mapping[str, torch.Size]) -> Fitted:
    """The tensors under our names, in the layout that suits them best; counters of batches are left out.

    ``expected`` are the shapes by our names.
    """
    fits = [_renamed(tensors, wanted, rename) for rename in (_ours, _published, _timm)]
    return max(fits, key=lambda each: (len(each.tensors.keys() & expected.keys()), _matching(each, expected)))


def has_published_head(tensors: Mapping[str, Tensor], wanted: Architecture) -> bool:
    """Whether these weights have what ``wanted`` has between features and classifier where it is published."""
    if wanted.published_head is None:
        return False
    fitted = fit(tensors, wanted, shapes(wanted.name, published_head=True))
    return any(name.startswith("head.") for name in fitted.tensors)


def guess(tensors: Mapping[str, Tensor]) -> str | None:
    """The architecture whose feature extractor these tensors are, as far as nine tenths of names and shapes tell."""
    best, share = None, 0.9
    for name, wanted in ARCHITECTURES.items():
        expected = {key: shape for key, shape in shapes(name).items() if key.startswith("features.")}
        fitted = fit(tensors, wanted, expected)
        others = [key for key in fitted.tensors if key.startswith("features.")]
        found = _matching(fitted, expected) / max(len(expected), len(others) + len(fitted.left_over))
        if found > share:
            best, share = name, found
    return best


@cache
def shapes(name: str, published_head: bool = False) -> dict[str, torch.Size]:
    """The shapes of a network's tensors by our names, for 1,000 classes, without allocating them."""
    with torch.device("meta"):
        return expected_shapes(build(name, 1000, published_head=published_head))


def expected_shapes(network: SceneNetwork) -> dict[str, torch.Size]:
    """The shapes of a network's tensors by name; counters of batches are left out."""
    return {name: value.shape for name, value in network.state_dict().items() if not _counts_batches(name)}


def _matching(fitted: Fitted, expected: Mapping[str, torch.Size]) -> int:
    return sum(name in expected and value.shape == expected[name] for name, value in fitted.tensors.items())


def _renamed(tensors: Mapping[str, Tensor], wanted: Architecture, rename: _Rename) -> Fitted:
    fitted: dict[str, Tensor] = {}
    names: dict[str, str] = {}
    left_over = []
    for name, tensor in tensors.items():
        if _counts_batches(name) or name.startswith(wanted.dropped):
            continue
        found = rename(wanted, _OLD_DENSE.sub(r"\1\2", name), tensor)
        if found is None or found[0] in fitted:
            left_over.append(name)
            continue
        fitted[found[0]] = found[1]
        names[found[0]] = name
    return Fitted(fitted, names, tuple(left_over))


def _counts_batches(name: str) -> bool:
    return name.endswith("num_batches_tracked")


def _ours(_wanted: Architecture, name: str, tensor: Tensor) -> tuple[str, Tensor] | None:
    return (name, tensor) if name.startswith(("features.", "head.", "classifier.")) else None


def _published(wanted: Architecture, name: str, tensor: Tensor) -> tuple[str, Tensor] | None:
    layer, _, part = name.rpartition(".")
    if layer == wanted.classifier:
        return f"classifier.{part}", tensor
    if wanted.published_head is not None and layer in wanted.published_head.layers:
        return f"head.{wanted.published_head.layers[layer]}.{part}", tensor
    if not name.startswith(wanted.body):
        return None
    return f"features.{name.removeprefix(wanted.body)}", tensor


def _timm(wanted: Architecture, name: str, tensor: Tensor) -> tuple[str, Tensor] | None:
    match wanted.family:
        case "mobilenet_v2":
            return _timm_mobilenet(name, tensor)
        case "vgg16" | "vgg19":
            return _timm_vgg(name, tensor)
        case "convnext_tiny":
            return _timm_convnext(name, tensor)
        case _:  # named as where it comes from, or not in timm
            return None


def _timm_mobilenet(name: str, tensor: Tensor) -> tuple[str, Tensor] | None:
    block = _TIMM_BLOCK.fullmatch(name)
    if block is None:
        layer, _, part = name.rpartition(".")
        return (f"{_TIMM_ENDS[layer]}.{part}", tensor) if layer in _TIMM_ENDS else None
    stage, number = int(block[1]), int(block[2])
    layers = _TIMM_OTHERS if stage else _TIMM_FIRST
    if stage >= len(_TIMM_STAGES) or block[3] not in layers:
        return None
    position = 1 + sum(_TIMM_STAGES[:stage]) + number
    return f"features.{position}.conv.{layers[block[3]]}.{block[4]}", tensor


def _timm_vgg(name: str, tensor: Tensor) -> tuple[str, Tensor] | None:
    if name.startswith("features."):
        return name, tensor
    layer, _, part = name.rpartition(".")
    if layer not in _TIMM_VGG:
        return None
    # timm has convolutions over the whole image in the head: the same numbers in the same order.
    flat = layer.startswith("pre_logits.") and tensor.ndim > 1
    return f"{_TIMM_VGG[layer]}.{part}", tensor.flatten(1) if flat else tensor


def _timm_convnext(name: str, tensor: Tensor) -> tuple[str, Tensor] | None:
    layer, _, part = name.rpartition(".")
    if layer in _TIMM_CONVNEXT:
        return f"{_TIMM_CONVNEXT[layer]}.{part}", tensor
    halving, block = _TIMM_HALVING.fullmatch(name), _TIMM_CONVNEXT_BLOCK.fullmatch(name)
    if halving is not None:
        return f"features.{2 * int(halving[1])}.{halving[2]}", tensor
    if block is None:
        return None
    place = f"features.{2 * int(block[1]) + 1}.{block[2]}"
    if block[3] == "gamma":
        return f"{place}.layer_scale", tensor.reshape(-1, 1, 1)
    return (f"{place}.block.{_TIMM_CONVNEXT_LAYERS[block[3]]}.{block[4]}", tensor) if block[4] else None
