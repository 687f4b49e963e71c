"""What a model says about labelled photos, decoded by the pool, a few at a time, in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veduta.datasets.folders import class_folders, photos_in
from veduta.errors import NoAnswer, PhotoError, UsageError
from veduta.images.decode import Photo
from veduta.images.pool import DecodePool
from veduta.recognition.tagger import Tagger
from veduta.records import Failure, Prediction, Sample

# Enough to keep both the decoders and the model busy; a decoded photo of 128 pixels takes 50 kB.
_BATCH, _AHEAD = 32, 4


@dataclass(frozen=True, slots=True)
class Answers:
    """The photos that got an answer, with it, and those that got none.

    ``probabilities`` is float32 ``[n, classes]``; ``evidence`` float32 ``[n]``, None where the model has no
    such output.
    """

    samples: tuple[Sample, ...]
    probabilities: NDArray[np.float32]
    evidence: NDArray[np.float32] | None
    failures: tuple[Failure, ...]


def list_labelled(root: Path) -> list[Sample]:
    """The photos of a folder of class folders, sorted; a sample's label is the class folder that it lies in.

    Photos deeper in a class folder are its own. Folders that hold no photo are left out, and so are hidden ones.

    Raises UsageError where there is no such folder, or no photo in any class folder.
    """
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder; give one that holds a folder of photos for each class.")
    samples = [sample for name in class_folders(root) for sample in photos_in(root / name)]
    if not samples:
        raise UsageError(
            f"{root} holds no class folders with photos; give one that does, such as photos/kitchen/1.jpg."
        )
    return samples


def ask(
    tagger: Tagger,
    samples: Iterable[Sample],
    pool: DecodePool,
    progress: Callable[[int, int], None] | None = None,
) -> Answers:
    """Ask a model about every photo; one that can't be read becomes a failure and the others go on.

    ``progress`` is told the photos done and the failures among them.
    """
    answered: list[Sample] = []
    said: list[Prediction] = []
    failures: list[Failure] = []
    for batch in _batches(_decoded(tagger, samples, pool)):
        readable: list[tuple[Sample, Photo]] = []
        for sample, future in batch:
            try:
                readable.append((sample, future.result()))
            except PhotoError as error:
                failures.append(Failure(sample.path, type(error).__name__, str(error)))
        for sample, answer in _predict(tagger, readable):
            if isinstance(answer, NoAnswer):
                failures.append(Failure(sample.path, type(answer).__name__, str(answer)))
            else:
                answered.append(sample)
                said.append(answer)
        if progress is not None:
            progress(len(answered) + len(failures), len(failures))
    rows = [prediction.probabilities for prediction in said if prediction.probabilities is not None]
    return Answers(
        samples=tuple(answered),
        probabilities=np.stack(rows) if rows else np.empty((0, len(tagger.labels)), np.float32),
        evidence=_evidence(tagger, said),
        failures=tuple(failures),
    )


def _decoded(tagger: Tagger, samples: Iterable[Sample], pool: DecodePool) -> Iterator[tuple[Sample, Future[Photo]]]:
    waiting: deque[tuple[Sample, Future[Photo]]] = deque()
    for sample in samples:
        waiting.append((sample, pool.submit(sample.path, [tagger.preprocessing])))
        if len(waiting) >= _AHEAD * _BATCH:
            yield waiting.popleft()
    yield from waiting


def _batches(
    decoded: Iterator[tuple[Sample, Future[Photo]]],
) -> Iterator[list[tuple[Sample, Future[Photo]]]]:
    while batch := list(islice(decoded, _BATCH)):
        yield batch


def _predict(tagger: Tagger, readable: list[tuple[Sample, Photo]]) -> Iterator[tuple[Sample, Prediction | NoAnswer]]:
    """Each photo with its prediction; where a batch holds one without a number, its photos are asked one by one."""
    by_size: dict[tuple[int, ...], list[int]] = {}
    for index, (_, photo) in enumerate(readable):
        by_size.setdefault(photo.pixels(0).shape, []).append(index)
    found: dict[int, Prediction | NoAnswer] = {}
    for indices in by_size.values():
        try:
            found |= zip(indices, tagger.predict_photos([readable[index][1] for index in indices]), strict=True)
        except NoAnswer:
            found |= {index: _predict_one(tagger, readable[index][1]) for index in indices}
    for index, (sample, _) in enumerate(readable):
        yield sample, found[index]


def _predict_one(tagger: Tagger, photo: Photo) -> Prediction | NoAnswer:
    try:
        return tagger.predict_photos([photo])[0]
    except NoAnswer as error:
        return error


def _evidence(tagger: Tagger, said: list[Prediction]) -> NDArray[np.float32] | None:
    if tagger.bundle.evidence is None:
        return None
    return np.array([prediction.evidence.value for prediction in said if prediction.evidence is not None], np.float32)
