"""What a network calls a photo among the classes that it was trained for, as more features of it.

A network that tells 120 breeds of dogs apart knows a dog in any coat; a classifier of a few hundred photos that reads
the features alone does not. Answers of classifiers for other classes describe a photo (Torresani, Szummer and
Fitzgibbon 2010, "Efficient Object Category Recognition Using Classemes"). Cube roots of the probabilities are taken, so
that the second and third guess are heard beside the first (power normalisation, Perronnin, Sánchez and Mensink 2010).

Of 695 cats and dogs, learnt from two thirds with noise in them, 98.6 % were told apart with and 98.1 % without, and 94
instead of 89 % were at least 99 % probable, of which 99.8 % were right both times. Of 1,467 places of 27 kinds 91.1 %
were told with and 91.7 % without: so whoever learns tries both (``linear.learn``). The power and the loudness were
chosen on these cats and dogs.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from veduta.training.architectures import find_architecture
from veduta.training.layouts import expected_shapes, fit
from veduta.training.networks import SceneNetwork

# Weights for fewer classes than these describe little.
_FEWEST = 200
_POWER = 1 / 3
# Half as strong as the features of MobileNetV2.
_LOUDNESS = 4.9


class Classemes(nn.Module):
    """Features of ``base``, and what ``classifier`` says of the mean of their first channels, alike at each position.

    From ``[n, 3, h, w]`` to ``[n, d + c, h', w']``, d the channels of ``base`` and c the classifier's classes.
    """

    def __init__(self, base: nn.Module, classifier: nn.Linear) -> None:
        super().__init__()
        self.base, self.classifier = base, classifier

    def forward(self, images: Tensor) -> Tensor:
        """Features of normalised images."""
        features: Tensor = self.base(images)
        read = features[:, : self.classifier.in_features].mean((2, 3))
        said = _LOUDNESS * self.classifier(read).softmax(1).pow(_POWER)
        everywhere = said[:, :, None, None] + torch.zeros_like(features[:, :1])
        return torch.cat([features, everywhere], dim=1)


def add_classemes(network: SceneNetwork, tensors: Mapping[str, Tensor]) -> int:
    """Let a network's features say what its weights' own classifier says; returns for how many classes, 0 for none.

    ``tensors`` are those that the weights were fitted from, as ``read_checkpoint`` gives them. Nothing is changed where
    they have no such classifier on the pooled features, or one of few classes.
    """
    assert network.architecture is not None
    wanted = find_architecture(network.architecture)
    found = fit(tensors, wanted, expected_shapes(network)).tensors
    weight, bias = found.get("classifier.weight"), found.get("classifier.bias")
    embedding = network.classifier.in_features
    published_head = wanted.published_head is not None or wanted.rectified or network.head is not None
    if weight is None or bias is None or published_head or weight.ndim != 2 or len(weight) < _FEWEST:
        return 0
    classes, read = weight.shape
    if read > embedding or bias.shape != (classes,):
        return 0
    classifier = nn.Linear(read, classes)
    classifier.load_state_dict({"weight": weight, "bias": bias})
    network.features = Classemes(network.features, classifier)
    network.classifier = nn.Linear(embedding + classes, network.classifier.out_features)
    return int(classes)
