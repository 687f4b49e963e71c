"""Batch norms whose statistics stay, computed as part of the convolution before them.

With a fixed mean m and variance v, g (w∗x + a - m) / sqrt(v + e) + b is one convolution: its weight is w s and its
bias b + (a - m) s, with s = g / sqrt(v + e). Computing it so spares passes over every feature map, forward and back,
and autograd carries the gradients through s to w, g and b as before.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from veduta.training.freezing import rest_frozen

# Rounding differs between the two ways; by more than this, relative to the largest answer, they are not the same.
_AGREEMENT = 1e-3


def set_training(network: nn.Module, frozen_statistics: bool) -> None:
    """Training mode; at rest are the batch norms where their statistics stay, and all that does not learn.

    A batch norm that is new, which it says itself (``learns_statistics``), has none that could stay.
    """
    network.train()
    if frozen_statistics:
        for module in network.modules():
            if isinstance(module, _BatchNorm) and not getattr(module, "learns_statistics", False):
                module.eval()
    rest_frozen(network)
    if isinstance(network, FoldedNetwork):
        network.follow_modes()


class FoldedNetwork(nn.Module):
    """``network`` as it answers with its batch norms at rest, each folded into the convolution before it, step by step.

    Its parameters are those of ``network`` itself, under the prefix ``network.``; training it trains them.
    """

    def __init__(self, network: nn.Module, pairs: dict[str, str]) -> None:
        super().__init__()
        self.network = network
        self._pairs = pairs
        skeleton = copy.deepcopy(network)
        for norm, convolution in pairs.items():
            module = skeleton.get_submodule(convolution)
            assert isinstance(module, nn.Conv2d)
            if module.bias is None:
                module.bias = nn.Parameter(torch.zeros(module.out_channels))
            parent, _, name = norm.rpartition(".")
            at_rest = skeleton.get_submodule(norm)
            # timm's have an activation of their own.
            setattr(skeleton.get_submodule(parent), name, getattr(at_rest, "act", nn.Identity()))
        for module in skeleton.modules():
            if isinstance(module, nn.Hardtanh):
                # In place it would keep a copy of what it overwrites for the way back, a pass more.
                module.inplace = False
        # In a tuple it is no submodule: its own tensors are never used, and belong to no state and no optimizer.
        self._skeleton = (skeleton,)

    def train(self, mode: bool = True) -> FoldedNetwork:
        super().train(mode)
        self.follow_modes()
        return self

    def follow_modes(self) -> None:
        """Put each part that answers into the mode of the network's own: training, or at rest."""
        for name, module in self._skeleton[0].named_modules():
            module.training = self.network.get_submodule(name).training

    def forward(self, images: Tensor) -> Tensor:
        """What the network answers to float ``[n, 3, h, w]``."""
        tensors: dict[str, Tensor] = {**dict(self.network.named_parameters()), **dict(self.network.named_buffers())}
        for name, convolution in self._pairs.items():
            norm = self.network.get_submodule(name)
            assert isinstance(norm, nn.BatchNorm2d)
            assert norm.running_mean is not None
            assert norm.running_var is not None
            scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
            own_bias = tensors.get(f"{convolution}.bias")
            shift = norm.running_mean if own_bias is None else norm.running_mean - own_bias
            tensors[f"{convolution}.bias"] = norm.bias - shift * scale
            tensors[f"{convolution}.weight"] = tensors[f"{convolution}.weight"] * scale[:, None, None, None]
            for key in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
                tensors.pop(f"{name}.{key}", None)
        answer: Tensor = torch.func.functional_call(self._skeleton[0], tensors, (images,))
        return answer


def fold(network: nn.Module, images: Tensor) -> nn.Module:
    """``network`` folded where that gives its answers to ``images`` float ``[n, 3, h, w]``, else itself.

    Which batch norm follows which convolution is seen from one run, so any network will do.
    """
    was_training = network.training
    network.eval()
    with torch.no_grad():
        pairs, expected = _follow(network, images)
        folded: nn.Module = network
        if pairs:
            candidate = FoldedNetwork(network, pairs).eval()
            # A convolution whose output goes elsewhere too can't be folded; it shows here.
            off = (candidate(images) - expected).abs().max()
            if off <= _AGREEMENT * expected.abs().max():
                folded = candidate
    folded.train(was_training)
    return folded


def _follow(network: nn.Module, images: Tensor) -> tuple[dict[str, str], Tensor]:
    """The convolution before each batch norm, by name, and the answer."""
    # The outputs are kept until the end, for a freed tensor's id may be given again.
    made: dict[int, tuple[str, Tensor]] = {}
    pairs: dict[str, str] = {}

    def after(name: str) -> Callable[[nn.Module, tuple[Any, ...], Tensor], None]:
        def hook(_module: nn.Module, _inputs: tuple[Any, ...], output: Tensor) -> None:
            made[id(output)] = (name, output)

        return hook

    def before(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def hook(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
            if id(inputs[0]) in made:
                pairs[name] = made[id(inputs[0])][0]

        return hook

    handles = []
    for name, module in network.named_modules():
        if type(module) is nn.Conv2d:
            handles.append(module.register_forward_hook(after(name)))
        elif isinstance(module, nn.BatchNorm2d) and module.affine and module.track_running_stats:
            handles.append(module.register_forward_pre_hook(before(name)))
    try:
        answer = network(images)
    finally:
        for handle in handles:
            handle.remove()
    return pairs, answer
