"""What a training's random changes make of a few of its photos: each change alone, then all together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veduta.datasets.manifest import Entry, Manifest
from veduta.datasets.reading import read_photo
from veduta.errors import PhotoError, UsageError
from veduta.images.limits import printable
from veduta.images.preprocess import Preprocessing
from veduta.training.augment import Augmentation, augment

#: With nothing allowed, a square photo is only resized.
STILL = Augmentation(min_area=1.0, max_aspect=1.0, jitter=0.0, flip=False)
#: The changes of so many epochs, from the first on, are shown all together.
EPOCHS = 3
# After so many that can't be decoded for each that was asked for, the set is to blame.
_MOST_TRIED = 20


@dataclass(frozen=True, slots=True)
class Preview:
    """``headings`` of the pictures of each photo, and a row for each: its label and name, and its pictures, uint8
    ``[side, side, 3]``.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[tuple[str, str], tuple[NDArray[np.uint8], ...]], ...]


def preview(manifest: Manifest, how: Augmentation, *, photos: int = 4, size: int = 128, seed: int = 0) -> Preview:
    """Change ``photos`` of the photos that are for training, of as many classes as can be, drawn by the seed.

    ``size`` is the side, in pixels, of the square that a training looks at and of its crops. A picture is what
    ``augment`` makes of a photo from the seed, the epoch (the first, where a change is alone) and the place of the
    photo among those for training. Photos that can't be decoded are passed over.
    Raises UsageError where none can be, or none is for training.
    """
    training = [entry for entry in manifest.kept if entry.split in ("", "train")]
    if not training:
        raise UsageError("no photo of the set is for training; split it anew, or give its photos no split.")
    changes = changes_of(how)
    headings = ("photo", *(name for name, _ in changes), *(f"all, epoch {epoch + 1}" for epoch in range(EPOCHS)))
    rows = []
    for place, pixels in _readable(training, photos, size, seed):
        alone = [augment(pixels, size, change, (seed, 0, place)) for _, change in changes]
        together = [augment(pixels, size, how, (seed, epoch, place)) for epoch in range(EPOCHS)]
        entry = training[place]
        rows.append(((", ".join(entry.labels), Path(entry.path).name), (pixels, *alone, *together)))
    return Preview(headings, tuple(rows))


def changes_of(how: Augmentation) -> list[tuple[str, Augmentation]]:
    """Each change of a photo that ``how`` allows, alone, and what it is in words."""
    named = {
        f"rotation ±{how.rotation:g}°": replace(STILL, rotation=how.rotation),
        f"shift ±{how.shift:.0%}": replace(STILL, shift=how.shift),
        f"zoom, up to {1 + how.zoom:g} times": replace(STILL, zoom=how.zoom),
        f"shear ±{how.shear:g}°": replace(STILL, shear=how.shear),
        f"crop, {how.min_area:.0%} or more": replace(STILL, min_area=how.min_area, max_aspect=how.max_aspect),
        "flip, half of them": replace(STILL, flip=how.flip),
        f"brightness ±{how.brightness:.0%}": replace(STILL, brightness=how.brightness),
        f"jitter ±{how.jitter:.0%}": replace(STILL, jitter=how.jitter),
        f"sharpness ±{how.sharpness:.0%}": replace(STILL, sharpness=how.sharpness),
        f"grey, {how.grey:.0%} of photos": replace(STILL, grey=how.grey),
        f"erased, {how.erase:.0%} of photos": replace(STILL, erase=how.erase),
    }
    return [(words, replace(change, filter=how.filter)) for words, change in named.items() if change != STILL]


def _readable(training: Sequence[Entry], wanted: int, size: int, seed: int) -> list[tuple[int, NDArray[np.uint8]]]:
    """Places and pixels, uint8 ``[size, size, 3]``, of the first photos that can be decoded."""
    as_trained = Preprocessing.squeezed(size)
    found: list[tuple[int, NDArray[np.uint8]]] = []
    first_failure: PhotoError | None = None
    for place in _one_class_after_the_other(training, seed)[: _MOST_TRIED * wanted]:
        if len(found) == wanted:
            break
        try:
            found.append((place, read_photo(training[place].path, as_trained)))
        except PhotoError as error:
            first_failure = first_failure or error
    if not found:
        raise UsageError(f"no photo for training can be decoded; the first: {printable(str(first_failure))}")
    return found


def _one_class_after_the_other(training: Sequence[Entry], seed: int) -> list[int]:
    """All places in an order drawn by the seed, one of each class before the second of any."""
    drawn = np.random.default_rng(seed).permutation(len(training)).tolist()
    before: Counter[tuple[str, ...]] = Counter()
    rounds: dict[int, int] = {}
    for place in drawn:
        rounds[place] = before[training[place].labels]
        before[training[place].labels] += 1
    return sorted(drawn, key=lambda place: rounds[place])
