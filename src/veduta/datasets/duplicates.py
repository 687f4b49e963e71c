"""Copies of a photo among many: re-encoded, resized, mirrored, or with a few per cent cut off.

A photo's fingerprint is its PDQ hash (Davis and Rosen 2019: 256 bits of the lowest frequencies) in four ways, as it is,
mirrored, its middle, and that mirrored, and a small grey picture of it. Photos whose hashes differ in few bits are
candidates; among a hundred thousand photos chance alone makes some, so a candidate counts as a copy only where the
grey pictures agree too, one of them cut a little at its sides. One-coloured frames are cut off before all this: white
borders make strangers alike.

The extra ``dataset`` brings what is needed: pdqhash, and faiss for the search.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import product

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from veduta.errors import MissingExtra

#: Hashes that differ in more of the 256 bits are no candidates. Of a million pairs of distinct photos, looked up four
#: ways, the nearest differ in 74; of copies with 5 % cut off one in a hundred differs in more than 86.
MOST_BITS = 90
#: What two grey pictures must agree, as a correlation, to be of one photo: of 750 copies the least agreed 0.82, of 266
#: candidates that were none the most 0.63.
LEAST_AGREEMENT = 0.7

#: Side of the square that a fingerprint is made from, in pixels.
SIDE = 256

_THUMBNAIL = 32
# The share of each side that the middle leaves.
_MIDDLE = 0.95
# Shares that a copy may have lost at each of its four sides.
_CUTS = (0.0, 0.025, 0.05)
# What is tried before all of these, and what it must show.
_ROUGH, _WORTH_A_LOOK = (0.025,), 0.25
# A frame is one colour but for what compression leaves; it may take so much of each side.
_FRAME_SPREAD, _MOST_FRAME = 6.0, 0.3
# The mean of so many pixels around each is taken off, for skies above and grounds below are alike everywhere.
_NEIGHBOURHOOD = 9
# Detail of this strength, of 255, may be noise and is not made stronger.
_NOISE = 4.0
# Hashes and pairs that are worked on at once.
_BLOCK, _PAIRS = 8192, 4096


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprints:
    """Of n photos: ``hashes`` uint8 ``[n, 4, 32]``, the four ways, and ``thumbnails`` uint8 ``[n, 32, 32]``, grey."""

    hashes: NDArray[np.uint8]
    thumbnails: NDArray[np.uint8]

    @classmethod
    def join(cls, some: Sequence[Fingerprints]) -> Fingerprints:
        """One after the other."""
        return cls(np.concatenate([each.hashes for each in some]), np.concatenate([each.thumbnails for each in some]))

    def __len__(self) -> int:
        return len(self.hashes)


def fingerprint(pixels: NDArray[np.uint8]) -> Fingerprints:
    """Of one photo, uint8 ``[h, w, 3]``, best made 256 pixels square; raises MissingExtra."""
    try:
        import pdqhash
    except ModuleNotFoundError as error:
        raise _missing("pdqhash") from error
    image = Image.fromarray(without_frame(pixels)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    edge = SIDE * (1 - _MIDDLE) / 2
    middle = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=(edge, edge, SIDE - edge, SIDE - edge))
    ways = []
    for each in (image, middle):
        # All eight turns and flips come from one transform; the first is as it is, the sixth mirrored.
        turned, _ = pdqhash.compute_dihedral(np.asarray(each))
        ways += [turned[0], turned[5]]
    hashes = np.packbits(np.stack(ways).astype(np.uint8), axis=1)
    grey = np.asarray(image.convert("L").resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX))
    return Fingerprints(hashes[None], grey[None])


def without_frame(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The photo ``[h, w, 3]`` without its frame: rows at top and bottom, or columns at both sides, of one colour.

    What is on one side alone, such as a clear sky, is no frame; neither is what would leave little.
    """
    return pixels[_inside(pixels), _inside(pixels.swapaxes(0, 1))]


def _inside(lines: NDArray[np.uint8]) -> slice:
    """Which of the lines ``[n, m, 3]`` are no frame."""
    values = lines.astype(np.float32)
    mean = values.mean(axis=1)
    plain = values.std(axis=1).max(axis=1) <= _FRAME_SPREAD
    ends = [_plain_from(plain, mean), _plain_from(plain[::-1], mean[::-1])]
    same = np.abs(mean[0] - mean[-1]).max() <= _FRAME_SPREAD
    if not same or min(ends) == 0 or max(ends) > _MOST_FRAME * len(lines):
        return slice(None)
    return slice(ends[0], len(lines) - ends[1])


def _plain_from(plain: NDArray[np.bool_], mean: NDArray[np.float32]) -> int:
    """How many lines from the first on are of its colour."""
    alike = plain & (np.abs(mean - mean[0]).max(axis=1) <= _FRAME_SPREAD)
    return len(alike) if alike.all() else int(np.argmin(alike))


def find_candidates(hashes: NDArray[np.uint8], most_bits: int = MOST_BITS) -> NDArray[np.int64]:
    """Pairs ``[k, 2]``, first < second, whose hashes differ in at most ``most_bits`` in one of the ways.

    ``hashes`` is uint8 ``[n, 4, 32]``. Every pair is compared, which takes n² and no memory: 10 s for 100,000 photos
    on two cores. Raises MissingExtra.
    """
    try:
        import faiss
    except ModuleNotFoundError as error:
        raise _missing("faiss") from error
    index = faiss.IndexBinaryFlat(8 * hashes.shape[2])
    found = [np.empty((0, 2), np.int64)]
    # Turned around, so that what is in the index lies behind the block in question: as it is and mirrored, a pair need
    # be looked at once. A middle is asked of all.
    for last in range(len(hashes), 0, -_BLOCK):
        first = max(0, last - _BLOCK)
        index.add(np.ascontiguousarray(hashes[first:last, 0][::-1]))
        for way in (0, 1):
            found.append(_within(index, hashes[first:last, way], most_bits, first, len(hashes)))
    for first in range(0, len(hashes), _BLOCK):
        for way in (2, 3):
            found.append(_within(index, hashes[first : first + _BLOCK, way], most_bits, first, len(hashes)))
    pairs = np.sort(np.concatenate(found), axis=1)
    distinct: NDArray[np.int64] = np.unique(pairs[pairs[:, 0] < pairs[:, 1]], axis=0)
    return distinct


