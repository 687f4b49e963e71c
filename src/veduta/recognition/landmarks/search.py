"""Exact search by cosine among the reference vectors of landmarks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from veduta.errors import UsageError

# Similarities of so many numbers are in memory at once.
_MOST_NUMBERS = 2**24


class ReferenceVectors:
    """Vectors of length one, some of each landmark, and which landmark of them a photo resembles most.

    ``values`` is float32 ``[n, d]``, ``starts`` int64 ``[l]`` the first row of each of l landmarks, whose rows lie
    together. A landmark is as similar as the most similar of its vectors.
    """

    def __init__(self, values: NDArray[np.float32], starts: NDArray[np.int64]) -> None:
        if len(starts) and (starts[0] != 0 or bool((np.diff(starts) < 1).any()) or starts[-1] >= len(values)):
            raise UsageError("each landmark needs one vector or more, and all of its vectors in one place.")
        self.values, self.starts = values, starts
        self._single = len(starts) == len(values)

    def __len__(self) -> int:
        return len(self.starts)

    def similarities(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """The cosine ``[q, l]`` of each of q embeddings ``[q, d]`` of length one with each landmark."""
        found = embeddings @ self.values.T
        if self._single or not len(self):
            return found
        most: NDArray[np.float32] = np.maximum.reduceat(found, self.starts, axis=1)
        return most

    def nearest(self, embeddings: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The ``count`` most similar landmarks of each embedding, best first: places ``[q, k]``, cosines ``[q, k]``.

        k is smaller where there are fewer landmarks. Of equal ones the first comes first.
        """
        kept = min(count, len(self))
        places = np.empty((len(embeddings), kept), np.int64)
        cosines = np.empty((len(embeddings), kept), np.float32)
        part = max(1, _MOST_NUMBERS // max(1, len(self.values)))
        for first in range(0, len(embeddings) if kept else 0, part):
            found = self.similarities(embeddings[first : first + part])
            rows = slice(first, first + len(found))
            some = np.argpartition(-found, kept - 1, axis=1)[:, :kept] if kept < len(self) else None
            some = np.tile(np.arange(len(self)), (len(found), 1)) if some is None else np.sort(some, axis=1)
            values = np.take_along_axis(found, some, 1)
            order = np.argsort(-values, axis=1, kind="stable")
            places[rows] = np.take_along_axis(some, order, 1)
            cosines[rows] = np.take_along_axis(values, order, 1)
        return places, cosines
