"""The photos that a generator learns from: of which classes, how many of each, and which it never sees; no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veduta.datasets.manifest import Entry, read_data
from veduta.datasets.reading import read_readable
from veduta.errors import UsageError
from veduta.evaluation.names import match_label, nearest
from veduta.images.limits import printable
from veduta.images.preprocess import Preprocessing
from veduta.records import Failure, Label

# Of a class with this many photos, every tenth is held out: fewer could not be spared.
_SPARED_FROM, _HELD_OUT = 20, 0.1
# Of a class that has more photos than are trained on, so many of the others are held out.
_MOST_HELD_OUT = 30


@dataclass(frozen=True, slots=True)
class Photos:
    """Photos as a generator should make them.

    ``pixels`` is uint8 ``[n, side, side, channels]`` with 1 or 3 channels, ``targets`` int64 ``[n]`` the place of each
    in ``labels``, ``held_out`` ``[n]`` true for those that are never trained on; ``paths`` say where they are.
    """

    pixels: NDArray[np.uint8]
    targets: NDArray[np.int64]
    labels: tuple[str, ...]
    held_out: NDArray[np.bool_]
    paths: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def training(self) -> NDArray[np.int64]:
        """The places of the photos that are trained on."""
        return np.flatnonzero(~self.held_out)

    def rgb(self, places: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Some of them as uint8 ``[k, side, side, 3]``, grey ones in three equal channels."""
        return np.broadcast_to(self.pixels[places], (len(places), *self.pixels.shape[1:3], 3))


def seen_as(side: int) -> Preprocessing:
    """How a photo becomes a square of ``side`` pixels: its middle, for a squeezed tree would be learnt as one."""
    return Preprocessing("crop", ((side, side),), "bicubic", short_side=side)


def read_photos(
    data: Path,
    side: int,
    *,
    grayscale: bool = False,
    classes: Sequence[str] = (),
    per_class: int | None = None,
    seed: int = 0,
    on_photo: Callable[[int, int], None] = lambda _done, _all: None,
    on_failures: Callable[[Sequence[Failure]], None] = lambda _failures: None,
) -> Photos:
    """Read the photos of ``data``, a folder of class folders or a manifest, of ``classes`` alone where some are named.

    ``per_class`` limits how many of each class are trained on, drawn by ``seed``. Held out is what a manifest keeps for
    validation; else some of the photos beyond the limit; else every tenth of a class that can spare them.
    Photos that can't be decoded are left out and told to ``on_failures``.
    Raises UsageError for photos with several labels, a class that is not there or has no photo, and a single photo
    where more may be taken.
    """
    by_class = _by_class(data, classes)
    chosen, held = list[Entry](), list[bool]()
    for place, (label, entries) in enumerate(by_class.items()):
        training, besides = _divided(entries, per_class, np.random.default_rng((seed, place)))
        if not training:
            raise UsageError(f"{printable(str(data))} has no photo of {printable(label)} to train on; add some.")
        chosen += [*training, *besides]
        held += [False] * len(training) + [True] * len(besides)
    if len(chosen) == 1 and per_class != 1:
        raise UsageError(
            f"{printable(str(data))} has one photo, and a generator would only learn to repeat it; add photos, or say "
            "that this is meant (--preset one-photo)."
        )
    read = read_readable([entry.path for entry in chosen], seen_as(side), on_photo=on_photo)
    on_failures(read.failures)
    assert read.pixels is not None
    kept = np.flatnonzero(read.kept)
    labels = tuple(by_class)
    photos = Photos(
        _grey(read.pixels) if grayscale else read.pixels,
        np.array([labels.index(chosen[place].labels[0]) for place in kept], np.int64),
        labels,
        np.array(held)[kept],
        tuple(chosen[place].path for place in kept),
    )
    left = np.bincount(photos.targets[photos.training], minlength=len(labels))
    if (left == 0).any():
        raise UsageError(
            f"none of the photos of {printable(labels[int(left.argmin())])} can be decoded; the first: "
            f"{read.failures[0].message}"
        )
    return photos


def _by_class(data: Path, classes: Sequence[str]) -> dict[str, list[Entry]]:
    """The photos that may be trained on or held out, by class in the order of their names."""
    manifest = read_data(data)
    if manifest.task != "single_label":
        raise UsageError(
            f"{printable(str(data))} has photos with several labels, and a generator makes pictures of one class; give "
            "class folders, or a manifest with a column label."
        )
    labels = [Label(name, name) for name in manifest.labels]
    wanted = set()
    for name in classes:
        place = match_label(name, labels)
        if place is None:
            raise UsageError(f"{printable(str(data))} has no class {printable(name)!r}{nearest(name, labels)}.")
        wanted.add(manifest.labels[place])
    found: dict[str, list[Entry]] = {label: [] for label in manifest.labels if not wanted or label in wanted}
    for entry in manifest.kept:
        if entry.labels[0] in found and entry.split != "test":
            found[entry.labels[0]].append(entry)
    return found


def _divided(
    entries: list[Entry], per_class: int | None, draws: np.random.Generator
) -> tuple[list[Entry], list[Entry]]:
    """Of one class: what is trained on, and what is held out."""
    besides = [entry for entry in entries if entry.split == "validation"]
    free = [entry for entry in entries if entry.split != "validation"]
    order = [free[place] for place in draws.permutation(len(free))]
    if besides:
        return order[:per_class], besides
    if per_class is not None and len(order) > per_class:
        return order[:per_class], order[per_class : per_class + _MOST_HELD_OUT]
    spared = round(_HELD_OUT * len(order)) if len(order) >= _SPARED_FROM else 0
    return order[spared:], order[:spared]


def _grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Brightness ``[n, h, w, 1]`` as ITU-R 601 weighs colours, which Pillow does, too."""
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    return np.stack([(image @ weights).round().astype(np.uint8)[..., np.newaxis] for image in pixels])
