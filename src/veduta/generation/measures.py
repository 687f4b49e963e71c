"""How good generated pictures are, by features of them and of photos ``[n, d]``.

Fréchet distance (FID, Heusel et al. 2017) and kernel distance (KID, Bińkowski et al. 2018) are torchmetrics'. Precision
and recall are those of Kynkäänniemi et al. 2019, on scikit-learn's neighbours.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]

# Subsets whose kernel distances are averaged, and their size.
_SUBSETS, _SUBSET_SIZE = 100, 200
# A picture is like the others where it is no further than their third neighbour.
_NEIGHBOURS = 3
# Rows of a matrix of distances that are computed at once.
_ROWS = 1024


def unit(features: Features) -> Features:
    """Rows of length 1."""
    return np.asarray(features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12), np.float32)


def diversity(features: Features) -> float:
    """The mean cosine distance of two different rows: 0 for one picture again and again."""
    rows = unit(features).astype(np.float64)
    count = len(rows)
    if count < 2:
        return 0.0
    # Of all pairs at once: |sum|^2 is the sum of all products.
    total = float(np.square(rows.sum(axis=0)).sum())
    return max(0.0, 1 - (total - count) / (count * (count - 1)))


def diversity_within(features: Features, targets: NDArray[np.int64]) -> float:
    """``diversity`` of the pictures of each class with two or more, their mean over the classes."""
    found = [diversity(features[targets == target]) for target in np.unique(targets) if (targets == target).sum() > 1]
    return float(np.mean(found)) if found else 0.0


def precision_and_recall(real: Features, made: Features) -> tuple[float, float]:
    """The share of generated pictures that lie among photos, and of photos that lie among generated pictures.

    To lie among others is to be within the distance from one of them to its third neighbour (Kynkäänniemi et al. 2019,
    arXiv:1904.06991). Both sides are cut to as many, for the radius depends on their number.
    """
    from sklearn.neighbors import NearestNeighbors

    count = min(len(real), len(made))
    real, made = unit(real[:count]), unit(made[:count])

    def share(rows: Features, others: Features) -> float:
        known = NearestNeighbors(n_neighbors=_NEIGHBOURS + 1, algorithm="brute").fit(others)
        # The first neighbour of a row is itself.
        radius = known.kneighbors(others)[0][:, -1]
        inside = np.zeros(len(rows), bool)
        for first in range(0, len(rows), _ROWS):
            cosine = rows[first : first + _ROWS] @ others.T
            distance = np.sqrt(np.maximum(2 - 2 * cosine, 0))
            inside[first : first + _ROWS] = (distance <= radius).any(axis=1)
        return float(inside.mean())

    return share(made, real), share(real, made)


def kernel_distance(real: Features, made: Features, seed: int = 0) -> tuple[float, float]:
    """KID and its standard deviation over subsets: unbiased, so few pictures do; about 0 for alike sets."""
    import torch
    from torchmetrics.image.kid import KernelInceptionDistance

    size = min(_SUBSET_SIZE, len(real), len(made))
    with warnings.catch_warnings():
        # That it keeps all features in memory; they are there already.
        warnings.simplefilter("ignore", UserWarning)
        metric = KernelInceptionDistance(feature=torch.nn.Identity(), subsets=_SUBSETS, subset_size=size)
    metric.update(torch.from_numpy(real), real=True)
    metric.update(torch.from_numpy(made), real=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        mean, deviation = metric.compute()
    return float(mean), float(deviation)


def frechet_distance(real: Features, made: Features) -> float:
    """FID. With few pictures it is too large, the more the longer the features are; compare equal numbers alone."""
    import torch
    from torchmetrics.image.fid import FrechetInceptionDistance

    as_they_are = torch.nn.Identity()
    as_they_are.num_features = torch.tensor(real.shape[1])
    metric = FrechetInceptionDistance(feature=as_they_are)
    metric.update(torch.from_numpy(real), real=True)
    metric.update(torch.from_numpy(made), real=False)
    return float(metric.compute())
