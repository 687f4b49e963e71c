"""Which photos of a set a model is judged on, and what they show: class folders, a table or a manifest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from veduta.datasets.identical import look_at_files
from veduta.datasets.manifest import Entry, Labelling, Manifest, read_data
from veduta.errors import UsageError
from veduta.images.limits import printable
from veduta.labels.text_file import listed

#: In place of a split: all photos, whatever their split.
EVERY = "all"
Usual = Literal["test", "validation"]
TEST: Usual = "test"
VALIDATION: Usual = "validation"

# What photos of a split are for, in a sentence.
_PURPOSE: dict[Usual, str] = {TEST: "judge on", VALIDATION: "choose by"}


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """The photos of a set that are judged; figures are told to be measured on ``name``, ``source`` is where it lies."""

    name: str
    source: str
    task: Labelling
    entries: tuple[Entry, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels of these photos, sorted."""
        return tuple(sorted({label for entry in self.entries for label in entry.labels}))

    @property
    def paths(self) -> tuple[str, ...]:
        """Where the photos lie."""
        return tuple(entry.path for entry in self.entries)


def read_labelled_set(data: Path, split: str | None = None, usual: Usual = TEST) -> LabelledSet:
    """The kept photos of a folder of class folders, of a CSV table of 0 and 1, or of a manifest.

    ``split`` is one that the manifest tells, or ``all``; without it the photos of the ``usual`` split are taken where
    there are any, and all photos where there are no splits. It is ``TEST`` to judge on, ``VALIDATION`` to choose by.

    Raises UsageError where there is no such set, split or photo, where photos of other splits would be taken unasked,
    where a photo is listed twice, or lies in two classes; MissingExtra for Parquet without its extra. No photo is
    decoded.
    """
    manifest = read_data(data)
    where = printable(str(data))
    entries, chosen = _of_split(manifest, split, where, usual)
    if not entries:
        raise UsageError(
            f"{where} holds no photo to {_PURPOSE[usual]}: all are dropped, as the column dropped says, or generated."
        )
    _check_photos(entries, manifest.task, where)
    name = data.resolve().name if data.is_dir() else data.stem
    return LabelledSet(printable(f"{name}, {chosen}" if chosen else name), where, manifest.task, entries)


def _of_split(manifest: Manifest, split: str | None, where: str, usual: Usual) -> tuple[tuple[Entry, ...], str]:
    """The photos of a split, and its name; empty where all are taken."""
    kept = manifest.photos
    there = {entry.split for entry in kept} - {""}
    if split is None:
        if there & {"train", TEST} and usual not in there:
            known = " and ".join(sorted(map(printable, there)))
            raise UsageError(
                f"{where} has photos for {known}, and none for {usual}: say which to {_PURPOSE[usual]} with --split, "
                "or give a set without splits."
            )
        split = usual if usual in there else EVERY
    elif split != EVERY and split not in there:
        known = f"there are {', '.join(sorted(map(printable, there)))}" if there else "its photos have no split"
        raise UsageError(f"{where} has no photo in the split '{printable(split)}'; {known}.")
    if split == EVERY:
        return kept, ""
    return tuple(entry for entry in kept if entry.split == split), split


def _check_photos(entries: tuple[Entry, ...], task: Labelling, where: str) -> None:
    files = look_at_files([entry.path for entry in entries])
    if len(files.missing) == len(entries):
        raise UsageError(
            f"{where}: none of its {len(entries):,} photos is where it says, such as {printable(entries[0].path)}; was "
            "it moved without them?"
        )
    for group in files.same if task == "single_label" else ():
        labels = sorted({label for place in group for label in entries[place].labels})
        if len(labels) > 1:
            first, second = (printable(entries[place].path) for place in group[:2])
            raise UsageError(
                f"{where}: one photo is in the classes {listed(labels)}, as {first} and {second}; leave it in one."
            )
    seen: set[str] = set()
    for entry in entries:
        if entry.path in seen:
            raise UsageError(f"{where} names {printable(entry.path)} twice; leave it once.")
        seen.add(entry.path)
