"""Networks that train here and leave as one ONNX graph.

Most are a feature extractor, global average pooling and one linear layer, so that the classifier applied at each
position gives ``class_maps`` whose mean is the logits (Zhou et al. 2016, "Learning Deep Features for Discriminative
Localization"). AlexNet and VGG have fully connected layers in between: they see photos of one size only, and have no
class maps. All are torchvision's, part by part, so that its weights and those of its many users fit.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn
from torchvision import models

from veduta.errors import TrainingError
from veduta.images.preprocess import Preprocessing
from veduta.training.normalise import Normalise, Recentre
from veduta.training.taps import EvidenceModule, run_with_taps

__all__ = ["ARCHITECTURES", "Architecture", "BundleGraph", "Normalise", "SceneNetwork", "build", "find_architecture"]

#: A feature extractor, and the fully connected layers between it and the classifier where there are some.
Parts = tuple[nn.Module, nn.Module | None]


class SceneNetwork(nn.Module):
    """Features ``[n, d', h', w']``, an embedding ``[n, d]`` made of them, and a linear classifier.

    Without a ``head`` the embedding is the mean of the features over their positions, and d = d'. A ``head`` maps
    features to the embedding itself. ``rectified`` says that the classifier is applied at each position, negative
    answers become 0, and the mean of what is left is the logits: SqueezeNet as ImageNet trained it. ``enlarge`` says
    how much larger unchanged photos are made before they enter, see ``Normalise``.
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


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network that can be built, and what its weights elsewhere look like.

    ``embedding_size`` is d; ``smallest`` the least side in pixels that leaves a feature. ``body`` and ``classifier``
    are prefixes of keys in torchvision's layout: of the feature extractor (empty where its layers lie at the top) and
    of the last layer. ``hidden`` are the numbers of the fully connected layers before that one. ``dropped`` is what
    only training used. ``rectified`` tells that ImageNet's classifier is a convolution with a ReLU, then the pooling.
    ``enlarge`` is how much larger photos are made inside the graph.
    """

    name: str
    builder: Callable[[], Parts]
    embedding_size: int
    smallest: int
    body: str = ""
    classifier: str = "fc"
    hidden: tuple[int, ...] = ()
    dropped: str | None = None
    rectified: bool = False
    enlarge: float = 1.0
    side: int = 224
    short_side: int = 256

    @property
    def preprocessing(self) -> Preprocessing:
        """What torchvision's first ImageNet weights were measured with."""
        return Preprocessing("crop", ((self.side, self.side),), "bilinear", self.short_side)


def _mobilenet(make: Callable[..., nn.Module]) -> Parts:
    network = make(weights=None)
    assert isinstance(network.features, nn.Module)
    return network.features, None


def _densenet(make: Callable[..., nn.Module]) -> Parts:
    features, _ = _mobilenet(make)
    # torchvision does this between the features and the pooling.
    features.add_module("relu5", nn.ReLU(inplace=True))
    return features, None


def _resnet(make: Callable[..., nn.Module]) -> Parts:
    layers = OrderedDict(make(weights=None).named_children())
    del layers["avgpool"], layers["fc"]
    return nn.Sequential(layers), None


def _inception() -> Parts:
    # The usual start of its layers costs less than the default of convolutions, and torchvision asks to choose.
    network = models.inception_v3(weights=None, aux_logits=False, init_weights=True)
    layers: OrderedDict[str, nn.Module] = OrderedDict(recentre=Recentre())
    layers.update(network.named_children())
    for name in ("avgpool", "dropout", "fc"):
        del layers[name]
    return nn.Sequential(layers), None


def _fully_connected(make: Callable[..., nn.Module]) -> Parts:
    network = make(weights=None)
    assert isinstance(network.features, nn.Module)
    assert isinstance(network.avgpool, nn.Module)
    assert isinstance(network.classifier, nn.Sequential)
    layers = list(network.classifier)[:-1]
    if isinstance(layers[-1], nn.Dropout):
        layers.pop()  # SceneNetwork has its own before the classifier
    head = OrderedDict(pool=network.avgpool, flatten=nn.Flatten(), layers=nn.Sequential(*layers))
    return network.features, nn.Sequential(head)


ARCHITECTURES: dict[str, Architecture] = {
    "mobilenet_v2": Architecture(
        "mobilenet_v2", partial(_mobilenet, models.mobilenet_v2), 1280, 32, body="features.", classifier="classifier.1"
    ),
    "squeezenet1_1": Architecture(
        "squeezenet1_1",
        partial(_mobilenet, models.squeezenet1_1),
        512,
        17,
        body="features.",
        classifier="classifier.1",
        rectified=True,
    ),
    # For photos that have no more than 128 pixels: the graph enlarges them, for a network sees more in larger ones.
    "mobilenet_v2_128": Architecture(
        "mobilenet_v2_128",
        partial(_mobilenet, models.mobilenet_v2),
        1280,
        32,
        body="features.",
        classifier="classifier.1",
        enlarge=1.75,
        side=128,
        short_side=128,
    ),
    "resnet18": Architecture("resnet18", partial(_resnet, models.resnet18), 512, 32),
    "resnet50": Architecture("resnet50", partial(_resnet, models.resnet50), 2048, 32),
    "densenet161": Architecture(
        "densenet161", partial(_densenet, models.densenet161), 2208, 29, body="features.", classifier="classifier"
    ),
    "densenet201": Architecture(
        "densenet201", partial(_densenet, models.densenet201), 1920, 29, body="features.", classifier="classifier"
    ),
    "alexnet": Architecture(
        "alexnet",
        partial(_fully_connected, models.alexnet),
        4096,
        63,
        body="features.",
        classifier="classifier.6",
        hidden=(1, 4),
    ),
    "vgg16": Architecture(
        "vgg16",
        partial(_fully_connected, models.vgg16),
        4096,
        32,
        body="features.",
        classifier="classifier.6",
        hidden=(0, 3),
    ),
    "vgg19": Architecture(
        "vgg19",
        partial(_fully_connected, models.vgg19),
        4096,
        32,
        body="features.",
        classifier="classifier.6",
        hidden=(0, 3),
    ),
    "inception_v3": Architecture("inception_v3", _inception, 2048, 75, dropped="AuxLogits.", side=299, short_side=342),
}


def find_architecture(name: str) -> Architecture:
    """The architecture of this name. Raises TrainingError, naming those that there are."""
    if name not in ARCHITECTURES:
        raise TrainingError(f"there is no architecture {name!r}; there are: {', '.join(ARCHITECTURES)}.")
    return ARCHITECTURES[name]


def build(architecture: str, classes: int, *, dropout: float = 0.2) -> SceneNetwork:
    """A network with fresh weights. Raises TrainingError for an architecture that is not known."""
    chosen = find_architecture(architecture)
    features, head = chosen.builder()
    network = SceneNetwork(features, chosen.embedding_size, classes, dropout, head=head, architecture=chosen.name)
    network.enlarge = chosen.enlarge
    return network
