"""Photos by path to pixels of one size, by two threads: all of them, or all that can be decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veduta.errors import PhotoError
from veduta.images.decode import decode, read_bytes
from veduta.images.preprocess import Preprocessing
from veduta.records import Failure

# Decoded photos that wait for the array; more would only take memory.
_AHEAD = 256

#: Is told how many photos were read, and how many there are.
OnPhoto = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Readable:
    """Which of n photos can be decoded.

    ``pixels`` uint8 ``[k, h, w, 3]`` are those of the k that can, in their order; None where nobody wanted to keep
    them. ``kept`` ``[n]`` is true for these, and ``failures`` tell why the others can't.
    """

    pixels: NDArray[np.uint8] | None
    kept: NDArray[np.bool_]
    failures: tuple[Failure, ...]


def read_photo(path: str, wanted: Preprocessing) -> NDArray[np.uint8]:
    """One photo, uint8 ``[h, w, 3]``; ``wanted`` has one size. Raises PhotoError, naming the file."""
    return decode(read_bytes(path), [wanted], name=path).pixels(0)


def read_pixels(paths: Sequence[str], wanted: Preprocessing) -> NDArray[np.uint8]:
    """All photos in memory, uint8 ``[n, h, w, 3]``. Raises PhotoError, naming the first that can't be decoded."""
    pixels = _empty(len(paths), wanted)
    for index, image in enumerate(_each(paths, wanted)):
        if isinstance(image, PhotoError):
            raise image
        pixels[index] = image
    return pixels


def read_readable(
    paths: Sequence[str],
    wanted: Preprocessing,
    *,
    keep_pixels: bool = True,
    on_photo: OnPhoto = lambda _done, _all: None,
) -> Readable:
    """Decode all photos, and leave out those that can't be; without ``keep_pixels`` they are only tried."""
    pixels = _empty(len(paths) if keep_pixels else 0, wanted)
    kept, failures = np.ones(len(paths), bool), []
    for index, image in enumerate(_each(paths, wanted)):
        if isinstance(image, PhotoError):
            kept[index] = False
            failures.append(Failure(paths[index], type(image).__name__, str(image)))
        elif keep_pixels:
            pixels[index - len(failures)] = image
        on_photo(index + 1, len(paths))
    return Readable(pixels[: len(paths) - len(failures)] if keep_pixels else None, kept, tuple(failures))


def _empty(count: int, wanted: Preprocessing) -> NDArray[np.uint8]:
    height, width = wanted.sizes[0]
    return np.empty((count, height, width, 3), np.uint8)


def _each(paths: Sequence[str], wanted: Preprocessing) -> Iterator[NDArray[np.uint8] | PhotoError]:
    def read(path: str) -> NDArray[np.uint8] | PhotoError:
        try:
            return read_photo(path, wanted)
        except PhotoError as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        try:
            for first in range(0, len(paths), _AHEAD):
                yield from pool.map(read, paths[first : first + _AHEAD])
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
