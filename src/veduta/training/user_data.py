"""A user's photos, read as far as they can be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veduta.datasets.reading import OnPhoto, read_readable
from veduta.errors import UsageError
from veduta.images.preprocess import Preprocessing
from veduta.records import Failure
from veduta.training.dataset import Dataset
from veduta.training.photo_sets import PhotoFiles, PhotoSet

#: Photos that take more memory than this stay on disk and are decoded each time.
MEMORY = 4 * 2**30


@dataclass(frozen=True, slots=True)
class ReadPhotos:
    """The photos that can be decoded; ``kept`` ``[n]`` is true for them, ``failures`` tell why the others can't."""

    photos: PhotoSet
    kept: NDArray[np.bool_]
    failures: tuple[Failure, ...]


def read_photos(
    dataset: Dataset,
    wanted: Preprocessing,
    *,
    memory: int | None = None,
    on_photo: OnPhoto = lambda _done, _all: None,
) -> ReadPhotos:
    """The photos that can be decoded: in memory, where ``memory`` bytes (None is ``MEMORY``) hold them all; else each
    is tried once now, and decoded whenever it is needed.
    """
    height, width = wanted.sizes[0]
    held = len(dataset.paths) * height * width * 3 <= (MEMORY if memory is None else memory)
    found = read_readable(dataset.paths, wanted, keep_pixels=held, on_photo=on_photo)
    paths = tuple(path for path, keep in zip(dataset.paths, found.kept, strict=True) if keep)
    pixels = PhotoFiles(paths, wanted) if found.pixels is None else found.pixels
    return ReadPhotos(PhotoSet(pixels, dataset.targets[found.kept]), found.kept, found.failures)


def check_left(dataset: Dataset, chosen: NDArray[np.bool_], read: ReadPhotos) -> None:
    """Raises UsageError where a label had photos among those where ``chosen`` ``[n]`` is true, and none is left."""
    gone = (dataset.counts(chosen) > 0) & (dataset.counts(chosen & read.kept) == 0)
    if gone.any():
        raise UsageError(
            f"no photo of {dataset.labels[int(gone.argmax())]} is left to train on, for "
            f"{len(read.failures)} of {len(read.kept)} photos can't be decoded; the first: {read.failures[0].message}"
        )
