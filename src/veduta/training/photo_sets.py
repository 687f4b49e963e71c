"""Photos with their targets, as a training takes them: decoded in memory or read file by file, and never copied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veduta.datasets.folders import LabelledPhotos
from veduta.datasets.reading import read_photo
from veduta.errors import TrainingError, UsageError
from veduta.images.preprocess import Preprocessing
from veduta.models.bundle import Task
from veduta.training.people import People


@dataclass(frozen=True, slots=True)
class PhotoFiles:
    """Photos that stay on disk: each is decoded whenever it is asked for. ``wanted`` has one size."""

    paths: tuple[str, ...]
    wanted: Preprocessing

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """uint8 ``[h, w, 3]``. Raises PhotoError, naming the file."""
        return read_photo(self.paths[index], self.wanted)


@dataclass(frozen=True, slots=True)
class PhotoSet:
    """Some photos of a larger array, by index, so that parts of it share its memory.

    ``pixels`` is uint8 ``[N, h, w, 3]`` or files; ``targets`` int64 ``[N]``, the class of each photo, or float32
    ``[N, c]``, 1 where a label is present; ``indices`` ``[n]`` says which photos are meant, all where it is None.
    ``teacher``, where given, are the logits ``[N, c]`` of a model to learn from, and ``people`` whom an augmentation
    that asks for people pastes in.

    Raises UsageError where they do not fit together.
    """

    pixels: NDArray[np.uint8] | PhotoFiles
    targets: NDArray[np.int64] | NDArray[np.float32]
    indices: NDArray[np.int64] | None = None
    teacher: NDArray[np.float32] | None = None
    people: People | None = None

    def __post_init__(self) -> None:
        if len(self.pixels) != len(self.targets) or self.targets.ndim not in (1, 2):
            raise UsageError(
                f"{len(self.pixels)} photos and targets of the shape {list(self.targets.shape)} do not fit; each photo "
                "needs the number of its class, or a row of 0 and 1."
            )
        if self.teacher is not None and (self.teacher.ndim != 2 or len(self.teacher) != len(self.pixels)):
            raise UsageError(f"{len(self.pixels)} photos need as many rows of a teacher's logits.")

    @classmethod
    def of(cls, photos: LabelledPhotos) -> PhotoSet:
        """All of ``photos``, without a copy."""
        return cls(photos.pixels, photos.targets)

    def __len__(self) -> int:
        return len(self.pixels if self.indices is None else self.indices)

    @property
    def task(self) -> Task:
        """One label for each photo, or any number of them."""
        return "single_label" if self.targets.ndim == 1 else "multi_label"

    @property
    def side(self) -> int:
        """The shorter side of the photos, in pixels."""
        sides = self.pixels.wanted.sizes[0] if isinstance(self.pixels, PhotoFiles) else self.pixels.shape[1:3]
        return int(min(sides))

    @property
    def chosen(self) -> NDArray[np.int64]:
        """The places ``[n]`` of these photos in the whole array."""
        return np.arange(len(self.pixels)) if self.indices is None else self.indices

    @property
    def labels(self) -> NDArray[np.int64] | NDArray[np.float32]:
        """The targets of these photos, ``[n]`` or ``[n, c]``."""
        return self.targets if self.indices is None else self.targets[self.indices]

    def photo(self, index: int) -> NDArray[np.uint8]:
        """One photo, uint8 ``[h, w, 3]``."""
        return self.pixels[index if self.indices is None else int(self.indices[index])]

    def subset(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> PhotoSet:
        """The photos where ``chosen`` ``[n]`` is true, or those with these numbers; pixels are shared."""
        return replace(self, indices=self.chosen[chosen])

    def read(self, first: int, last: int) -> NDArray[np.uint8]:
        """The photos from ``first`` up to ``last``, uint8 ``[k, h, w, 3]``; a copy of these alone."""
        if isinstance(self.pixels, PhotoFiles):
            return np.stack([self.photo(index) for index in range(first, min(last, len(self)))])
        return self.pixels[self.chosen[first:last]]

    def batches(self, size: int) -> Iterator[Tensor]:
        """All photos unchanged, in order, uint8 ``[k, h, w, 3]`` with k at most ``size``."""
        for first in range(0, len(self), size):
            yield torch.from_numpy(self.read(first, first + size))


def check_photos(training: PhotoSet, validation: PhotoSet, classes: int) -> None:
    """Raises TrainingError where there are none, or their targets or teacher do not fit a network of ``classes``."""
    for name, photos in (("training", training), ("validation", validation)):
        if not len(photos):
            raise TrainingError(f"there are no {name} photos; add some.")
        found = int(photos.labels.max()) + 1 if photos.task == "single_label" else photos.targets.shape[1]
        fits = found <= classes if photos.task == "single_label" else found == classes
        if not fits or photos.task != training.task:
            raise TrainingError(f"the {name} photos have {found} classes, and the network {classes}; they must agree.")
    if training.teacher is not None and training.teacher.shape[1] != classes:
        raise TrainingError(f"the teacher knows {training.teacher.shape[1]} classes, and the network {classes}.")
