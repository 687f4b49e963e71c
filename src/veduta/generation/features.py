"""What pictures are measured by: the embedding of a named model; no torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from veduta.errors import UsageError
from veduta.images.preprocess import Preprocessing, prepare
from veduta.models.bundle import Bundle
from veduta.models.session import Session
from veduta.models.store import find
from veduta.recognition.tagger import DEFAULT_MODEL

# Pictures that are enlarged at once.
_AT_ONCE = 128


class FeatureNetwork:
    """A model's embedding, for pictures in memory. ``name`` says whose: figures of two names can't be compared."""

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        """Raises UsageError for a model without an embedding."""
        if bundle.embedding is None:
            raise UsageError(f"{bundle.name} gives no embedding to measure pictures by; choose another model.")
        self.bundle, self._output = bundle, bundle.embedding.name
        self._session = Session(bundle.graph, threads=threads)
        height, width = bundle.preprocessing.sizes[0]
        self.name = f"{bundle.name}, {height} by {width} pixels ({bundle.embedding_id[:8]})"

    @classmethod
    def load(cls, model: str | Path = DEFAULT_MODEL, threads: int | None = None) -> FeatureNetwork:
        """Of a model by its name or folder. Raises BundleError, UsageError."""
        return cls(Bundle.load(find(str(model))), threads)

    def prepare(self) -> None:
        """Compile it now; the model's files are not needed after that."""
        self._session.prepare(*self.bundle.preprocessing.sizes[0], [self._output])

    def __call__(
        self,
        pictures: NDArray[np.uint8],
        on_picture: Callable[[int, int], None] = lambda _done, _all: None,
    ) -> NDArray[np.float32]:
        """Features ``[n, d]`` of pictures uint8 ``[n, h, w, 3]``."""
        found = []
        for first in range(0, len(pictures), _AT_ONCE):
            some = pictures[first : first + _AT_ONCE]
            found.append(self._session.run(self._seen(some), [self._output])[self._output])
            on_picture(first + len(some), len(pictures))
        return np.concatenate(found)

    def _seen(self, pictures: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
        return [prepared(picture, self.bundle.preprocessing) for picture in pictures]


def prepared(picture: NDArray[np.uint8], wanted: Preprocessing) -> NDArray[np.uint8]:
    """A picture uint8 ``[h, w, 3]`` as a model sees it."""
    image = Image.fromarray(picture)
    return prepare(image, wanted, image.size)[0]
