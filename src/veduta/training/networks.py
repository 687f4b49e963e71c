"""Networks that train here and leave as one ONNX graph.

A feature extractor, global average pooling and one linear layer: so the classifier applied at each position gives
``class_maps`` whose mean is the logits (Zhou et al. 2016, "Learning Deep Features for Discriminative Localization").
Weights that somebody published may have more between features and classifier; with that head, there are no class maps.
"""

from __future__ import annotations

from torch import Tensor, nn

from veduta.training.architectures import ARCHITECTURES, Architecture, find_architecture
from veduta.training.normalise import Normalise
from veduta.training.taps import EvidenceModule, run_with_taps

__all__ = ["ARCHITECTURES", "Architecture", "BundleGraph", "Normalise", "SceneNetwork", "build", "find_architecture"]


class SceneNetwork(nn.Module):
    """Features ``[n, d', h', w']``, an embedding ``[n, d]`` made of them, and a linear classifier.

    Without a ``head`` the embedding is the mean of the features over their positions, and d = d'. A ``head`` maps
    features to the embedding itself. ``rectified`` says that the classifier is applied at each position, negative
    answers become 0, and the mean of what is left is the logits: SqueezeNet as ImageNet trained it. ``enlarge`` says
    how much larger unchanged photos are made before they enter, see ``Normalise``. ``one_size`` says that the head
    takes features of one size only, ``new_head`` that it is as new as the classifier, and learns as fast.
    """

    def __init__(
        self,
        features: nn.Module,
        embedding_size: int,
        classes: int,
        dropout: float = 0.2,
        *,
        head: nn.Module | None = None,
        architecture: str | None = None,
    ) -> None:
        super().__init__()
        self.features = features
        self.head = head
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(embedding_size, classes)
        self.architecture = architecture
        self.rectified = False
        self.enlarge = 1.0
        self.one_size = False
        self.new_head = False

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[n, classes]`` of normalised float images ``[n, 3, h, w]``."""
        return self.logits(self.features(images))

    def logits(self, features: Tensor) -> Tensor:
        """Logits ``[n, classes]`` of features ``[n, d', h', w']``."""
        if self.rectified:
            return self.class_maps(self.dropout(features)).mean((2, 3))
        logits: Tensor = self.classifier(self.dropout(self.pool(features)))
        return logits

    def embed(self, images: Tensor) -> Tensor:
        """Embeddings ``[n, d]`` of normalised float images ``[n, 3, h, w]``."""
        return self.pool(self.features(images))

    def pool(self, features: Tensor) -> Tensor:
        """Embeddings ``[n, d]`` of features ``[n, d', h', w']``."""
        embedding: Tensor = features.mean((2, 3)) if self.head is None else self.head(features)
        return embedding

    @property
    def has_class_maps(self) -> bool:
        """Whether the classifier can be applied at each position: nothing but pooling stands before it."""
        return self.head is None

    def class_maps(self, features: Tensor) -> Tensor:
        """The classifier at each position, ``[n, classes, h', w']``; its mean is the logits."""
        maps = nn.functional.conv2d(features, self.classifier.weight[:, :, None, None], self.classifier.bias)
        return maps.relu() if self.rectified else maps


class WithEmbedding(nn.Module):
    """A network that answers logits and embeddings, for a loss that looks at both."""

    def __init__(self, network: SceneNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``[n, classes]`` and embeddings ``[n, d]``."""
        embeddings = self.network.embed(images)
        return self.network.classifier(self.network.dropout(embeddings)), embeddings


class BundleGraph(nn.Module):
    """The network as a bundle carries it: uint8 ``[n, h, w, 3]`` in; out come what ``outputs`` names, in that order.

    These are ``logits`` and ``embedding``, then ``class_maps`` where the network has them, then ``evidence [n]`` where
    a module for it is given.
    """

    def __init__(self, network: SceneNetwork, evidence: EvidenceModule | None = None) -> None:
        super().__init__()
        self.network = network
        self.evidence = evidence
        self.normalise = Normalise(network.enlarge)
        enlarge = None if evidence is None else evidence.reading.enlarge
        self.normalise_reading = Normalise(enlarge) if enlarge not in (None, network.enlarge) else None

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of what ``forward`` returns."""
        maps = ("class_maps",) if self.network.has_class_maps else ()
        evidence = ("evidence",) if self.evidence is not None else ()
        return ("logits", "embedding", *maps, *evidence)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        network = self.network
        layers = () if self.evidence is None else self.evidence.reading.layers
        features, pooled = run_with_taps(network.features, self.normalise(images), layers)
        if self.normalise_reading is not None:
            _, pooled = run_with_taps(network.features, self.normalise_reading(images), layers)
        embedding = network.pool(features)
        found = [network.classifier(embedding), embedding]
        if network.has_class_maps:
            maps = network.class_maps(features)
            found.append(maps)
            if network.rectified:
                found[0] = maps.mean((2, 3))
        if self.evidence is not None:
            found.append(self.evidence(pooled, found[0]))
        return tuple(found)


def build(architecture: str, classes: int, *, dropout: float = 0.2, published_head: bool = False) -> SceneNetwork:
    """A network with fresh weights: features, pooling and a linear layer.

    ``published_head`` builds what published weights have between features and classifier, for an architecture that has
    such a head; others stay as they are. Raises TrainingError for an architecture that is not known.
    """
    chosen = find_architecture(architecture)
    features = chosen.features()
    head = chosen.published_head if published_head else None
    network = SceneNetwork(
        features,
        chosen.embedding_size if head is None else head.size,
        classes,
        dropout,
        head=None if head is None else head.build(features),
        architecture=chosen.name,
    )
    network.enlarge = chosen.enlarge
    network.one_size = head is not None and head.one_size
    return network
