"""How good an index of landmarks is, on photos that it has not seen.

Two presets, as the field asks in two ways. ``cloud``: labelled landmarks among many photos of none, and how many of
each are answered rightly. ``search``: up to ten photos of each landmark, precision and recall as means over landmarks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from veduta.datasets.manifest import read_data
from veduta.datasets.reading import read_readable
from veduta.errors import UsageError
from veduta.evaluation.landmark_figures import (
    NONE,
    Answers,
    Share,
    by_landmark,
    global_average_precision,
    some_of_each,
)
from veduta.images.limits import printable
from veduta.images.sources import expand
from veduta.recognition.landmarks.enrolment import plain_id
from veduta.recognition.landmarks.index import LandmarkIndex
from veduta.recognition.landmarks.recogniser import CANDIDATES, PhotoEmbedder
from veduta.recognition.landmarks.references import reference_vectors
from veduta.recognition.landmarks.search import ReferenceVectors
from veduta.recognition.landmarks.thresholds import choose_thresholds
from veduta.training.people import People, paste_all

Preset = Literal["cloud", "search"]

#: The rates of false alarms that recall is told at, by an oracle's threshold.
RATES = (0.01, 0.001)
#: So much of a photo a pasted person covers.
COVER = (0.2, 0.4)
#: Photos that a landmark is enrolled from, without training.
SHOTS = (1, 3, 5)
#: Photos of a landmark in ``search``.
MOST_IN_SEARCH = 10

_TOGETHER = 32


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Answers on photos as they are, with people pasted in (None where nobody asked), and for landmarks that were
    enrolled anew from few photos, by how many.
    """

    preset: Preset
    plain: Answers
    people: Answers | None
    few: dict[int, Answers]
    unreadable: int

    def values(self) -> dict[str, Any]:
        """All figures, as JSON values."""
        told: dict[str, Any] = {"preset": self.preset, "unreadable": self.unreadable, "photos": _figures(self.plain)}
        if self.people is not None:
            told["with_people"] = _figures(self.people)
        if self.few:
            told["enrolled_from"] = {str(shots): _figures(answers) for shots, answers in self.few.items()}
        return told


def judge(
    index: LandmarkIndex,
    embedder: PhotoEmbedder,
    photos: Path,
    others: Sequence[str],
    *,
    preset: Preset = "cloud",
    people: People | None = None,
    few: Sequence[str] = (),
    seed: int = 0,
    on_photo: Callable[[int, int], None] = lambda _done, _all: None,
) -> Judged:
    """Judge an index by ``photos``, a folder for each landmark or a manifest (its test photos, where it has some), and
    by ``others``, which show none.

    ``few`` names landmarks that are enrolled anew, from 1, 3 and 5 of their reference photos; only their photos are
    judged then, the other landmarks staying in the index.
    Raises UsageError where no photo is of a landmark of the index, or there are none at all.
    """
    paths, truths = _labelled(index, photos)
    if preset == "search":
        chosen = some_of_each(truths, MOST_IN_SEARCH, seed)
        paths, truths = [paths[place] for place in chosen], [truths[place] for place in chosen]
    of_others = [sample.path for sample in expand(others)] if others else []
    wanted = embedder.preprocessing
    read = read_readable([*paths, *of_others], wanted, on_photo=on_photo)
    assert read.pixels is not None
    kept = np.array([*truths, *([NONE] * len(of_others))], np.int64)[read.kept]
    embeddings = _embed(embedder, list(read.pixels))
    pasted = None
    if people is not None:
        shown = np.flatnonzero(kept != NONE)
        changed = paste_all([read.pixels[place] for place in shown], people, seed, COVER)
        with_people = embeddings.copy()
        with_people[shown] = _embed(embedder, changed)
        pasted = _answers(index.vectors, index.thresholds.values, with_people, kept)
    return Judged(
        preset,
        _answers(index.vectors, index.thresholds.values, embeddings, kept),
        pasted,
        _from_few(index, few, embeddings, kept, seed) if few else {},
        len(read.failures),
    )


def _labelled(index: LandmarkIndex, photos: Path) -> tuple[list[str], list[int]]:
    """Paths, and the place in the index of the landmark of each; ``NONE`` for one that the index does not have."""
    manifest = read_data(photos)
    if manifest.task != "single_label":
        raise UsageError(
            "a photo shows one landmark here; give a folder for each landmark, or one label for each photo."
        )
    entries = [entry for entry in manifest.photos if entry.split == "test"] or list(manifest.photos)
    places = _places_by_label(index)
    truths = [places.get(plain_id(entry.labels[0]), places.get(entry.labels[0], NONE)) for entry in entries]
    if all(truth == NONE for truth in truths):
        names = ", ".join(sorted({printable(entry.labels[0]) for entry in entries})[:3])
        raise UsageError(f"{printable(str(photos))} has no landmark of the index {index.name}: it has {names}, ...")
    return [entry.path for entry in entries], truths


