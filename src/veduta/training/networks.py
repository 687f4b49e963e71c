"""Networks that train here and leave as one ONNX graph.

Each is a feature extractor, global average pooling and one linear layer, so that the classifier applied at each
position gives ``class_maps`` whose mean is the logits (Zhou et al. 2016, "Learning Deep Features for Discriminative
Localization").
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import mobilenet_v2

from veduta.errors import TrainingError

ARCHITECTURES = ("mobilenet_v2",)

# Channel statistics of ImageNet, which the starting weights were trained with.
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


class SceneNetwork(nn.Module):
    """Features ``[n, d, h', w']``, their mean as the embedding ``[n, d]``, and a linear classifier."""

    def __init__(self, features: nn.Module, embedding_size: int, classes: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.features = features
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(embedding_size, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[n, classes]`` of normalised float images ``[n, 3, h, w]``."""
        embedding: Tensor = self.features(images).mean((2, 3))
        logits: Tensor = self.classifier(self.dropout(embedding))
        return logits


class BundleGraph(nn.Module):
    """The network as a bundle carries it: uint8 ``[n, h, w, 3]`` in; logits, embedding and class_maps out."""

    outputs = ("logits", "embedding", "class_maps")

    def __init__(self, network: SceneNetwork) -> None:
        super().__init__()
        self.network = network
        self.normalise = Normalise()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = self.network.features(self.normalise(images))
        embedding = features.mean((2, 3))
        classifier = self.network.classifier
        logits = classifier(embedding)
        class_maps = nn.functional.conv2d(features, classifier.weight[:, :, None, None], classifier.bias)
        return logits, embedding, class_maps


class Normalise(nn.Module):
    """uint8 ``[n, h, w, 3]`` to float ``[n, 3, h, w]`` with the statistics of ImageNet; part of every graph."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", 255 * torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        return (images.permute(0, 3, 1, 2).float() - self.mean) / self.std


def build(architecture: str, classes: int, *, dropout: float = 0.2) -> SceneNetwork:
    """A network with fresh weights."""
    if architecture != "mobilenet_v2":
        raise TrainingError(f"there is no architecture {architecture!r}; there are: {', '.join(ARCHITECTURES)}.")
    return SceneNetwork(mobilenet_v2(weights=None).features, 1280, classes, dropout)


def load_backbone(network: SceneNetwork, weights: Path) -> None:
    """Start the feature extractor from a safetensors file with torchvision's keys; the classifier stays fresh.

    Raises TrainingError where a tensor is missing, left over or of another shape.
    """
    if not weights.is_file():
        raise TrainingError(f"the starting weights {weights} are not there; give the file with --weights.")
    try:
        tensors = load_file(weights)
    except (SafetensorError, OSError) as error:
        raise TrainingError(f"{weights} can't be read as safetensors ({error}); give a whole file.") from error
    prefix = "features."
    tensors = {key.removeprefix(prefix): value.float() for key, value in tensors.items() if key.startswith(prefix)}
    expected = network.features.state_dict()
    wrong = sorted(
        key
        for key in expected.keys() | tensors.keys()
        if key not in tensors or key not in expected or tensors[key].shape != expected[key].shape
    )
    wrong = [key for key in wrong if not key.endswith("num_batches_tracked")]
    if wrong:
        raise TrainingError(f"{weights} does not fit the network: {len(wrong)} tensors differ, first {wrong[0]}.")
    network.features.load_state_dict(tensors, strict=False)
