"""How much each of several models should count in their average, learnt on photos whose classes are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veduta.errors import UsageError
from veduta.evaluation.calibration import FEWEST_PHOTOS
from veduta.evaluation.figures import LEAST_PROBABILITY
from veduta.evaluation.metrics import Interval, bootstrap_interval

#: Photos are dealt into so many parts; each is judged by weights that were learnt on the others.
FOLDS = 10

# The weights found lose at most this many nats a photo to the best there are.
_TOLERANCE = 1e-6
_MOST_ROUNDS = 20_000


@dataclass(frozen=True, slots=True)
class Nats:
    """A mean over photos in nats, as of the log loss, with its 95 % interval."""

    value: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Pooling:
    """Learnt ``weights`` of models, and what they are good for on the ``photos`` that they were learnt on.

    ``alone`` is the log loss of each model by itself, ``equal`` that of all with the same weight, ``weighted`` that of
    weights which were learnt on other photos than those that they are judged on. ``gain`` is how much lower the last is
    than ``equal``, photo by photo, so its interval is narrower than the two losses' own suggest.
    """

    weights: tuple[float, ...]
    photos: int
    alone: tuple[Nats, ...]
    equal: Nats
    weighted: Nats
    gain: Nats

    @property
    def better(self) -> bool:
        """Whether the learnt weights are better than equal ones on photos that they were not learnt on."""
        return self.gain.value > 0.0


def pool_weights(truth: NDArray[np.floating]) -> NDArray[np.float64]:
    """The weights ``[models]`` of least log loss of the weighted mean, given each model's probability of the truth.

    ``truth`` is ``[models, photos]``: what each model says of each photo's true label. The weights maximise the sum
    over photos of ``log(sum over models of weight * truth)``, each at least 0 and one in sum: the optimal linear pool
    (Hall and Mitchell 2007; Geweke and Amisano 2011, "Optimal prediction pools"). That is concave, so there is one
    maximum. Each round sets every weight to its mean share of what the pool says of the truth: expectation maximisation
    (Dempster, Laird and Rubin 1977), from equal weights on, never downhill. Whatever the weights, the maximum is at
    most ``log(max over models of mean(truth / pool))`` away (Cover 1984, "An algorithm for maximizing expected log
    investment return"), which tells when to stop.

    Models that say the same share a weight equally. Probabilities below ``LEAST_PROBABILITY`` count as that.

    Raises UsageError for no models, no photos, or numbers that are no probabilities.
    """
    said = _checked(truth)
    weights = np.full(len(said), 1.0 / len(said))
    for _ in range(_MOST_ROUNDS):
        # [models]: how many times what a model says of the truth is what the pool says, on average.
        ratio = (said / (weights @ said)).mean(axis=1)
        if ratio.max() <= 1.0 + _TOLERANCE:
            break
        weights *= ratio
        weights /= weights.sum()
    return weights


def pool_gain(weights: Sequence[float], truth: NDArray[np.floating]) -> float:
    """How much lower the log loss of ``weights`` ``[models]`` is than that of equal ones on ``truth``.

    ``truth`` ``[models, photos]`` is that of ``pool_weights``, of photos that the weights were not learnt on. In nats;
    raises what ``pool_weights`` raises.
    """
    said = _checked(truth)
    return float((np.log(np.array(weights) @ said) - np.log(said.mean(axis=0))).mean())


def judge_pool(truth: NDArray[np.floating], *, folds: int = FOLDS, seed: int = 0) -> Pooling:
    """Learn weights and judge them by cross-validation: each part of the photos by weights learnt on all others.

    ``truth`` is that of ``pool_weights``. Intervals are the bootstrap's, over photos. Raises UsageError for fewer than
    two models or ``FEWEST_PHOTOS`` photos, fewer than two parts, and what ``pool_weights`` raises.
    """
    said = _checked(truth)
    models, photos = said.shape
    if models < 2:
        raise UsageError("one model has nothing to be weighed against; give two or more.")
    if photos < FEWEST_PHOTOS:
        raise UsageError(f"{photos:,} photos are too few to weigh models on; give {FEWEST_PHOTOS} or more.")
    if not 2 <= folds <= photos:
        raise UsageError(f"{photos:,} photos can't be dealt into {folds} parts; ask for 2 or more, {FOLDS} is usual.")
    part = np.random.default_rng(seed).permutation(photos) % folds
    held_out = np.empty(photos)
    for fold in range(folds):
        held_out[part == fold] = pool_weights(said[:, part != fold]) @ said[:, part == fold]
    equal, weighted = -np.log(said.mean(axis=0)), -np.log(held_out)
    return Pooling(
        weights=tuple(pool_weights(said).tolist()),
        photos=photos,
        alone=tuple(_mean(-np.log(row)) for row in said),
        equal=_mean(equal),
        weighted=_mean(weighted),
        gain=_mean(equal - weighted),
    )


def _checked(truth: NDArray[np.floating]) -> NDArray[np.float64]:
    if truth.ndim != 2 or not truth.size:
        raise UsageError(f"{list(truth.shape)} are no probabilities of [models, photos]; give one of each at least.")
    said = truth.astype(np.float64)
    # A sum of float32 probabilities may end a hair above one; no number fails both comparisons.
    if not (said.min() >= 0.0 and said.max() <= 1.0 + 1e-5):
        raise UsageError(
            "models are weighed by probabilities from 0 to 1; divide by the temperature, take the softmax."
        )
    return np.clip(said, LEAST_PROBABILITY, 1.0)


def _mean(of_photos: NDArray[np.float64]) -> Nats:
    return Nats(float(of_photos.mean()), bootstrap_interval(lambda drawn: float(drawn.mean()), of_photos))
