"""The photos that a generator learns from: of which classes, how many of each, and which it never sees; no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veduta.datasets.identical import join_groups, look_at_files
from veduta.datasets.manifest import Entry, Manifest, read_data
from veduta.datasets.problems import part_problems
from veduta.datasets.reading import read_readable
from veduta.errors import UsageError
from veduta.evaluation.names import match_label, nearest
from veduta.images.limits import printable
from veduta.images.preprocess import Preprocessing
from veduta.records import Failure, Label
from veduta.training.dataset import check_names

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

    def in_turn(self, places: NDArray[np.int64], count: int, seed: int = 0) -> NDArray[np.int64]:
        """``count`` of these places, drawn by ``seed``, of each class in turn as far as it has some."""
        draws = np.random.default_rng(seed)
        queues = [list(draws.permutation(places[self.targets[places] == each])) for each in range(len(self.labels))]
        found: list[int] = []
        while len(found) < min(count, len(places)):
            found += [int(queue.pop()) for queue in queues if queue]
        return np.array(found[:count], np.int64)


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
    validation, and nothing else where it says what is for training; without splits some of the photos beyond the limit,
    else every tenth of a class that can spare them. Photos of one group, and files that are the same, stay together.
    Photos for testing and generated pictures are never read; those that can't be decoded are told to ``on_failures``.
    Raises UsageError for photos with several labels, unknown splits, a class that is not there, has no photo or a name
    that no model can carry, and a single photo where more may be taken.
    """
    by_class = entries_by_class(data, classes)
    splits = any(entry.split for entries in by_class.values() for entry in entries)
    parted = [
        _divided(entries, per_class, splits, np.random.default_rng((seed, place)))
        for place, entries in enumerate(by_class.values())
    ]
    # Of a group that is trained on, in this class or another, nothing is held out.
    together = {entry.group for training, _ in parted for entry in training if entry.group}
    chosen, held = list[Entry](), list[bool]()
    for label, (training, others) in zip(by_class, parted, strict=True):
        if not training:
            raise UsageError(f"{printable(str(data))} has no photo of {printable(label)} to train on; add some.")
        besides = [entry for entry in others if entry.group not in together]
        chosen += [*training, *besides]
        held += [False] * len(training) + [True] * len(besides)
    if len(chosen) == 1 and per_class != 1:
        raise UsageError(
            f"{printable(str(data))} has one photo, and a generator would only learn to repeat it; add photos, or say "
            "that this is meant (--preset one-photo)."
        )
    labels = [Label(name, name) for name in by_class]
    photos = pixels_of(chosen, labels, side, grayscale=grayscale, on_photo=on_photo, on_failures=on_failures)
    decoded = set(photos.paths)
    photos = replace(
        photos,
        held_out=np.array([each for entry, each in zip(chosen, held, strict=True) if entry.path in decoded], bool),
    )
    left = np.bincount(photos.targets[photos.training], minlength=len(labels))
    if (left == 0).any():
        raise UsageError(
            f"no photo of {printable(labels[int(left.argmin())].id)} is left to train on, for "
            f"{len(chosen) - len(photos):,} of {len(chosen):,} photos can't be decoded."
        )
    return photos


def pixels_of(
    entries: Sequence[Entry],
    labels: Sequence[Label],
    side: int,
    *,
    grayscale: bool = False,
    on_photo: Callable[[int, int], None] = lambda _done, _all: None,
    on_failures: Callable[[Sequence[Failure]], None] = lambda _failures: None,
) -> Photos:
    """The photos of ``entries`` that can be decoded, whose labels mean ``labels`` in any spelling; none is held out."""
    places = {name: match_label(name, labels) for name in {entry.labels[0] for entry in entries}}
    read = read_readable([entry.path for entry in entries], seen_as(side), on_photo=on_photo)
    on_failures(read.failures)
    assert read.pixels is not None
    kept = [entry for entry, each in zip(entries, read.kept, strict=True) if each]
    return Photos(
        _grey(read.pixels) if grayscale else read.pixels,
        np.array([places[entry.labels[0]] for entry in kept], np.int64),
        tuple(label.id for label in labels),
        np.zeros(len(kept), bool),
        tuple(entry.path for entry in kept),
    )


def read_classes(data: Path) -> Manifest:
    """A set whose photos have one label each. Raises UsageError where they have several, and as ``read_data``."""
    manifest = read_data(data)
    if manifest.task != "single_label":
        raise UsageError(
            f"{printable(str(data))} has photos with several labels, and a generator makes pictures of one class; give "
            "class folders, or a manifest with a column label."
        )
    return manifest


def entries_by_class(data: Path, classes: Sequence[str]) -> dict[str, list[Entry]]:
    """The photos that may be trained on or held out, by class in the order of their names; of ``classes`` alone.

    Raises UsageError as ``read_photos``.
    """
    where, manifest = printable(str(data)), read_classes(data)
    wrong = [problem.words for problem in part_problems(manifest) if problem.fatal]
    if wrong:
        raise UsageError(f"{where}: {wrong[0]}")
    entries = [entry for entry in manifest.photos if entry.split != "test"]
    names = sorted({*manifest.empty, *(entry.labels[0] for entry in entries)})
    if not entries:
        raise UsageError(f"{where} has no photo to learn from: all are dropped, for testing, or generated.")
    check_names(where, tuple(names))
    known, wanted = [Label(name, name) for name in names], set()
    for name in classes:
        place = match_label(name, known)
        if place is None:
            raise UsageError(f"{where} has no class {printable(name)!r}{nearest(name, known)}.")
        wanted.add(names[place])
    found: dict[str, list[Entry]] = {name: [] for name in names if not wanted or name in wanted}
    together = join_groups([entry.group for entry in entries], look_at_files([entry.path for entry in entries]).same)
    for entry, group in zip(entries, together, strict=True):
        if entry.labels[0] in found:
            found[entry.labels[0]].append(replace(entry, group=group))
    return found


def _divided(
    entries: list[Entry], per_class: int | None, splits: bool, draws: np.random.Generator
) -> tuple[list[Entry], list[Entry]]:
    """Of one class: what is trained on, and what may be held out; ``splits`` say so where there are some."""
    besides = [entry for entry in entries if entry.split == "validation"]
    free = [entry for entry in entries if entry.split != "validation"]
    groups: dict[str, list[Entry]] = {}
    for place in draws.permutation(len(free)):
        groups.setdefault(free[place].group or f"\0{place}", []).append(free[place])
    order = [entry for members in groups.values() for entry in members]
    if splits:
        return order[:per_class], besides
    if per_class is not None and len(order) > per_class:
        first, last, most = per_class, len(order), _MOST_HELD_OUT
    else:
        spared = round(_HELD_OUT * len(order)) if len(order) >= _SPARED_FROM else 0
        first, last, most = len(order) - spared, len(order), spared
    # A group that is trained on in part is not held out.
    learnt = {entry.group for entry in order[:first] if entry.group}
    return order[:first], [entry for entry in order[first:last] if entry.group not in learnt][:most]


def _grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Brightness ``[n, h, w, 1]`` as ITU-R 601 weighs colours, which Pillow does, too."""
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    return np.stack([(image @ weights).round().astype(np.uint8)[..., np.newaxis] for image in pixels])
