"""What is wrong with a set's labels, before any photo is read."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator

from veduta.datasets.manifest import Entry, Manifest
from veduta.images.limits import printable

#: A class of fewer photos can't be learnt and judged as well.
FEW = 10


def problems(manifest: Manifest, few: int = FEW) -> list[str]:
    """A sentence for each: class names that differ by case or space alone, starved classes, a photo that is listed
    twice or under two labels, photos without a label among those of many.
    """
    return [*_alike(manifest.labels), *_starved(manifest, few), *_twice(manifest), *_bare(manifest)]


def _alike(labels: tuple[str, ...]) -> Iterator[str]:
    spellings: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        spellings["".join(each for each in label.casefold() if each.isalnum())].append(label)
    for names in spellings.values():
        if len(names) > 1:
            listed = " and ".join(repr(printable(name)) for name in names)
            yield f"the classes {listed} differ by case, space or marks alone; give photos of one class one name."


def _starved(manifest: Manifest, few: int) -> Iterator[str]:
    for label, count in manifest.counts().items():
        if count < few:
            photos = "no photo" if not count else "1 photo" if count == 1 else f"{count} photos"
            yield f"the class {printable(label)!r} has {photos}; add some, or drop it with --min-per-class {few}."


def _twice(manifest: Manifest) -> Iterator[str]:
    listed: dict[str, list[Entry]] = defaultdict(list)
    for entry in manifest.kept:
        listed[os.path.realpath(entry.path)].append(entry)
    for entries in listed.values():
        labels = sorted({"|".join(entry.labels) for entry in entries})
        if len(labels) > 1:
            yield f"{printable(entries[0].path)} lies under {' and '.join(map(repr, labels))}; leave it under one."
        elif len(entries) > 1:
            yield f"{printable(entries[0].path)} is listed {len(entries)} times; leave it once."


def _bare(manifest: Manifest) -> Iterator[str]:
    bare = sum(not entry.labels for entry in manifest.kept)
    if bare:
        yield f"{bare:,} of {len(manifest.kept):,} photos have no label; they teach what none of the labels looks like."
