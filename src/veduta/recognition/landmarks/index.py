"""An index of landmarks as recognition uses it: everything of the file that every photo needs, in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from veduta.errors import IndexIncompatible, UsageError
from veduta.images.limits import printable
from veduta.models.bundle import Bundle
from veduta.recognition.landmarks.entries import EmbeddingIdentity
from veduta.recognition.landmarks.index_file import IndexFile
from veduta.recognition.landmarks.search import ReferenceVectors
from veduta.recognition.landmarks.thresholds import FALSE_ALARMS, Thresholds, choose_thresholds
from veduta.records import Landmark, Match

#: An index where nobody names another lies in the folder of this name, beside the store of models.
FOLDER, DEFAULT, ENDING = "landmarks", "mine", ".landmarks"


@dataclass(frozen=True, slots=True, eq=False)
class LandmarkIndex:
    """The landmarks by place: their vectors to search, their ``thresholds``; what few photos need stays in the file.

    Reading is safe from several threads.
    """

    file: IndexFile
    ids: tuple[str, ...]
    vectors: ReferenceVectors
    thresholds: Thresholds

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the file; see ``IndexFile`` for the errors."""
        file = IndexFile(path)
        try:
            return cls.of(file)
        except BaseException:
            file.close()
            raise

    @classmethod
    def of(cls, file: IndexFile) -> Self:
        """What an open file holds now."""
        values, starts = file.vectors()
        vectors = ReferenceVectors(values, starts)
        rate = file.told("false_alarms")
        try:
            thresholds = choose_thresholds(
                vectors.similarities(file.others()), rate if isinstance(rate, float) else FALSE_ALARMS
            )
        except UsageError as error:
            raise file.corrupt(f"its share of false alarms is none ({rate!r:.40})") from error
        return cls(file, tuple(file.ids()), vectors, thresholds)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def name(self) -> str:
        """What people call it: the file's name without its ending."""
        return self.file.file.name.removesuffix(ENDING)

    @property
    def embedding(self) -> EmbeddingIdentity:
        """Whose vectors these are."""
        return self.file.embedding

    @property
    def digest(self) -> str:
        """Changes with all that an answer depends on: the landmarks, their vectors and photos, the thresholds."""
        hashed = blake3()
        for part in (self.vectors.values, self.vectors.starts, self.thresholds.values):
            hashed.update(np.ascontiguousarray(part).tobytes())
        hashed.update(self.file.outline().encode("utf-8", "backslashreplace"))
        return hashed.hexdigest(length=16)

    def landmark(self, place: int) -> Landmark:
        """The landmark at a place of ``vectors``."""
        found = self.file.landmark(self.ids[place])
        # Taken out by somebody else since: its name is gone, its id is what is left of it.
        return found or Landmark(self.ids[place], self.ids[place])

    def nearest_photos(self, id: str, embedding: NDArray[np.float32], count: int) -> tuple[Match, ...]:
        """The reference photos of a landmark that resemble a photo most, best first, by their paths."""
        photos = self.file.photos(id)
        similarities = [float(each.embedding @ embedding) for each in photos]
        order = sorted(range(len(photos)), key=lambda place: -similarities[place])[:count]
        return tuple(Match(photos[place].path, similarities[place], photos[place].digest) for place in order)

    def close(self) -> None:
        """Let go of the file."""
        self.file.close()


def check_embedding(embedding: EmbeddingIdentity, bundle: Bundle, what: str) -> None:
    """Raises IndexIncompatible where ``bundle`` gives another embedding than ``what`` holds."""
    if bundle.embedding is not None and bundle.embedding_id == embedding.embedding_id:
        return
    size = "none" if bundle.embedding is None else f"{bundle.embedding.size} numbers, {bundle.embedding_id[:12]}"
    raise IndexIncompatible(
        f"{printable(what)} was made by the embedding of {printable(embedding.model)} ({embedding.size} numbers, "
        f"{printable(embedding.embedding_id[:12])}), and {bundle.name} gives another ({size}); name the model that it "
        "was made by, or make the index anew."
    )


def identity_of(bundle: Bundle) -> EmbeddingIdentity:
    """What an index says of the model whose embeddings it holds. Raises IndexIncompatible for one that gives none."""
    if bundle.embedding is None:
        raise IndexIncompatible(f"the model {bundle.name} gives no embedding; choose another for landmarks.")
    return EmbeddingIdentity(bundle.name, bundle.embedding_id, bundle.embedding.size)
