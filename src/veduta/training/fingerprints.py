"""What tells the photos and labels of one training from those of another."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from veduta.training.photo_sets import PhotoFiles, PhotoSet

# Photos that are hashed at once.
_BATCH = 256


def fingerprints(training: PhotoSet, validation: PhotoSet) -> dict[str, str]:
    """``photos`` and ``labels``: a BLAKE3 each of what is trained on and what is held out.

    Photos in memory count by their pixels, files by their sizes and their paths below the folder that holds them all,
    so that a set that was moved stays the same and nothing is decoded.
    """
    return {
        "labels": hash_arrays(training.labels, validation.labels),
        "photos": "+".join(hash_photos(each) for each in (training, validation)),
    }


def hash_arrays(*arrays: NDArray[Any]) -> str:
    """Of shapes and contents."""
    hashed = blake3()
    for array in arrays:
        hashed.update(str(array.shape).encode())
        hashed.update(np.ascontiguousarray(array).tobytes())
    return hashed.hexdigest(length=16)


def hash_photos(photos: PhotoSet) -> str:
    """Of the files' paths and sizes, or of the pixels."""
    if isinstance(photos.pixels, PhotoFiles):
        return hash_files([photos.pixels.paths[index] for index in photos.chosen])
    hashed = blake3(max_threads=blake3.AUTO)
    for first in range(0, len(photos), _BATCH):
        pixels = photos.read(first, first + _BATCH)
        hashed.update(str(pixels.shape).encode())
        hashed.update(np.ascontiguousarray(pixels).data)
    return hashed.hexdigest(length=16)


def hash_files(paths: Sequence[str]) -> str:
    """Of sizes and paths, in their order; a file that is not there has none."""
    hashed = blake3()
    whole = [os.path.abspath(path) for path in paths]  # noqa: PTH100  pathlib follows links
    above = os.path.commonpath(whole) if whole else ""
    for path in whole:
        try:
            size = os.stat(path).st_size  # noqa: PTH116
        except OSError:
            size = -1
        hashed.update(os.fsencode(os.path.relpath(path, above)))
        hashed.update(f"\0{size}\0".encode())
    return hashed.hexdigest(length=16)