def _within(index: object, asked: NDArray[np.uint8], most_bits: int, first: int, count: int) -> NDArray[np.int64]:
    limits, _, places = index.range_search(np.ascontiguousarray(asked), most_bits + 1)  # type: ignore[attr-defined]
    rows = np.repeat(np.arange(len(asked)), np.diff(limits.astype(np.int64)))
    return np.stack([rows + first, count - 1 - places.astype(np.int64)], axis=1)


def find_copies(
    fingerprints: Fingerprints, *, most_bits: int = MOST_BITS, least_agreement: float = LEAST_AGREEMENT
) -> NDArray[np.int64]:
    """Pairs ``[k, 2]``, first < second, of photos that are copies of each other. Raises MissingExtra."""
    pairs = find_candidates(fingerprints.hashes, most_bits)
    agreed = [np.empty(0, bool)]
    for first in range(0, len(pairs), _PAIRS):
        some = pairs[first : first + _PAIRS]
        agreed.append(
            agreement(fingerprints.thumbnails[some[:, 0]], fingerprints.thumbnails[some[:, 1]]) >= least_agreement
        )
    copies: NDArray[np.int64] = pairs[np.concatenate(agreed)]
    return copies


def agreement(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How far pairs of grey pictures ``[k, s, s]`` show the same, ``[k]`` from -1 to 1.

    It is the correlation of their detail, the largest over mirroring and over cutting up to 5 % from each side of one.
    Pairs that agree in nothing before they are cut are not looked at closer.
    """
    best = np.full(len(one), -1.0, np.float32)
    for mirrored in (False, True):
        for whole, cut in ((one, other), (other, one)):
            close = _best_over(whole, cut, mirrored, _ROUGH)
            near = close >= _WORTH_A_LOOK
            close[near] = _best_over(whole[near], cut[near], mirrored, _CUTS)
            np.maximum(best, close, out=best)
    return best


def _best_over(
    whole: NDArray[np.uint8], cut: NDArray[np.uint8], mirrored: bool, cuts: tuple[float, ...]
) -> NDArray[np.float32]:
    best = np.full(len(whole), -1.0, np.float32)
    if not len(whole):
        return best
    wanted = _detail(whole.astype(np.float32))
    source: NDArray[np.float32] = (cut[:, :, ::-1] if mirrored else cut).astype(np.float32)
    for rows in _windows(cuts):
        stretched = rows @ source
        for columns in _windows(cuts):
            found = _detail((stretched @ columns.T).astype(np.float32))
            np.maximum(best, np.einsum("kab,kab->k", wanted, found), out=best)
    return best


@cache
def _windows(cuts: tuple[float, ...]) -> tuple[NDArray[np.float32], ...]:
    """Linear maps ``[s, s]`` that cut a line at both ends and stretch what is left to its old length."""
    maps = []
    for first, last in product(cuts, cuts):
        places = np.linspace(first * _THUMBNAIL, (1 - last) * _THUMBNAIL, _THUMBNAIL, endpoint=False)
        places = np.clip(places + (1 - first - last) / 2 - 0.5, 0, _THUMBNAIL - 1)
        below = np.floor(places).astype(int)
        line = np.zeros((_THUMBNAIL, _THUMBNAIL), np.float32)
        line[np.arange(_THUMBNAIL), below] += 1 - (places - below)
        line[np.arange(_THUMBNAIL), np.minimum(below + 1, _THUMBNAIL - 1)] += places - below
        maps.append(line)
    return tuple(maps)


def _detail(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pictures ``[k, s, s]`` without their coarse light and dark and as strong everywhere, each scaled to length one.

    Otherwise one strong edge, such as that of a caption's bar, would outweigh all else.
    """
    lines = _smoothing()
    fine = pictures - lines @ pictures @ lines.T
    fine = fine / np.sqrt(lines @ np.square(fine) @ lines.T + _NOISE**2)
    fine -= fine.mean((1, 2), keepdims=True)
    length = np.sqrt(np.square(fine).sum((1, 2), keepdims=True))
    scaled: NDArray[np.float32] = fine / np.maximum(length, 1e-6)
    return scaled


@cache
def _smoothing() -> NDArray[np.float32]:
    """The linear map ``[s, s]`` of a running mean."""
    away = np.abs(np.subtract.outer(np.arange(_THUMBNAIL), np.arange(_THUMBNAIL)))
    near = (away <= _NEIGHBOURHOOD // 2).astype(np.float32)
    mean: NDArray[np.float32] = near / near.sum(axis=1, keepdims=True)
    return mean


def check_libraries() -> None:
    """Raises MissingExtra where something that finding copies needs is not there: before photos are looked at."""
    for package in ("pdqhash", "faiss", "scipy"):
        if find_spec(package) is None:
            raise _missing(package)


def _missing(package: str) -> MissingExtra:
    return MissingExtra(f'finding copies needs {package}; install it with: pip install "veduta[dataset]"')
