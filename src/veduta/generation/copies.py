"""How near a generated picture comes to a training photo: by what it shows, and by where in the picture that is.

An embedding alone is a poor witness: two forests are near each other in it, and a blurred or warped copy is further
from its photo than another photo of such a place. What little pixels say beside it tells them apart; figures in
``docs/generation.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from veduta.generation.measures import Features, unit

# The share of held-out photos that are as near as a copy.
_NEAR = 0.01
# Pictures are compared at this side, in pixels.
_SIDE = 8
# Rows of a matrix of distances that are computed at once.
_ROWS = 1024


@dataclass(frozen=True, slots=True)
class Nearest:
    """Of n pictures the most similar of some photos: its place and the distance to it, ``[n]`` each."""

    place: NDArray[np.int64]
    distance: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class CopyLimit:
    """The ``distance`` of the held-out photo that is the ``rank``-th nearest of ``held_out`` ones; nearer is a copy.

    The 100th part of the photos is nearer or as near, at least one. So are some pictures that are no copies: how many,
    is known the worse the fewer photos were held out.
    """

    distance: float
    rank: int
    held_out: int

    @property
    def by_chance(self) -> float:
        """The share of other photos that are expected to be nearer."""
        return self.rank / (self.held_out + 1)

    def chance_of(self, nearer: int, pictures: int) -> float:
        """How likely so many of ``pictures`` or more are nearer, if they are as near as held-out photos are.

        The share below the k-th of n is distributed as Beta(k, n + 1 - k), whatever the distances are, so the count is
        beta-binomial (Wilks 1941, "Determination of sample sizes for setting tolerance limits").
        """
        from scipy.stats import betabinom

        return float(betabinom.sf(nearer - 1, pictures, self.rank, self.held_out + 1 - self.rank))


@dataclass(frozen=True, slots=True)
class Copies:
    """How near pictures come to the training photos: the ``nearest`` photo to each, against the ``limit``."""

    limit: CopyLimit
    nearest: Nearest

    @property
    def closer(self) -> int:
        """How many are nearer than the limit."""
        return int((self.nearest.distance < self.limit.distance).sum())

    @property
    def closest(self) -> float:
        """The smallest distance."""
        return float(self.nearest.distance.min())

    @property
    def expected(self) -> float:
        """How many would be nearer, if they were as near as held-out photos."""
        return len(self.nearest.place) * self.limit.by_chance

    @property
    def chance(self) -> float:
        """How likely so many are nearer then."""
        return self.limit.chance_of(self.closer, len(self.nearest.place))


class Originals:
    """Photos that pictures may be copies of, as they are and mirrored, for a training mirrors them, too."""

    def __init__(self, photos: NDArray[np.uint8], features: Features) -> None:
        """``photos`` uint8 ``[n, h, w, 3]`` and their embeddings ``[n, d]``."""
        self._rows = _signs(photos, features), _signs(photos[:, :, ::-1], features)

    def nearest(self, pictures: NDArray[np.uint8], features: Features) -> Nearest:
        """The most similar photo to each of ``pictures``, whose embeddings are ``features``.

        The distance is the mean of two cosine distances: of the embeddings, and of the details at 8 by 8 pixels.
        """
        places, distances = [], []
        signs = _signs(pictures, features)
        for first in range(0, len(signs), _ROWS):
            some = signs[first : first + _ROWS]
            similarity = np.maximum(*(some @ rows.T for rows in self._rows))
            place = similarity.argmax(axis=1)
            places.append(place)
            # Rounding makes equals a little more than alike.
            distances.append(np.maximum(1 - np.take_along_axis(similarity, place[:, np.newaxis], axis=1)[:, 0], 0))
        return Nearest(np.concatenate(places).astype(np.int64), np.concatenate(distances).astype(np.float32))

    def limit(self, held_out: NDArray[np.uint8], features: Features) -> CopyLimit:
        """What is nearer than one in a hundred of ``held_out`` photos, which are no copies."""
        distances = np.sort(self.nearest(held_out, features).distance)
        rank = math.ceil(_NEAR * len(distances))
        return CopyLimit(float(distances[rank - 1]), rank, len(distances))


def _signs(pictures: NDArray[np.uint8], features: Features) -> Features:
    """Rows whose products are the mean of both cosines."""
    details = np.stack([_details(picture) for picture in pictures])
    return np.concatenate((unit(features), unit(details)), axis=1) / np.float32(np.sqrt(2))


def _details(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What is lighter or darker than its surroundings, without the sky's and the land's colours: float ``[192]``."""
    small = Image.fromarray(picture).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    around = small.filter(ImageFilter.BoxBlur(1))
    return (np.asarray(small, np.float32) - np.asarray(around, np.float32)).ravel()
