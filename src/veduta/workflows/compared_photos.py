"""The photos that models are compared on: the test part of a set, or a whole set that no training saw."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from veduta.datasets.identical import look_at_files
from veduta.datasets.manifest import Entry, Manifest, read_data, read_manifest, write_manifest
from veduta.datasets.problems import check_trainable
from veduta.datasets.split import split_manifest
from veduta.errors import UsageError
from veduta.images.limits import printable
from veduta.labels.text_file import listed
from veduta.models.bundle import Task
from veduta.records import Sample
from veduta.training.dataset import read_dataset


@dataclass(frozen=True, slots=True, eq=False)
class ComparedPhotos:
    """n photos of a set and what they show.

    ``targets`` is int64 ``[n]``, the place of a photo's label among the c ``labels``, or for many labels bool
    ``[n, c]``. ``digest`` tells these photos and labels from others, see ``digest_of``.
    """

    name: str
    task: Task
    samples: tuple[Sample, ...]
    labels: tuple[str, ...]
    targets: NDArray[np.int64] | NDArray[np.bool_]
    digest: str

    @property
    def present(self) -> NDArray[np.bool_] | None:
        """``[n, c]``, true where a photo has the label; None where each has one."""
        return self.targets.astype(bool) if self.task == "multi_label" else None


@dataclass(frozen=True, slots=True, eq=False)
class DividedSet:
    """A set as a manifest on disk, ``digest`` of all its kept photos, and those that no training sees."""

    manifest: Path
    digest: str
    test: ComparedPhotos


def read_compared(data: Path) -> ComparedPhotos:
    """A folder with a folder of photos for each class, a CSV table of 0 and 1, or a manifest.

    Of a manifest that says which photos are for testing, only these. Raises UsageError where there is no such photo, or
    one is listed twice; and what ``read_data`` raises.
    """
    return _test_part(read_data(data), name_of(data), data)


def divide(data: Path, *, share: float, seed: int, test: Path | None = None) -> Manifest:
    """The kept photos of ``data``, and which of them are for testing.

    These are the photos of the set ``test`` where that is given, as far as ``data`` has their classes; else those that
    the data's own splits say, else ``share`` of each class by the seed.

    Raises UsageError for data that no training takes, splits without a test part, a class that is for testing alone,
    and a set to test on that is of another task, has none of the classes, or shares a photo with the data.
    """
    read_dataset(data)
    manifest = read_data(data)
    manifest = replace(manifest, entries=manifest.kept)
    splits = {entry.split for entry in manifest.photos} - {""}
    if test is not None:
        if "test" in splits:
            raise UsageError(
                f"{printable(str(data))} says itself which photos are for testing; leave {printable(str(test))} out."
            )
        divided = _beside(manifest, data, test)
    elif splits:
        divided = manifest
    else:
        if not 0 < share < 1:
            raise UsageError(f"a share of {share:g} can't be kept for testing; give one between 0 and 1.")
        divided = split_manifest(manifest, {"train": 1 - share, "test": share}, seed)
    check_trainable(divided, data)
    trained = _trained_labels(divided)
    for label in _test_part(divided, name_of(data), data).labels:
        if label not in trained:
            raise UsageError(
                f"{printable(str(data))} has photos of {printable(label)} for testing and none to train on; split it "
                "anew, or drop the class (veduta dataset select)."
            )
    return divided


def write_divided(manifest: Manifest, file: Path, name: str) -> DividedSet:
    """Write what ``divide`` gave, and read it as every training will. Raises OutputError."""
    write_manifest(file, manifest)
    written = read_manifest(file)
    return DividedSet(file, digest_of(written.kept), _test_part(written, name, file))


def digest_of(entries: Sequence[Entry]) -> str:
    """A BLAKE3 of photos by their paths below the folder that holds them all, sizes, labels, splits and groups."""
    hashed = blake3()
    whole = [os.path.abspath(entry.path) for entry in entries]  # noqa: PTH100  pathlib follows links
    above = os.path.commonpath(whole) if whole else ""
    for entry, path in zip(entries, whole, strict=True):
        try:
            size = os.stat(path).st_size  # noqa: PTH116
        except OSError:
            size = -1
        told = [os.path.relpath(path, above), str(size), entry.split, *entry.labels]
        told += [f"\1{entry.group}"] * bool(entry.group) + ["\2synthetic"] * bool(entry.synthetic)
        hashed.update("\0".join(told).encode("utf-8", "surrogateescape") + b"\n")
    return hashed.hexdigest(length=16)


def _beside(manifest: Manifest, data: Path, test: Path) -> Manifest:
    """The photos of a manifest to train on, and those of another set that show its classes to test on."""
    other = read_data(test)
    told, where = printable(str(data)), printable(str(test))
    if other.task != manifest.task:
        kinds = {"single_label": "one label for each photo", "multi_label": "any number of labels"}
        raise UsageError(f"{told} has {kinds[manifest.task]}, and {where} {kinds[other.task]}; give sets of one kind.")
    entries = other.photos
    if any(entry.split for entry in entries):
        entries = tuple(entry for entry in entries if entry.split == "test")
        if not entries:
            raise UsageError(f"{where} has splits, and no photo for test among them; split it anew, or name another.")
    known = _trained_labels(manifest)
    held = []
    for entry in entries:
        labels = tuple(label for label in entry.labels if label in known)
        if labels or (manifest.task == "multi_label" and not entry.labels):
            held.append(replace(entry, labels=labels, split="test", group=""))
    if not any(entry.labels for entry in held):
        raise UsageError(
            f"{where}: {listed(other.labels)} are none of the classes of {told}; name them alike to test on that set."
        )
    count = len(manifest.entries)
    for group in look_at_files([entry.path for entry in (*manifest.entries, *held)]).same:
        if group[0] < count <= group[-1]:
            one, same = (printable(each.path) for each in (manifest.entries[group[0]], held[group[-1] - count]))
            raise UsageError(f"{one} of {told} and {same} of {where} are one photo; no photo can be for both.")
    mine = [replace(entry, split=entry.split or "train") for entry in manifest.entries]
    return replace(manifest, entries=(*mine, *held))


def _trained_labels(manifest: Manifest) -> set[str]:
    return {label for entry in manifest.entries if entry.split != "test" for label in entry.labels}


def _test_part(manifest: Manifest, name: str, source: Path) -> ComparedPhotos:
    """The photos that are for testing, all where there are no splits; ``source`` is named in errors."""
    told, entries = printable(str(source)), manifest.photos
    if any(entry.split for entry in entries):
        entries = tuple(entry for entry in entries if entry.split == "test")
    if not entries:
        raise UsageError(
            f"{told} has no photo for testing; split it: veduta dataset split {told} --anew --out split.csv"
        )
    samples = tuple(Sample(entry.path) for entry in entries)
    twice = [path for path, count in Counter(sample.path for sample in samples).items() if count > 1]
    if twice:
        raise UsageError(f"{told} names {printable(twice[0])} twice for testing; leave one row for each photo.")
    labels = tuple(sorted({label for entry in entries for label in entry.labels}))
    if not labels:
        raise UsageError(f"{told} gives no photo for testing a label; add photos that have some.")
    place = {label: target for target, label in enumerate(labels)}
    targets: NDArray[np.int64] | NDArray[np.bool_]
    if manifest.task == "single_label":
        targets = np.array([place[entry.labels[0]] for entry in entries], np.int64)
    else:
        targets = np.zeros((len(entries), len(labels)), np.bool_)
        for row, entry in enumerate(entries):
            targets[row, [place[label] for label in entry.labels]] = True
    return ComparedPhotos(name, manifest.task, samples, labels, targets, digest_of(entries))


def name_of(data: Path) -> str:
    """What a set is called: its folder, or its file without the ending."""
    return printable(data.resolve().name if data.is_dir() else data.stem)
