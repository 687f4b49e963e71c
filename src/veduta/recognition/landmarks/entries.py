"""What an index of landmarks holds, and which texts and numbers it takes: hostile until they are checked."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from veduta.errors import UsageError
from veduta.images.limits import printable
from veduta.positions import in_range
from veduta.records import Landmark

#: So many characters may a name or an id have.
MAX_NAME = 200
#: So many what is told of its source.
MAX_SOURCE = 2000
#: So many numbers may an embedding have.
MAX_SIZE = 4096


@dataclass(frozen=True, slots=True)
class EmbeddingIdentity:
    """Whose vectors an index holds: the model's name, for people, and what its embeddings depend on; ``size`` numbers
    each.
    """

    model: str
    embedding_id: str
    size: int


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """A photo of a landmark, or of none: where it lay, the digest of its content, its embedding ``[d]`` of length one,
    and a small JPEG of it, where one is kept.
    """

    path: str
    digest: str
    embedding: NDArray[np.float32]
    thumbnail: bytes | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A landmark with what it is known by: ``vectors`` float32 ``[k, d]`` of length one.

    ``outdoor`` is the share of its photos that are outdoors, None where nobody looked.
    """

    landmark: Landmark
    vectors: NDArray[np.float32]
    photos: tuple[Reference, ...] = field(default=(), repr=False)
    outdoor: float | None = None


def checked_position(latitude: float, longitude: float) -> tuple[float, float]:
    """Degrees as they are. Raises ValueError where they are out of range."""
    if not in_range(latitude, longitude):
        raise ValueError(f"{latitude:g}, {longitude:g} is no position")
    return latitude, longitude


def bounded_text(value: object, most: int) -> str:
    """A text as it is. Raises ValueError for one that is none, empty, too long or not printable."""
    if not isinstance(value, str) or not 0 < len(value) <= most or not value.isprintable():
        raise ValueError(f"a text of 1 to {most} printable letters is expected")
    return value


def check_texts(landmark: Landmark) -> None:
    """By the rules of reading: what is written can be read again. Raises UsageError."""
    texts = {"id": landmark.id, "name": landmark.name, "city": landmark.city}
    texts |= {f"name in {language}": name for language, name in landmark.names}
    for what, text, most in (*((*each, MAX_NAME) for each in texts.items()), ("source", landmark.source, MAX_SOURCE)):
        if text is not None and not (0 < len(text) <= most and text.isprintable()):
            raise UsageError(
                f"the {what} of {printable(landmark.id)[:80]} can't be kept; give 1 to {most:,} printable letters."
            )
