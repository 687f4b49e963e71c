"""Adding a landmark to an index: a handful of photos, no training.

What is told besides: whether each photo would be found again without itself, and with which landmarks it collides.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from veduta.errors import PhotoError, UsageError
from veduta.images.decode import Limits, Thumbnail, Wanted, decode, read_bytes
from veduta.images.limits import printable
from veduta.positions import in_range
from veduta.recognition.landmarks.entries import MAX_NAME, Entry, Reference
from veduta.recognition.landmarks.index import LandmarkIndex, check_embedding
from veduta.recognition.landmarks.index_file import IndexFile
from veduta.recognition.landmarks.recogniser import PhotoEmbedder
from veduta.recognition.landmarks.references import reference_vectors
from veduta.recognition.tagger import Tagger
from veduta.records import Failure, Landmark

#: The longer side of a reference photo's thumbnail, in pixels.
THUMBNAIL_SIDE = 320
#: Two landmarks whose photos are so similar on average are one.
SAME = 0.95

_TOGETHER = 16


@dataclass(frozen=True, slots=True, eq=False)
class SeenPhotos:
    """Photos that could be embedded, those that could not, and the share that is outdoors (None: nobody looked).

    ``copies`` had the same content as another and count once.
    """

    references: tuple[Reference, ...]
    failures: tuple[Failure, ...] = ()
    copies: int = 0
    outdoor: float | None = None

    @property
    def embeddings(self) -> NDArray[np.float32]:
        """``[n, d]`` of length one."""
        return np.stack([each.embedding for each in self.references])


@dataclass(frozen=True, slots=True)
class Collision:
    """Another landmark that some of the photos resemble enough to be taken for it; the largest ``similarity``."""

    landmark: Landmark
    photos: int
    similarity: float


@dataclass(frozen=True, slots=True, eq=False)
class Enrolled:
    """What came of an enrolment: ``found_again`` of ``photos`` are found when they are left out of the references,
    None where there is one photo alone.
    """

    landmark: Landmark
    photos: int
    found_again: int | None
    collisions: tuple[Collision, ...]
    failures: tuple[Failure, ...]
    copies: int


def new_landmark(
    name: str,
    *,
    city: str | None = None,
    position: tuple[float, float] | None = None,
    source: str | None = "own photos",
    names: tuple[tuple[str, str], ...] = (),
) -> Landmark:
    """A landmark whose id is its name, and its city's where that is given, in plain small letters.

    Raises UsageError for a name that says nothing, and for a position that is none on Earth.
    """
    for what, text in (("landmark", name), ("city", city)):
        if text is not None and not (text.strip() and text.isprintable() and len(text) <= MAX_NAME):
            raise UsageError(
                f"the {what} {printable(text)[:80]!r} can't be meant; give a name of 1 to {MAX_NAME} letters."
            )
    if position is not None and not in_range(*position):
        raise UsageError(
            f"the position {position[0]:g}, {position[1]:g} is out of range; give a latitude from -90 to 90 and a "
            "longitude from -180 to 180."
        )
    id = plain_id(name) if city is None else f"{plain_id(name)}/{plain_id(city)}"
    return Landmark(id, name.strip(), None if city is None else city.strip(), position, names, source)


def plain_id(name: str) -> str:
    """``Cité de l'Espace`` as ``cite_de_l_espace``; letters of other scripts stay."""
    without_marks = "".join(
        letter for letter in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(letter)
    )
    return re.sub(r"[\W_]+", "_", without_marks).strip("_")[:90] or "landmark"


def see_photos(
    paths: Sequence[str],
    embedder: PhotoEmbedder,
    *,
    scenes: Tagger | None = None,
    thumbnails: bool = True,
    limits: Limits | None = None,
    on_photo: Callable[[int, int], None] = lambda _done, _all: None,
) -> SeenPhotos:
    """Decode and embed photos; ``scenes`` tells which are outdoors. Equal contents count once."""
    limits = limits or Limits()
    wanted: list[Wanted] = [embedder.preprocessing, Thumbnail(THUMBNAIL_SIDE)]
    if scenes is not None:
        wanted.append(scenes.preprocessing)
    references: list[Reference] = []
    failures: list[Failure] = []
    seen: set[str] = set()
    outdoor: list[bool] = []
    for first in range(0, len(paths), _TOGETHER):
        photos = []
        for path in paths[first : first + _TOGETHER]:
            try:
                photo = decode(read_bytes(path, limits), wanted, limits, path)
            except PhotoError as error:
                failures.append(Failure(path, type(error).__name__, str(error)))
                continue
            if photo.digest not in seen:
                seen.add(photo.digest)
                photos.append((path, photo))
        if photos:
            embeddings = embedder.embed([photo.pixels(0) for _, photo in photos])
            for (path, photo), embedding in zip(photos, embeddings, strict=True):
                picture = photo.inputs[1]
                kept = picture if thumbnails and isinstance(picture, bytes) else None
                references.append(Reference(path, photo.digest, embedding, kept))
            if scenes is not None:
                predictions = scenes.predict_photos([photo for _, photo in photos], 2)
                outdoor += [each.environment.kind == "outdoor" for each in predictions if each.environment is not None]
        on_photo(min(first + _TOGETHER, len(paths)), len(paths))
    share = sum(outdoor) / len(outdoor) if outdoor else None
    return SeenPhotos(tuple(references), tuple(failures), len(paths) - len(references) - len(failures), share)


