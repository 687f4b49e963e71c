"""Which classes of a set stay, and how many photos of each; what goes has its reason in the manifest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from veduta.datasets.manifest import SEPARATOR, Manifest
from veduta.errors import UsageError
from veduta.images.limits import printable

#: The reason's first word of a photo whose class was not wanted.
UNWANTED = "class"


def read_class_names(file: Path) -> list[str]:
    """The class names in a text file, one on a line; empty lines and those that begin with # are left out.

    Raises UsageError where it can't be read or names none.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} can't be read ({error}); give a text file with a class on each line.") from error
    names = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not names:
        raise UsageError(f"{file} names no class; write one on each line.")
    return names


def select(
    manifest: Manifest,
    *,
    keep: Sequence[str] | None = None,
    drop: Sequence[str] = (),
    min_per_class: int = 0,
    max_per_class: int | None = None,
    seed: int = 0,
) -> Manifest:
    """Keep these classes alone, or drop those; then classes with too few photos; then photos beyond the most of each.

    Of photos with many labels, the unwanted labels go, and with ``keep`` or ``drop`` photos that have none left;
    ``max_per_class`` is that of each set of labels that photos share.
    Raises UsageError for a class that there is not, with the nearest names, and where nothing is left.
    """
    known = manifest.labels
    for name in (*(keep or ()), *drop):
        if name not in known:
            near = get_close_matches(name, known, 3)
            hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else "."
            raise UsageError(f"there is no class {printable(name)!r} in this set{hint}")
    unwanted = {name: "not among those to keep" for name in known if keep is not None and name not in keep}
    unwanted |= dict.fromkeys(drop, "among those to drop")
    manifest = _without(manifest, unwanted)
    starved = {
        name: f"starved, {count} of at least {min_per_class} photos"
        for name, count in manifest.counts().items()
        if count < min_per_class and name not in unwanted
    }
    manifest = _without(manifest, starved)
    if max_per_class is not None:
        manifest = _cap(manifest, max_per_class, seed, lambda label: f"many: {label} keeps {max_per_class} photos")
    if not manifest.kept:
        raise UsageError("no photo is left; ask for fewer photos of each class, or keep more classes.")
    return manifest


def balance(manifest: Manifest, *, ratio: float = 1.0, seed: int = 0) -> Manifest:
    """Drop photos of large classes, drawn by the seed, until none has more than ``ratio`` times those of the smallest.

    Classes whose photos were all dropped before don't count. Raises UsageError for a ratio below 1, photos of many
    labels, and an empty class.
    """
    if not ratio >= 1:
        raise UsageError(f"the ratio {ratio:g} can't be kept to; give 1, for classes of one size, or more.")
    if manifest.task != "single_label":
        raise UsageError("photos of many labels can't be balanced by leaving some out; weigh the labels instead.")
    if manifest.empty:
        raise UsageError(f"the class {printable(manifest.empty[0])!r} has no photo to balance to; remove its folder.")
    counts = {label: count for label, count in manifest.counts().items() if count}
    most = int(ratio * min(counts.values(), default=0))
    return _cap(manifest, most, seed, lambda label: f"balance: {most} of {counts[label]} of {label} are kept")


def _without(manifest: Manifest, unwanted: dict[str, str]) -> Manifest:
    """Photos all of whose labels are unwanted go; of the others only those labels."""
    if not unwanted:
        return manifest
    reasons = {
        place: f"{UNWANTED}: {entry.labels[0]} is {unwanted[entry.labels[0]]}"
        for place, entry in enumerate(manifest.entries)
        if entry.labels and all(label in unwanted for label in entry.labels)
    }
    return manifest.dropping(reasons).without_labels(unwanted)


def _cap(manifest: Manifest, most: int, seed: int, reason: Callable[[str], str]) -> Manifest:
    """Drop photos of each class beyond ``most``; what is drawn depends on the seed and the class alone."""
    members: dict[str, list[int]] = defaultdict(list)
    for place, entry in enumerate(manifest.entries):
        if not entry.dropped:
            members[SEPARATOR.join(entry.labels)].append(place)
    reasons: dict[int, str] = {}
    for label, places in sorted(members.items()):
        if len(places) > most:
            random = np.random.default_rng((seed, *label.encode("utf-8", "surrogateescape")))
            gone = random.choice(len(places), len(places) - most, replace=False)
            reasons |= {places[each]: reason(label) for each in gone}
    return manifest.dropping(reasons)
