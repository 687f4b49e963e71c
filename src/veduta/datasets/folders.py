"""Labelled photos from a folder of class folders, as the models will see them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veduta.errors import UsageError
from veduta.images.decode import decode
from veduta.images.preprocess import Preprocessing
from veduta.images.sources import EXTENSIONS
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


def list_class_folders(root: Path, folders: Sequence[str]) -> list[Sample]:
    """The photos of ``root/<folder>/`` for each of ``folders``, in that order, sorted by name within a folder.

    A sample's label is its folder. Raises UsageError where a folder is missing or holds no photo.
    """
    samples: list[Sample] = []
    for name in folders:
        folder = root / name
        found = sorted(p for p in folder.iterdir() if p.suffix.lower() in EXTENSIONS) if folder.is_dir() else []
        if not found:
            raise UsageError(f"the class folder {folder} holds no photos; each class needs some.")
        samples += [Sample(str(path), name) for path in found]
    return samples


def read_class_folders(root: Path, folders: Sequence[str], wanted: Preprocessing) -> LabelledPhotos:
    """Decode all photos of the class folders into memory; the target of a photo is its folder's place in ``folders``.

    Raises UsageError as ``list_class_folders``, PhotoError where a photo can't be decoded.
    """
    samples = list_class_folders(root, folders)
    place = {name: target for target, name in enumerate(folders)}
    targets = np.array([place[sample.label or ""] for sample in samples], np.int64)

    def read(sample: Sample) -> NDArray[np.uint8]:
        return decode(Path(sample.path).read_bytes(), [wanted], name=sample.path).pixels(0)

    height, width = wanted.sizes[0]
    pixels = np.empty((len(samples), height, width, 3), np.uint8)
    with ThreadPoolExecutor(2) as pool:
        for index, image in enumerate(pool.map(read, samples)):
            pixels[index] = image
    names = tuple(Path(sample.path).relative_to(root).as_posix() for sample in samples)
    return LabelledPhotos(pixels, targets, names)