def _places_by_label(index: LandmarkIndex) -> dict[str, int]:
    """Places by what a label may say: an id, or where that is one landmark's alone, its name or its label in a table
    (``one--porto`` for ``one/porto``).
    """
    by_name: dict[str, list[int]] = {}
    for place, landmark in enumerate(index.file.landmarks()):
        for name in {plain_id(landmark.name), plain_id(landmark.id), landmark.id.replace("/", "--")}:
            by_name.setdefault(name, []).append(place)
    found = {name: places[0] for name, places in by_name.items() if len(places) == 1}
    return found | {id: place for place, id in enumerate(index.ids)}


def _embed(embedder: PhotoEmbedder, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    parts = [embedder.embed(images[first : first + _TOGETHER]) for first in range(0, len(images), _TOGETHER)]
    return np.concatenate(parts)


def _answers(
    vectors: ReferenceVectors,
    thresholds: NDArray[np.float32],
    embeddings: NDArray[np.float32],
    truths: NDArray[np.int64],
) -> Answers:
    """As the recogniser answers: of the most similar the first that reaches its threshold, else the most similar."""
    places, similarities = vectors.nearest(embeddings, min(CANDIDATES, len(vectors.starts)))
    scores = similarities - thresholds[places]
    # Where none passes, argmax of nothing but False is the first.
    chosen = (scores >= 0).argmax(axis=1)
    rows = np.arange(len(chosen))
    return Answers(truths, places[rows, chosen].astype(np.int64), scores[rows, chosen].astype(np.float64))


def _from_few(
    index: LandmarkIndex, few: Sequence[str], embeddings: NDArray[np.float32], truths: NDArray[np.int64], seed: int
) -> dict[int, Answers]:
    """Answers where these landmarks are known by few photos; photos of other landmarks are left out."""
    places = _places_by_label(index)
    wanted = [places.get(plain_id(name), places.get(name, NONE)) for name in few]
    if NONE in wanted:
        raise UsageError(
            f"the index {index.name} has no landmark {printable(few[wanted.index(NONE)])!r} to enrol anew."
        )
    ends = [*index.vectors.starts[1:].tolist(), len(index.vectors.values)]
    whole = [index.vectors.values[start:end] for start, end in zip(index.vectors.starts, ends, strict=True)]
    photos = {place: np.stack([each.embedding for each in index.file.photos(index.ids[place])]) for place in wanted}
    others = index.file.others()
    chosen = np.isin(truths, wanted) | (truths == NONE)
    found: dict[int, Answers] = {}
    for shots in SHOTS:
        parts = list(whole)
        for place, known in photos.items():
            drawn = np.random.default_rng((seed, shots, place)).permutation(len(known))[:shots]
            parts[place] = reference_vectors(known[drawn])
        starts = np.concatenate([[0], np.cumsum([len(part) for part in parts])[:-1]]).astype(np.int64)
        vectors = ReferenceVectors(np.concatenate(parts), starts)
        thresholds = choose_thresholds(vectors.similarities(others), index.thresholds.false_alarms)
        found[shots] = _answers(vectors, thresholds.values, embeddings[chosen], truths[chosen])
    return found


def _figures(answers: Answers) -> dict[str, Any]:
    means = by_landmark(answers)
    told: dict[str, Any] = {
        "closed_set": _share(answers.closed_set()),
        "landmarks": _share(answers.found()),
        "gap": round(global_average_precision(answers), 4),
        "by_landmark": {
            "precision": round(means.precision, 4),
            "recall": round(means.recall, 4),
            "landmarks": means.landmarks,
        },
    }
    if not answers.of_landmarks.all():
        told["others"] = _share(answers.refused())
        for rate in RATES:
            told[f"landmarks_at_{rate:g}"] = _share(answers.found(answers.threshold_at(rate)))
    return told


def _share(share: Share) -> dict[str, Any]:
    lower, upper = share.interval
    return {
        "value": round(share.value, 4),
        "interval": [round(lower, 4), round(upper, 4)],
        "right": share.right,
        "count": share.count,
    }
