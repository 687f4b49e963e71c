"""The network that an embedding of landmarks is trained with: new layers on top of a scene network.

Over the pooled features come dropout, a fully connected layer and batch norm: the embedding. Above it, for the training
alone, a classifier of the landmarks and one class more, "no landmark", which comes last.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from veduta.training.networks import SceneNetwork


class EmbeddingHead(nn.Module):
    """From features ``[n, c, h', w']`` to embeddings ``[n, size]``: pooling, dropout, fully connected, batch norm."""

    def __init__(self, channels: int, size: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(channels, size, bias=False)
        self.norm = nn.BatchNorm1d(size)
        # New as it is, it has no statistics that could be kept.
        self.norm.learns_statistics = True  # type: ignore[assignment]

    def forward(self, features: Tensor) -> Tensor:
        embeddings: Tensor = self.norm(self.linear(self.dropout(features.mean((2, 3)))))
        return embeddings


class SubCenterClassifier(nn.Module):
    """``scale`` times the cosine of an embedding ``[n, d]`` with the nearest of each class's centres: ``[n, classes]``.

    A class has ``centres`` of them, so that wrong photos and other views gather at one of their own (Deng et al. 2020,
    "Sub-center ArcFace: Boosting Face Recognition by Large-Scale Noisy Web Faces").
    """

    def __init__(self, size: int, classes: int, centres: int = 3, scale: float = 24.0) -> None:
        super().__init__()
        self.in_features, self.out_features, self.scale = size, classes, scale
        self.weight = nn.Parameter(0.05 * torch.randn(classes, centres, size))

    def forward(self, embeddings: Tensor) -> Tensor:
        directions = functional.normalize(self.weight, dim=2).flatten(0, 1)
        cosines = functional.linear(functional.normalize(embeddings, dim=1), directions)
        nearest = cosines.reshape(len(cosines), *self.weight.shape[:2]).amax(2)
        return self.scale * nearest


class CenteredClassifier(nn.Linear):
    """A linear classifier of embeddings that also remembers the middle of each class, ``centres [classes, d]``.

    They follow the photos of each batch (``follow``), by no gradient (Wen et al. 2016, "A Discriminative Feature
    Learning Approach for Deep Face Recognition").
    """

    def __init__(self, size: int, classes: int) -> None:
        super().__init__(size, classes)
        self.centres: Tensor
        self.register_buffer("centres", torch.zeros(classes, size))

    @torch.no_grad()
    def follow(self, embeddings: Tensor, targets: Tensor, share: float) -> None:
        """Each class's centre moves by ``share`` of sum(c - x) / (1 + n) over its n photos in the batch."""
        for target in torch.unique(targets):
            of_class = embeddings[targets == target]
            moved = (self.centres[target] - of_class).sum(0) / (1 + len(of_class))
            self.centres[target] -= share * moved


def put_on_top(network: SceneNetwork, size: int, make_classifier: Callable[[], nn.Module], seed: int) -> None:
    """Give a network the new layers in place of its classifier; their weights are drawn from ``seed``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network.head = EmbeddingHead(network.classifier.in_features, size)
        network.classifier = make_classifier()  # type: ignore[assignment]
    network.dropout = nn.Dropout(0.0)
    network.new_head = True
