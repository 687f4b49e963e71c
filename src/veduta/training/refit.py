"""The last classifier, of all photos: those that were held out to choose teach, too, once all is chosen.

Every held-out photo is judged by a classifier that learnt from all photos but those of its part (cross-validation,
Stone 1974). So the figures still tell what strangers will see, and the logits calibrate.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from veduta.datasets.split import folds_of
from veduta.errors import UsageError
from veduta.training.calibrated_loss import calibrated_loss
from veduta.training.networks import SceneNetwork
from veduta.training.photo_sets import PhotoSet
from veduta.training.probe import choose_decay, embed, regress

_PARTS = 5
# Fewer could not tell which classifier is better, nor be parted.
_FEWEST = 4 * _PARTS


@dataclass(frozen=True, slots=True)
class Refit:
    """What it brought on the held-out photos: their calibrated loss before and after, and their ``logits`` ``[n, c]``,
    each by a classifier that did not learn from its part.
    """

    before: float
    after: float
    logits: NDArray[np.float32]

    @property
    def sentence(self) -> str:
        """What was done, and why."""
        return (
            f"The classifier was fitted again, to all photos: held-out ones are then told with a loss of "
            f"{self.after:.4f}, each by a classifier that learnt from the other parts; it was {self.before:.4f}."
        )

    @property
    def told(self) -> dict[str, Any]:
        """The same for a run's configuration."""
        return {"refit": {"calibrated_loss_before": self.before, "calibrated_loss_after": self.after}}


def refit_classifier(
    network: SceneNetwork,
    training: PhotoSet,
    validation: PhotoSet,
    groups: Sequence[str] | None,
    *,
    loss: float,
    seed: int,
    regressed: bool = False,
) -> Refit | None:
    """Give ``network`` the regression on the embeddings of all photos, where it does better than ``loss``, the
    calibrated loss of the classifier that it has; None, and nothing is changed, where it does not, or the held-out
    photos are too few to tell. ``regressed`` says that this classifier is such a regression already, on ``training``
    alone: then there is nothing to compare, for more photos teach more, and its decay was chosen on the held-out ones.

    The decay is the one that does best on ``validation`` when ``training`` alone teaches. ``groups`` ``[n]`` names
    photos of ``validation`` that are judged together, "" for each that is alone.
    """
    parts = _parts(validation, groups, seed)
    if parts is None:
        return None
    classifier, before = network.classifier, copy.deepcopy(network.classifier.state_dict())
    embeddings, held = embed(network, training), embed(network, validation)
    decay = choose_decay(classifier, embeddings, training.labels, held, validation.labels)
    together = torch.cat([embeddings, held])
    labels = np.concatenate([training.labels, validation.labels])
    logits = np.empty((len(held), classifier.out_features), np.float32)
    for part in range(_PARTS):
        out = parts == part
        taught = np.concatenate([np.ones(len(embeddings), bool), ~out])
        regress(classifier, together[torch.from_numpy(taught)], labels[taught], decay)
        with torch.no_grad():
            logits[out] = classifier(held[torch.from_numpy(out)]).numpy()
    after = calibrated_loss(logits, validation.labels)
    if not (regressed or after < loss):
        classifier.load_state_dict(before)
        return None
    regress(classifier, together, labels, decay)
    return Refit(loss, after, logits)


def _parts(validation: PhotoSet, groups: Sequence[str] | None, seed: int) -> NDArray[np.int64] | None:
    """The part ``[n]`` of each held-out photo; None where they are too few, or in too few groups, to be parted."""
    if len(validation) < _FEWEST:
        return None
    try:
        return folds_of(validation.labels, _PARTS, seed, groups, learnt_besides=True)
    except UsageError:
        return None
