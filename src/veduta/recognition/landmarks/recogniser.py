"""Which landmark a photo shows, or that it shows none, and what that rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veduta.errors import NoAnswer, UsageError
from veduta.images.decode import Limits, Photo, decode, read_bytes
from veduta.images.preprocess import Preprocessing
from veduta.models.bundle import Bundle
from veduta.models.session import Precision, Session
from veduta.models.store import find
from veduta.recognition.landmarks.index import LandmarkIndex, check_embedding
from veduta.recognition.landmarks.references import unit
from veduta.recognition.landmarks.vetoes import Scene, judged
from veduta.records import Candidate, LandmarkAnswer

#: So many candidates and reference photos stand in an answer.
CANDIDATES, REFERENCES = 3, 3


class PhotoEmbedder:
    """Photos in, embeddings of length one out.

    Attributes:
        bundle: the model on disk.
        session: its graph, compiled.
        preprocessing: what to ask the decoder for.
    """

    def __init__(self, bundle: Bundle, session: Session | None = None) -> None:
        if bundle.embedding is None:
            raise UsageError(f"the model {bundle.name} gives no embedding; choose another for landmarks.")
        self.bundle, self.session = bundle, session or Session(bundle.graph)
        self.preprocessing: Preprocessing = bundle.preprocessing
        self._output = bundle.embedding.name

    @classmethod
    def load(cls, model: str | Path, *, precision: Precision = "float32", threads: int | None = None) -> PhotoEmbedder:
        """The embedding of a model by its name or folder; raises what ``Bundle.load`` raises."""
        bundle = Bundle.load(find(str(model)))
        return cls(bundle, Session(bundle.graph, precision=precision, threads=threads))

    def warm_up(self) -> None:
        """Compile the graph now, as the first photo otherwise would."""
        for height, width in self.preprocessing.sizes:
            self.session.prepare(height, width, [self._output])

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """float32 ``[n, d]`` of n images uint8 ``[h, w, 3]`` that were prepared with ``preprocessing``.

        Raises NoAnswer where the model gives no number.
        """
        found = self.session.run(images, [self._output])[self._output]
        if not bool(np.isfinite(found).all()):
            raise NoAnswer(f"The model {self.bundle.name} gives no number for the photo; check it with another photo.")
        return unit(found)


class LandmarkRecogniser:
    """Photos in, landmarks out.

    ``embedder`` must be the one that ``index`` was made by; raises IndexIncompatible else.
    """

    def __init__(self, embedder: PhotoEmbedder, index: LandmarkIndex) -> None:
        check_embedding(index.embedding, embedder.bundle, f"the index {index.name}")
        self.embedder, self.index = embedder, index

    @property
    def preprocessing(self) -> Preprocessing:
        """What to ask the decoder for."""
        return self.embedder.preprocessing

    @property
    def depends_on(self) -> dict[str, str]:
        """All that the answers depend on, as plain values."""
        return {
            "embedding": self.index.embedding.embedding_id,
            "precision": self.embedder.session.precision,
            "index": self.index.name,
            "content": self.index.digest,
        }

    def recognise(
        self, photo: str | Path | bytes, *, scene: Scene | None = None, limits: Limits | None = None
    ) -> LandmarkAnswer:
        """What one photo shows; its own position has a say where it tells one. Raises PhotoError."""
        limits = limits or Limits()
        data = photo if isinstance(photo, bytes) else read_bytes(photo, limits)
        name = "the photo" if isinstance(photo, bytes) else str(photo)
        decoded = decode(data, [self.preprocessing], limits, name)
        return self.recognise_photos([decoded], [scene])[0]

    def recognise_photos(
        self, photos: Sequence[Photo], scenes: Sequence[Scene | None], index: int = 0
    ) -> list[LandmarkAnswer]:
        """Answers for decoded photos; ``photo.inputs[index]`` was made by ``preprocessing``.

        ``scenes`` tell what the scene network said of each, None where nobody asked it.
        """
        if not photos:
            return []
        embeddings = self.embedder.embed([photo.pixels(index) for photo in photos])
        return [
            self.answer(embedding, scene, photo.facts.position)
            for photo, embedding, scene in zip(photos, embeddings, scenes, strict=True)
        ]

    def answer(
        self,
        embedding: NDArray[np.float32],
        scene: Scene | None = None,
        position: tuple[float, float] | None = None,
    ) -> LandmarkAnswer:
        """The answer for an embedding ``[d]`` of length one.

        The candidates are judged from the most similar on: the first one that is similar enough and that neither scene
        nor position speaks against is the answer. What speaks against one never speaks for another.
        """
        index = self.index
        places, similarities = (each[0] for each in index.vectors.nearest(embedding[None], CANDIDATES + 1))
        candidates: list[Candidate] = []
        chosen: Candidate | None = None
        for place, similarity in zip(places[:CANDIDATES], similarities, strict=False):
            found = Candidate(index.landmark(int(place)), float(similarity), float(index.thresholds.values[place]))
            found = judged(found, index.file.outdoor(found.landmark.id), scene, position)
            if chosen is None and found.rejection is None:
                chosen = found
            candidates.append(found)
        margin = float(similarities[0] - similarities[1]) if len(places) > 1 else None
        answer = LandmarkAnswer(
            landmark=None if chosen is None else chosen.landmark,
            candidates=tuple(candidates),
            margin=margin,
            references=(),
            index=index.name,
            embedding_id=index.embedding.embedding_id,
        )
        if answer.shown is None:
            return answer
        return replace(answer, references=index.nearest_photos(answer.shown.id, embedding, REFERENCES))
