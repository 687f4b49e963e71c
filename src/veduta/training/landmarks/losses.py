"""What an embedding of landmarks makes small: an angular margin, or softmax with a pull to each class's middle.

Of the last class, "no landmark", nothing common is asked: its photos have no middle, and no margin.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from veduta.training.landmarks.network import CenteredClassifier

#: The share of its way that a centre goes towards the photos of a batch (α of Wen et al. 2016).
FOLLOWING = 0.5


@dataclass(frozen=True, slots=True)
class ArcFaceLoss:
    """Cross-entropy after the angle to the photo's own class was made larger by ``margin``, in radians.

    With logits s cos θ it is the cross-entropy of s cos(θ + m) for the own class and s cos θ for the others (Deng et
    al. 2019, "ArcFace: Additive Angular Margin Loss for Deep Face Recognition"), θ + m at most π.
    """

    scale: float
    margin: float = 0.3

    def __call__(self, answer: tuple[Tensor, Tensor], targets: Tensor, _teacher: Tensor | None = None) -> Tensor:
        """The mean over ``targets`` ``[n, c]`` of zeros and a one; ``answer`` are logits ``[n, c]`` and embeddings."""
        logits, _ = answer
        # At ±1 the angle has no slope.
        cosines = (logits / self.scale).clamp(-1 + 1e-6, 1 - 1e-6)
        margins = self.margin * targets
        margins[:, -1] = 0
        widened = torch.cos((torch.acos(cosines) + margins).clamp(max=torch.pi))
        return functional.cross_entropy(self.scale * widened, targets)


@dataclass(frozen=True, slots=True)
class CenterLoss:
    """Cross-entropy plus ``weight`` times half the squared distance of each landmark's photo to its class's centre."""

    classifier: CenteredClassifier
    weight: float = 0.01

    def __call__(self, answer: tuple[Tensor, Tensor], targets: Tensor, _teacher: Tensor | None = None) -> Tensor:
        """The mean over ``targets`` ``[n, c]`` of zeros and a one; the centres follow."""
        logits, embeddings = answer
        numbers = targets.argmax(1)
        landmarks = numbers < targets.shape[1] - 1
        loss = functional.cross_entropy(logits, targets)
        if landmarks.any():
            own, places = embeddings[landmarks], numbers[landmarks]
            distances = (own - self.classifier.centres[places]).square().sum(1)
            loss = loss + self.weight * 0.5 * distances.mean()
            self.classifier.follow(own.detach(), places, FOLLOWING)
        return loss
