"""Two feature extractors side by side: MobileNetV2 as ImageNet trained it, SqueezeNet as Places365 did.

One knows things, the other places, and a linear layer over both knew more scenes than over either alone. SqueezeNet is
version 1.1 (Iandola et al. 2016) with leaky rectifiers, as the file that it starts from has it. Every stage of both
halves a side to ⌈side / 2⌉, so that after one more pooling their grids are the same whatever the image's size.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import mobilenet_v2

from veduta.errors import TrainingError
from veduta.models.onnx_file import inspect_onnx
from veduta.training.normalise import Normalise

#: Numbers of one embedding: MobileNetV2's, then SqueezeNet's.
EMBEDDING_SIZES = (1280, 512)

# The slope of the rectifiers below zero, from the file.
_SLOPE = 0.55
_FIRES = (
    (64, 16, 64),
    (128, 16, 64),
    (128, 32, 128),
    (256, 32, 128),
    (256, 48, 192),
    (384, 48, 192),
    (384, 64, 256),
    (512, 64, 256),
)
_POOLED_BEFORE = (0, 2, 4)


class TwoTowers(nn.Module):
    """Maps of both extractors, ``[n, 1280 + 512, h', w']`` with h' = ⌈h / 32⌉, each multiplied by its ``balance``."""

    balance: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.mobilenet = mobilenet_v2(weights=None).features
        self.squeezenet = LeakySqueezeNet()
        self.register_buffer("balance", torch.ones(2))

    def forward(self, images: Tensor) -> Tensor:
        things = self.mobilenet(images)
        places = functional.avg_pool2d(self.squeezenet(images), 3, 2, 1, count_include_pad=False)
        return torch.cat([things * self.balance[0], places * self.balance[1]], 1)

    def set_balance(self, embeddings: Tensor, spread: float = 0.5) -> None:
        """Make both towers vary by ``spread``, given embeddings ``[n, 1792]`` of some photos at the present balance.

        A classifier's decay and learning rate then mean the same for either.
        """
        with torch.no_grad():
            for tower, part in enumerate(torch.split(embeddings, list(EMBEDDING_SIZES), 1)):
                self.balance[tower] *= spread / part.std()


class LeakySqueezeNet(nn.Module):
    """SqueezeNet 1.1 without its classifier: ``[n, 3, h, w]`` to ``[n, 512, ⌈h / 16⌉, ⌈w / 16⌉]``."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 64, 3, stride=2, padding=1)
        self.fires = nn.ModuleList(Fire(*sizes) for sizes in _FIRES)

    def forward(self, images: Tensor) -> Tensor:
        found = functional.leaky_relu(self.first(images), _SLOPE)
        for index, fire in enumerate(self.fires):
            if index in _POOLED_BEFORE:
                found = functional.max_pool2d(found, 3, 2, 1)
            found = fire(found)
        return found


class Fire(nn.Module):
    """A 1×1 convolution to ``squeezed`` channels, then 1×1 and 3×3 side by side to ``expanded`` each."""

    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.expand_1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand_3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        squeezed = functional.leaky_relu(self.squeeze(images), _SLOPE)
        return functional.leaky_relu(torch.cat([self.expand_1(squeezed), self.expand_3(squeezed)], 1), _SLOPE)


def load_places365_squeezenet(network: LeakySqueezeNet, path: Path) -> None:
    """Start from the ONNX file of a SqueezeNet that knows the 365 categories of Places; its classifier is left out.

    The file takes BGR minus a mean, over 255; its first layer is rewritten for planes as ``Normalise`` makes them.
    Raises TrainingError where the file holds another network, BundleCorrupt where it is no ONNX file.
    """
    if not path.is_file():
        raise TrainingError(f"the starting weights {path} are not there; give the Places365 SqueezeNet's ONNX file.")
    data = path.read_bytes()
    inspect_onnx(path, data)  # under limits, and no tensors kept elsewhere
    graph = onnx.load_from_string(data).graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    pairs = [
        (numpy_helper.to_array(tensors[node.input[1]]), numpy_helper.to_array(tensors[node.input[2]]))
        for node in graph.node
        if node.op_type == "Conv" and len(node.input) == 3 and node.input[1] in tensors and node.input[2] in tensors
    ]
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    # The last convolution of the file is its classifier.
    if [weight.shape for weight, _ in pairs[:-1]] != [tuple(module.weight.shape) for module in convolutions]:
        raise TrainingError(f"{path} does not hold a SqueezeNet 1.1; give the Places365 SqueezeNet's ONNX file.")
    if "mean" not in tensors or tensors["mean"].dims != [1, 3, 1, 1]:
        raise TrainingError(f"{path} has no mean of three channels, so its input can't be told; give another file.")
    with torch.no_grad():
        for module, (weight, bias) in zip(convolutions, pairs, strict=False):
            assert module.bias is not None
            module.weight.copy_(torch.from_numpy(weight.copy()))
            module.bias.copy_(torch.from_numpy(bias.copy()))
    _take_normalised_rgb(network.first, numpy_helper.to_array(tensors["mean"]).ravel())


def _take_normalised_rgb(first: nn.Conv2d, mean: NDArray[np.float32]) -> None:
    """Rewrite a convolution over (bgr - mean) / 255 into one over (rgb - m) / s.

    With x = (rgb - m) / s, (rgb - mean) / 255 is x s / 255 + (m - mean) / 255: a factor for the weights, and for the
    bias their sum times the shift. At the border, where zeros stand for pixels, the two differ by that shift.
    """
    normalise = Normalise()
    shift = (normalise.mean.flatten() - torch.from_numpy(mean[::-1].copy())) / 255
    with torch.no_grad():
        assert first.bias is not None
        weight = first.weight.flip(1)
        first.bias.add_((weight * shift.view(1, 3, 1, 1)).sum((1, 2, 3)))
        first.weight.copy_(weight * normalise.std.view(1, 3, 1, 1) / 255)
