"""The names that a network's tensors have elsewhere, and the same tensors under our names.

Three layouts are known: our own (``features.*``, ``head.layers.*``, ``classifier.*``), torchvision's, and timm's where
it differs from torchvision's (MobileNetV2 and VGG). Which one a file has is not asked: each is tried, and the one that
gives the most tensors a place is taken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from veduta.training.networks import ARCHITECTURES, Architecture, SceneNetwork, build

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
    fits = [_renamed(tensors, wanted, rename) for rename in (_ours, _torchvision, _timm)]
    return max(fits, key=lambda each: (len(each.tensors.keys() & expected.keys()), _matching(each, expected)))


def guess(tensors: Mapping[str, Tensor]) -> str | None:
    """The architecture whose feature extractor these tensors are, as far as nine tenths of names and shapes tell."""
    best, share = None, 0.9
    for name, wanted in ARCHITECTURES.items():
        expected = {key: shape for key, shape in shapes(name).items() if not key.startswith("classifier.")}
        fitted = fit(tensors, wanted, expected)
        others = [key for key in fitted.tensors if not key.startswith("classifier.")]
        found = _matching(fitted, expected) / max(len(expected), len(others) + len(fitted.left_over))
        if found > share:
            best, share = name, found
    return best


@cache
def shapes(name: str) -> dict[str, torch.Size]:
    """The shapes of a network's tensors by our names, for 1,000 classes, without allocating them."""
    with torch.device("meta"):
        return expected_shapes(build(name, 1000))


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
        if _counts_batches(name) or (wanted.dropped and name.startswith(wanted.dropped)):
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


def _torchvision(wanted: Architecture, name: str, tensor: Tensor) -> tuple[str, Tensor] | None:
    layer, _, part = name.rpartition(".")
    if layer == wanted.classifier:
        return f"classifier.{part}", tensor
    for number in wanted.hidden:
        if layer == f"classifier.{number}":
            return f"head.layers.{number}.{part}", tensor
    if not name.startswith(wanted.body):
        return None
    return f"features.{name.removeprefix(wanted.body)}", tensor


def _timm(wanted: Architecture, name: str, tensor: Tensor) -> tuple[str, Tensor] | None:
    match wanted.name:
        case "mobilenet_v2":
            return _timm_mobilenet(name, tensor)
        case "vgg16" | "vgg19":
            return _timm_vgg(wanted, name, tensor)
        case _:  # as torchvision's, or not in timm
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


def _timm_vgg(wanted: Architecture, name: str, tensor: Tensor) -> tuple[str, Tensor] | None:
    if name.startswith("features."):
        return name, tensor
    layer, _, part = name.rpartition(".")
    if layer == "head.fc":
        return f"classifier.{part}", tensor
    if layer in ("pre_logits.fc1", "pre_logits.fc2"):
        # timm has convolutions over the whole image there: the same numbers in the same order.
        number = wanted.hidden[int(layer[-1]) - 1]
        return f"head.layers.{number}.{part}", tensor.flatten(1) if part == "weight" else tensor
    return None
