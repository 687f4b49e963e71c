"""A photo prepared twice: as we do it, shrunk on load, and decoded whole by Pillow; by a process for each core."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from veduta.images.decode import decode
from veduta.images.preprocess import Preprocessing, prepare
from veduta.models.threads import available_threads

Inputs = NDArray[np.uint8]


def shrunk_and_whole(
    photos: Sequence[Path], wanted: Sequence[Preprocessing]
) -> Iterator[tuple[list[Inputs], list[Inputs]]]:
    """For each photo its inputs from our decoder, and from a full decode; one of each for each of ``wanted``."""
    workers = min(available_threads(), len(photos))
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as processes:
        yield from processes.map(partial(_both, wanted), photos, chunksize=4)


def inputs_of(photos: Sequence[Path], wanted: Preprocessing) -> NDArray[np.uint8]:
    """Photos as one array ``[n, h, w, 3]``, by our decoder."""
    return np.stack([_ours(photo, [wanted])[0] for photo in photos])


def _both(wanted: Sequence[Preprocessing], photo: Path) -> tuple[list[Inputs], list[Inputs]]:
    with Image.open(photo) as opened:
        whole = opened.convert("RGB")
    return _ours(photo, wanted), [prepare(whole, one, whole.size)[0] for one in wanted]


def _ours(photo: Path, wanted: Sequence[Preprocessing]) -> list[Inputs]:
    return [np.asarray(one, dtype=np.uint8) for one in decode(photo.read_bytes(), wanted).inputs]