def enrol(
    file: IndexFile, embedder: PhotoEmbedder, landmark: Landmark, photos: SeenPhotos, *, add: bool = False
) -> Enrolled:
    """Put a landmark into an index; ``add`` adds photos to one that is there.

    Raises UsageError where no photo can be used, where the id is taken (or, with ``add``, is not), and where the index
    has these photos under another name; IndexIncompatible for another embedding; OutputError. The index then is as it
    was before.
    """
    check_embedding(file.embedding, embedder.bundle, f"the index {file.file.name}")
    if not photos.references:
        first = f"; the first: {photos.failures[0].message}" if photos.failures else ""
        raise UsageError(f"no photo of {landmark.name} can be used{first}. The index is as it was.")
    # What is read must be what is changed: another program may be adding photos, too.
    with file.changing():
        index = LandmarkIndex.of(file)
        there = file.landmark(landmark.id)
        if add and there is None:
            raise UsageError(f"the index has no landmark {landmark.id} to add photos to; enrol it first.")
        if there is not None and not add:
            where = f" in {there.city}" if there.city else ""
            raise UsageError(
                f"the index has {there.name}{where} already, as {there.id}; add photos to it (--add), or tell the two "
                "apart by their cities (--city)."
            )
        before = file.photos(landmark.id, thumbnails=True) if add else []
        known = {each.digest for each in before}
        new = [each for each in photos.references if each.digest not in known]
        references = (*before, *new)
        embeddings = np.stack([each.embedding for each in references])
        _check_not_another(file, index, landmark, references, embeddings)
        again = _found_again(index, landmark.id, embeddings)
        collisions = _collisions(index, landmark.id, embeddings)
        told = landmark if there is None else replace(there, position=landmark.position or there.position)
        outdoor = _together(file.outdoor(landmark.id), len(before), photos.outdoor, len(new))
        file.put(Entry(told, reference_vectors(embeddings), references, outdoor))
    return Enrolled(told, len(references), again, collisions, photos.failures, photos.copies)


def _together(old: float | None, old_photos: int, new: float | None, new_photos: int) -> float | None:
    """The share of all photos that is outdoors; where nobody looked at some, that of the others."""
    shares = [(share, count) for share, count in ((old, old_photos), (new, new_photos)) if share is not None and count]
    count = sum(count for _, count in shares)
    return sum(share * count for share, count in shares) / count if count else None


def _check_not_another(
    file: IndexFile,
    index: LandmarkIndex,
    landmark: Landmark,
    references: Sequence[Reference],
    embeddings: NDArray[np.float32],
) -> None:
    """Raises UsageError where the photos, or their like, are another landmark of the index."""
    if not len(index):
        return
    similarities = index.vectors.similarities(embeddings)
    mine = np.array([id == landmark.id for id in index.ids])
    means = np.where(mine, -1.0, similarities.mean(axis=0))
    other = int(means.argmax())
    if mine[other]:
        return
    digests = {each.digest for each in file.photos(index.ids[other])}
    same = sum(each.digest in digests for each in references)
    if means[other] >= SAME or 2 * same > len(references):
        name = index.landmark(other)
        raise UsageError(
            f"the photos show what the index has as {name.name} ({name.id}, similarity {means[other]:.2f}, {same} of "
            f"{len(references)} photos the same); add them to that (--add), or remove it first. The index is as it was."
        )


def _found_again(index: LandmarkIndex, id: str, embeddings: NDArray[np.float32]) -> int | None:
    """How many of the photos are nearest to their own landmark, and near enough, when they are not among its own."""
    count = len(embeddings)
    if count < 2:
        return None
    others = [place for place, known in enumerate(index.ids) if known != id]
    rivals = index.vectors.similarities(embeddings)[:, others].max(axis=1) if others else np.full(count, -1.0)
    threshold = index.thresholds.usual
    found = 0
    for place in range(count):
        rest = reference_vectors(np.delete(embeddings, place, axis=0))
        own = float((rest @ embeddings[place]).max())
        found += own > rivals[place] and own >= threshold
    return found


def _collisions(index: LandmarkIndex, id: str, embeddings: NDArray[np.float32]) -> tuple[Collision, ...]:
    similarities = index.vectors.similarities(embeddings)
    taken = similarities >= index.thresholds.values[None] if len(index) else np.zeros((0, 0), bool)
    found = [
        Collision(index.landmark(place), int(taken[:, place].sum()), float(similarities[:, place].max()))
        for place in map(int, np.flatnonzero(taken.any(axis=0)) if len(index) else ())
        if index.ids[place] != id
    ]
    return tuple(sorted(found, key=lambda each: (-each.photos, -each.similarity)))
