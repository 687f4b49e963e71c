"""Logistic regression on embeddings, its strength chosen and its scores judged on parts that are held out in turn."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from veduta.datasets.split import folds_of
from veduta.training.calibrated_loss import calibrated_loss

#: A class for each photo ``[n]``, or 1 for each label that is present ``[n, c]``.
Targets = NDArray[np.int64] | NDArray[np.float32]

# Strengths of regularisation that are tried, as scikit-learn's C for each photo.
_STRENGTHS = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
_ITERATIONS, _EXACT_ENOUGH = 300, 1e-3

# In place of a part: of pictures that are always learnt from.
_NEVER = -1


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """``weight`` float32 ``[c, d]`` and ``bias`` ``[c]``: logits are embedding @ weight.T + bias."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    def __call__(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = embeddings @ self.weight.T + self.bias
        return logits


@dataclass(frozen=True, slots=True, eq=False)
class Learnt:
    """What was learnt from n photos.

    ``logits`` ``[n, c]`` are those of photos by classifiers that did not see them, ``targets`` what these show, and
    ``strength`` is what was chosen by them; ``classifier`` was then fitted to all photos. It does not
    listen to the last ``left_out`` numbers of an embedding.
    """

    classifier: Linear
    strength: float
    logits: NDArray[np.float32]
    targets: Targets
    views: int
    left_out: int = 0


def learn(
    embeddings: NDArray[np.float32],
    targets: Targets,
    *,
    folds: int = 5,
    seed: int = 0,
    groups: Sequence[str] | None = None,
    optional: int = 0,
    besides: NDArray[np.bool_] | None = None,
) -> Learnt:
    """Choose the regularisation on held-out parts, answer for these, then fit to all photos.

    It is chosen by the loss at the best temperature, for that is fitted later anyway: by the plain one a weaker
    regularisation is chosen for its larger logits alone, which on 1,467 photos of 27 classes cost half a point to a
    point and a half of accuracy.

    ``embeddings`` ``[n, v, d]`` are of each photo as it is and of its changed views. The choice looks at the photos as
    they are, which takes a fraction of the time. ``groups`` ``[n]`` names photos that stay in one part, "" those that
    may go alone. The last ``optional`` numbers of the embeddings are left out where the others alone do better on the
    held-out parts. Where ``besides`` ``[n]`` is true, a picture is learnt from and never held out: it is neither chosen
    by nor among the answers. Raises UsageError where there are too few photos for so many parts.
    """
    part = _parts(targets, folds, seed, groups, besides)
    judged = part != _NEVER
    tried = {each: _without(embeddings, each) for each in dict.fromkeys((0, optional))}
    losses = {
        (left_out, strength): calibrated_loss(_held_out(heard[:, :1], targets, part, strength)[judged], targets[judged])
        for left_out, heard in tried.items()
        for strength in _STRENGTHS
    }
    left_out, strength = min(losses, key=lambda each: losses[each])
    heard = tried[left_out]
    fitted = fit_linear(heard, targets, strength)
    classifier = Linear(np.pad(fitted.weight, ((0, 0), (0, left_out))), fitted.bias)
    logits = _held_out(heard, targets, part, strength)
    return Learnt(classifier, strength, logits[judged], targets[judged], embeddings.shape[1] - 1, left_out)


def _parts(
    targets: Targets, folds: int, seed: int, groups: Sequence[str] | None, besides: NDArray[np.bool_] | None
) -> NDArray[np.int64]:
    """The part ``[n]`` that each picture is held out in."""
    if besides is None:
        return folds_of(targets, folds, seed, groups)
    dealt = np.flatnonzero(~besides)
    own = None if groups is None else [groups[int(place)] for place in dealt]
    part = np.full(len(targets), _NEVER, np.int64)
    part[dealt] = folds_of(targets[dealt], folds, seed, own, learnt_besides=True)
    return part


def _without(embeddings: NDArray[np.float32], left_out: int) -> NDArray[np.float32]:
    return embeddings[:, :, : embeddings.shape[2] - left_out]


def fit_linear(embeddings: NDArray[np.float32], targets: Targets, strength: float) -> Linear:
    """Logistic regression on all views of ``[n, v, d]``: softmax for targets ``[n]``, a sigmoid each for ``[n, c]``.

    What is regularised are the weights of embeddings whose numbers have mean 0 and, over all of them, deviation 1:
    strong ones stay strong, for made equal they cost up to two points of accuracy. Each photo weighs as much as its
    views together.
    """
    views = embeddings.shape[1]
    rows = embeddings.reshape(-1, embeddings.shape[2])
    mean = rows.mean(axis=0)
    deviation = max(float(rows.std(axis=0).mean()), 1e-6)
    rows = (rows - mean) / np.float32(deviation)
    truth = targets[np.repeat(np.arange(len(targets)), views)]
    if targets.ndim == 1:
        weight, bias = _fit_one(rows, truth, strength / views)
    else:
        fitted = [_fit_one(rows, column, strength / views) for column in truth.T]
        weight, bias = (np.concatenate(each) for each in zip(*fitted, strict=True))
    weight = weight / deviation
    return Linear(weight.astype(np.float32), (bias - weight @ mean).astype(np.float32))


def _fit_one(
    rows: NDArray[np.float32], truth: Targets, strength: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if truth.dtype.kind == "f" and (truth == truth[0]).all():
        # A label that all photos have, or none: the more photos the surer, by Laplace's rule of succession.
        sure = np.log(len(truth) + 1) * (1 if truth[0] else -1)
        return np.zeros((1, rows.shape[1])), np.array([sure])
    regression = LogisticRegression(C=strength, max_iter=_ITERATIONS, tol=_EXACT_ENOUGH)
    with warnings.catch_warnings():
        # So many iterations come near enough, and few photos of many classes are no mistake.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        regression.fit(rows, truth)
    if len(regression.classes_) == 2 and truth.dtype.kind == "i":
        # scikit-learn tells two classes by one number; a softmax of half of it each way says the same.
        return np.concatenate([-regression.coef_, regression.coef_]) / 2, np.concatenate(
            [-regression.intercept_, regression.intercept_]
        ) / 2
    return regression.coef_.astype(np.float64), regression.intercept_.astype(np.float64)


def _held_out(
    embeddings: NDArray[np.float32],
    targets: Targets,
    part: NDArray[np.int64],
    strength: float,
) -> NDArray[np.float32]:
    """Logits ``[n, c]`` of each photo as it is, by a classifier that was fitted to the other parts; 0 of what is never
    held out."""
    classes = int(targets.max()) + 1 if targets.ndim == 1 else targets.shape[1]
    logits = np.zeros((len(targets), classes), np.float32)
    for each in np.unique(part[part != _NEVER]):
        inside = part == each
        logits[inside] = fit_linear(embeddings[~inside], targets[~inside], strength)(embeddings[inside, 0])
    return logits
