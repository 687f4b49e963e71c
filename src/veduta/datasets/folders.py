"""Labelled photos from a folder of class folders: which there are, and as the models will see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veduta.datasets.reading import read_pixels
from veduta.errors import UsageError
from veduta.images.limits import printable
from veduta.images.preprocess import Preprocessing
from veduta.images.sources import expand
from veduta.records import Sample


@dataclass(frozen=True, slots=True)
class LabelledPhotos:
    """Photos in memory with their classes.

    ``pixels`` is uint8 ``[n, h, w, 3]``, ``targets`` int64 ``[n]``, ``names`` the paths below the root.
    """

    pixels: NDArray[np.uint8]
    targets: NDArray[np.int64]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.targets)

    def subset(self, chosen: NDArray[np.bool_]) -> LabelledPhotos:
        """The photos where ``chosen`` ``[n]`` is true."""
        names = tuple(name for name, keep in zip(self.names, chosen, strict=True) if keep)
        return LabelledPhotos(self.pixels[chosen], self.targets[chosen], names)


def class_folders(root: Path) -> list[str]:
    """The names of the folders in ``root`` but the hidden ones, sorted. Raises UsageError where it can't be listed."""
    try:
        return sorted(each.name for each in root.iterdir() if each.is_dir() and not each.name.startswith("."))
    except OSError as error:
        raise UsageError(
            f"{printable(str(root))} can't be listed ({error.strerror}); give a folder that holds a folder of photos "
            "for each class."
        ) from error


def photos_in(folder: Path) -> list[Sample]:
    """The photos of one class, sorted: all in its folder and in those below it, hidden ones left out.

    A sample's label is the folder's name. What a class folder holds is told here alone, so that a training and an
    evaluation see the same photos.
    """
    try:
        return [Sample(sample.path, folder.name) for sample in expand([str(folder)])] if folder.is_dir() else []
    except UsageError:  # no photo in it
        return []


def list_class_folders(root: Path, folders: Sequence[str]) -> list[Sample]:
    """The photos of ``root/<folder>/`` for each of ``folders``, in that order; see ``photos_in``.

    Raises UsageError where a folder is missing or holds no photo.
    """
    samples: list[Sample] = []
    for name in folders:
        found = photos_in(root / name)
        if not found:
            raise UsageError(f"the class folder {printable(str(root / name))} holds no photos; each class needs some.")
        samples += found
    return samples


def read_class_folders(root: Path, folders: Sequence[str], wanted: Preprocessing) -> LabelledPhotos:
    """Decode all photos of the class folders into memory; the target of a photo is its folder's place in ``folders``.

    Raises UsageError as ``list_class_folders``, PhotoError where a photo can't be decoded.
    """
    samples = list_class_folders(root, folders)
    place = {name: target for target, name in enumerate(folders)}
    targets = np.array([place[sample.label or ""] for sample in samples], np.int64)
    pixels = read_pixels([sample.path for sample in samples], wanted)
    names = tuple(Path(sample.path).relative_to(root).as_posix() for sample in samples)
    return LabelledPhotos(pixels, targets, names)
