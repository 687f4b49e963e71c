"""A look at every photo of a set, once: size, light, sharpness, how drawn it looks, and its fingerprint."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from veduta.datasets.duplicates import SIDE, Fingerprints, fingerprint
from veduta.errors import PhotoError
from veduta.images.decode import Photo
from veduta.images.pool import DecodePool
from veduta.images.preprocess import Preprocessing
from veduta.records import Failure

# The whole photo in a square, as its hash takes it; what is told of light and drawing does not mind the aspect.
_WANTED = Preprocessing("stretch", ((SIDE, SIDE),), "bilinear")
_AHEAD = 64
# Sharpness is judged at this side: a photo of so few pixels is not called blurred for being small.
_SHARP_SIDE = 128
# Of so many differences between neighbours the rest are smaller.
_STRONGEST = 99.9
# A border is of one colour where so large a share of it, so many pixels wide, is no further from its median than this.
_BORDER_SHARE, _BORDER_WIDTH, _ALIKE = 0.65, 6, 6


@dataclass(frozen=True, slots=True)
class Look:
    """What one photo is like.

    ``width`` and ``height`` are those of the upright photo, ``bytes_digest`` is of the file. ``brightness`` is the mean
    luminance and ``contrast`` its standard deviation, of 255. ``sharpness`` is the strongest difference of neighbouring
    pixels over that deviation, at 128 pixels. ``ground`` is the share of the picture that has the colour of its border,
    0 where the border has many: large in logos, drawings and cut-outs.
    """

    width: int
    height: int
    format: str
    bytes_digest: str
    brightness: float
    contrast: float
    sharpness: float
    ground: float


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """Looks at n photos: ``looks`` has None where a photo can't be decoded, and ``failures`` then say why by place.

    ``fingerprints`` are those of the others, in their order; None where nobody asked for them.
    """

    looks: tuple[Look | None, ...]
    failures: dict[int, Failure]
    fingerprints: Fingerprints | None

    @property
    def readable(self) -> NDArray[np.int64]:
        """The places ``[k]`` of the photos that can be decoded; rows of ``fingerprints`` belong to them."""
        return np.array([place for place, look in enumerate(self.looks) if look is not None], np.int64)


def survey(
    paths: Sequence[str],
    pool: DecodePool,
    *,
    with_fingerprints: bool = True,
    progress: Callable[[int, int, int], None] | None = None,
) -> Survey:
    """Look at the photos, decoded by the pool; ``progress`` is told photos done, failures among them, and all.

    Raises MissingExtra where fingerprints are wanted and their library is not there.
    """
    looks: list[Look | None] = []
    failures: dict[int, Failure] = {}
    found: list[Fingerprints] = []
    waiting: deque[Future[Photo]] = deque()
    coming = iter(paths)
    while True:
        while len(waiting) < _AHEAD and (path := next(coming, None)) is not None:
            waiting.append(pool.submit(path, [_WANTED]))
        if not waiting:
            break
        place = len(looks)
        try:
            photo = waiting.popleft().result()
        except PhotoError as error:
            looks.append(None)
            failures[place] = Failure(paths[place], type(error).__name__, str(error))
        else:
            looks.append(look_at(photo))
            if with_fingerprints:
                found.append(fingerprint(photo.pixels(0)))
        if progress is not None:
            progress(len(looks), len(failures), len(paths))
    return Survey(tuple(looks), failures, Fingerprints.join(found) if with_fingerprints and found else None)


def look_at(photo: Photo) -> Look:
    """What a photo that was decoded to a square is like."""
    pixels = photo.pixels(0)
    grey = Image.fromarray(pixels).convert("L")
    values = np.asarray(grey, np.float32)
    return Look(
        width=photo.facts.width,
        height=photo.facts.height,
        format=photo.facts.format,
        bytes_digest=photo.digest,
        brightness=float(values.mean()),
        contrast=float(values.std()),
        sharpness=_sharpness(np.asarray(grey.resize((_SHARP_SIDE, _SHARP_SIDE), Image.Resampling.BOX), np.float32)),
        ground=_ground(pixels),
    )


def _sharpness(grey: NDArray[np.float32]) -> float:
    """0 for a picture of one colour."""
    spread = float(grey.std())
    steps = np.concatenate([np.abs(np.diff(grey, axis=axis)).ravel() for axis in (0, 1)])
    return float(np.percentile(steps, _STRONGEST)) / spread if spread > 1 else 0.0


def _ground(pixels: NDArray[np.uint8]) -> float:
    values = pixels.astype(np.int16)
    edge = np.ones(values.shape[:2], bool)
    edge[_BORDER_WIDTH:-_BORDER_WIDTH, _BORDER_WIDTH:-_BORDER_WIDTH] = False
    alike = np.abs(values - np.median(values[edge], axis=0)).max(axis=2) <= _ALIKE
    return float(alike.mean()) if alike[edge].mean() >= _BORDER_SHARE else 0.0
