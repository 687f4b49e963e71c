"""The embedding that leaves a training: what was learnt, joined with what the network knew before.

The trained blocks have seen a few landmarks and forget some of what tells others apart, or tells a bridge from a cat.
So the graph keeps both, the trained blocks and the untouched ones behind the same lower layers; either answer is scaled
to length one, they are put side by side, and learned whitening makes one short vector of them. ``docs/landmarks.md``
tells what each part brings.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from veduta.training.augment import augment
from veduta.training.landmarks.network import EmbeddingHead
from veduta.training.landmarks.whitening import learned_whitening
from veduta.training.networks import SceneNetwork
from veduta.training.normalise import Normalise
from veduta.training.photo_sets import PhotoSet
from veduta.training.schedules import Schedule

#: How loud the untouched network speaks beside the trained one.
UNTOUCHED = 1.0
#: So many changed views of each training photo tell what should count for little.
VIEWS = 2

_TOGETHER = 32


class Branches(nn.Module):
    """Layers that two networks share, and after them those of each: ``[n, c, h', w']`` of both, one after the other."""

    def __init__(self, shared: nn.Module, trained: nn.Module, untouched: nn.Module) -> None:
        super().__init__()
        self.shared, self.trained, self.untouched = shared, trained, untouched

    def forward(self, images: Tensor) -> Tensor:
        features = self.shared(images)
        return torch.cat([self.trained(features), self.untouched(features)], dim=1)


class JoinedHead(nn.Module):
    """From the features of ``Branches`` to embeddings ``[n, size]`` of length one."""

    def __init__(self, head: EmbeddingHead, channels: int, size: int) -> None:
        super().__init__()
        self.head, self.channels = head, channels
        self.project = nn.Linear(head.linear.out_features + channels, size)

    def forward(self, features: Tensor) -> Tensor:
        return functional.normalize(self.project(self.side_by_side(features)), dim=1)

    def side_by_side(self, features: Tensor) -> Tensor:
        """Both answers ``[n, d + c]``, each scaled."""
        learnt = functional.normalize(self.head(features[:, : self.channels]), dim=1)
        known = functional.normalize(features[:, self.channels :].mean((2, 3)), dim=1)
        return torch.cat([learnt, UNTOUCHED * known], dim=1)


def join(
    trained: SceneNetwork, untouched: SceneNetwork, photos: PhotoSet, size: int, schedule: Schedule
) -> SceneNetwork:
    """One network of both, whose embedding has ``size`` numbers. What counts in it is learnt from ``photos``, the last
    class of which shows no landmark, and from views of them that ``schedule`` changes as in the training.

    Raises TrainingError where there are fewer photos than numbers wanted.
    """
    head = trained.head
    assert isinstance(head, EmbeddingHead)
    channels = head.linear.in_features
    shared, upper, kept = _parted(trained.features, untouched.features)
    joined = JoinedHead(head, channels, size)
    network = SceneNetwork(
        Branches(shared, upper, kept), size, 2, dropout=0.0, head=joined, architecture=trained.architecture
    ).eval()
    network.enlarge = trained.enlarge
    values = _side_by_side(network, joined, photos.batches(_TOGETHER))
    views = [_side_by_side(network, joined, _changed(photos, schedule, view)) for view in range(VIEWS)]
    origin, projection = learned_whitening(values, photos.labels.astype(np.int64), views, size)
    with torch.no_grad():
        joined.project.weight.copy_(torch.from_numpy(projection))
        joined.project.bias.copy_(torch.from_numpy(-projection @ origin))
    return network


def pooled_features(network: SceneNetwork, photos: PhotoSet) -> NDArray[np.float32]:
    """The mean features ``[n, c]`` of unchanged photos."""
    normalise, found = Normalise(network.enlarge), []
    network.eval()
    with torch.inference_mode():
        for images in photos.batches(_TOGETHER):
            features = network.features(normalise(images).contiguous(memory_format=torch.channels_last))
            found.append(features.mean((2, 3)).numpy())
    values: NDArray[np.float32] = np.concatenate(found)
    return values


def _side_by_side(network: SceneNetwork, head: JoinedHead, batches: Iterable[Tensor]) -> NDArray[np.float32]:
    normalise, found = Normalise(network.enlarge), []
    with torch.inference_mode():
        for images in batches:
            features = network.features(normalise(images).contiguous(memory_format=torch.channels_last))
            found.append(head.side_by_side(features).numpy())
    values: NDArray[np.float32] = np.concatenate(found)
    return values


def _changed(photos: PhotoSet, schedule: Schedule, view: int) -> Iterator[Tensor]:
    """All photos, each changed as in an epoch that the training did not come to."""
    side, how = schedule.side or photos.side, schedule.augmentation
    for first in range(0, len(photos), _TOGETHER):
        places = range(first, min(first + _TOGETHER, len(photos)))
        changed = [
            augment(photos.photo(place), side, how, (schedule.seed, schedule.epochs + view, place), photos.people)
            for place in places
        ]
        yield torch.from_numpy(np.stack(changed))


def _parted(trained: nn.Module, untouched: nn.Module) -> tuple[nn.Module, nn.Module, nn.Module]:
    """The layers at the beginning that are still the same in both, and the rest of each.

    Of a network that is no plain sequence nothing is shared, and both are computed whole.
    """
    if not isinstance(trained, nn.Sequential) or type(trained) is not nn.Sequential:
        return nn.Identity(), copy.deepcopy(trained), copy.deepcopy(untouched)
    assert isinstance(untouched, nn.Sequential)
    first = next(
        (place for place, layers in enumerate(zip(trained, untouched, strict=True)) if not _same(*layers)), len(trained)
    )
    return (copy.deepcopy(part) for part in (trained[:first], trained[first:], untouched[first:]))  # type: ignore[return-value]


def _same(one: nn.Module, other: nn.Module) -> bool:
    tensors, others = one.state_dict(), other.state_dict()
    return all(torch.equal(tensor, others[name]) for name, tensor in tensors.items())
