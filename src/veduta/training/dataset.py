"""A user's photos by path, and what they show: class folders, a table or a manifest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veduta.datasets.identical import join_groups, look_at_files
from veduta.datasets.manifest import Entry, Manifest, is_manifest, read_data
from veduta.datasets.problems import check_trainable
from veduta.datasets.split import hold_out_share
from veduta.datasets.tables import read_label_table
from veduta.errors import UsageError
from veduta.images.limits import printable
from veduta.models.bundle import Head, Task
from veduta.models.json_reader import MAX_TEXT, is_text
from veduta.records import Label
from veduta.training.card import Source


@dataclass(frozen=True, slots=True)
class Dataset:
    """Photos by path with their targets, int64 ``[n]`` or float32 ``[n, c]``, and the c names of these.

    ``held_out`` ``[n]`` is true for photos that a manifest keeps for validation; None where nothing says which.
    ``groups`` names, for each photo, those that it must not be parted from, and is "" for one that may go alone; None
    where nothing says so. Files that are the same are of one group. ``synthetic`` ``[n]`` is true for generated
    pictures, which are learnt from and never held out; None where all are photos.
    """

    name: str
    paths: tuple[str, ...]
    targets: NDArray[np.int64] | NDArray[np.float32]
    labels: tuple[str, ...]
    held_out: NDArray[np.bool_] | None = None
    groups: tuple[str, ...] | None = None
    synthetic: NDArray[np.bool_] | None = None

    @property
    def task(self) -> Task:
        """One label for each photo, or any number of them."""
        return "single_label" if self.targets.ndim == 1 else "multi_label"

    def subset(self, chosen: NDArray[np.bool_]) -> Dataset:
        """The photos where ``chosen`` ``[n]`` is true; all labels stay."""
        places = np.flatnonzero(chosen)
        return replace(
            self,
            paths=tuple(self.paths[place] for place in places),
            targets=self.targets[chosen],
            held_out=None if self.held_out is None else self.held_out[chosen],
            groups=None if self.groups is None else tuple(self.groups[place] for place in places),
            synthetic=None if self.synthetic is None else self.synthetic[chosen],
        )

    def sources(self, used: str) -> tuple[Source, ...]:
        """For a card: the photos, which were ``used`` so, and beside them the generated pictures."""
        made = 0 if self.synthetic is None else int(self.synthetic.sum())
        photos = Source(f"{self.name}: {len(self.paths) - made:,} photos", used, "not stated")
        return (photos, Source(f"{made:,} generated pictures", "learning alone", "not stated")) if made else (photos,)

    def hold_out(self, share: float, seed: int) -> NDArray[np.bool_]:
        """Which photos are held out, ``[n]``: as the data say, else a share of each class, no group across the two.

        Generated pictures never are, and the photos that are do not depend on them. Raises UsageError as
        ``hold_out_share``.
        """
        if self.held_out is not None:
            return self.held_out
        if self.synthetic is None:
            return hold_out_share(self.targets, share, seed, self.groups)
        held = np.zeros(len(self.paths), bool)
        photos = replace(self.subset(~self.synthetic), synthetic=None)
        held[~self.synthetic] = photos.hold_out(share, seed)
        return held

    def counts(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """How many of the photos where ``chosen`` ``[n]`` is true have each label, ``[c]``."""
        targets = self.targets[chosen]
        if targets.ndim == 2:
            return np.asarray(np.count_nonzero(targets, axis=0), np.int64)
        return np.bincount(targets.astype(np.int64), minlength=len(self.labels))


def read_dataset(data: Path, task: Task | None = None) -> Dataset:
    """A folder with a folder of photos for each class, a CSV table of 0 and 1, or a manifest.

    ``task`` is what the data must be for, where it is not left to the data: a table in which each photo has one label
    can be for one label, and classes can be labels of which any number may be present.

    Raises UsageError with what ``problems`` calls fatal, where a class has a name that no model can carry or no photo
    to train on, where the data are not for ``task``, and what ``read_data`` raises.
    """
    manifest = read_data(data)
    check_trainable(manifest, data)
    return _as_task(_of_manifest(data, manifest), task)


def _of_manifest(data: Path, manifest: Manifest) -> Dataset:
    """The kept photos of a manifest, without those that are for testing."""
    where = printable(str(data))
    entries = [entry for entry in manifest.kept if entry.split != "test"]
    labels = _labels(data, entries)
    check_names(where, labels)
    held_out = np.array([entry.split == "validation" for entry in entries], bool)
    synthetic = np.array([bool(entry.synthetic) for entry in entries], bool)
    same = look_at_files([entry.path for entry in entries]).same
    groups = join_groups([entry.group for entry in entries], same)
    dataset = Dataset(
        printable(data.stem if data.is_file() else data.resolve().name),
        tuple(entry.path for entry in entries),
        _targets(manifest.task, entries, labels),
        labels,
        held_out if held_out.any() else None,
        groups if any(groups) else None,
        synthetic if synthetic.any() else None,
    )
    if dataset.held_out is None:
        _check_groups(where, dataset)
    missing = np.flatnonzero(dataset.counts(~held_out) == 0)
    if len(missing):
        raise UsageError(
            f"{where} has no photo of {printable(labels[missing[0]])} to train on; add some, or split it anew."
        )
    return dataset


def _targets(task: Task, entries: list[Entry], labels: tuple[str, ...]) -> NDArray[np.int64] | NDArray[np.float32]:
    """The class of each photo ``[n]``, or 1 for each label that it has ``[n, c]``."""
    place = {label: target for target, label in enumerate(labels)}
    if task == "single_label":
        return np.array([place[entry.labels[0]] for entry in entries], np.int64)
    targets = np.zeros((len(entries), len(labels)), np.float32)
    for row, entry in enumerate(entries):
        targets[row, [place[label] for label in entry.labels]] = 1
    return targets


def _labels(data: Path, entries: list[Entry]) -> tuple[str, ...]:
    """All labels, sorted; those of a table in its own order."""
    if data.is_file() and not is_manifest(data):
        return read_label_table(data).labels
    return tuple(sorted({label for entry in entries for label in entry.labels}))


def _as_task(dataset: Dataset, task: Task | None) -> Dataset:
    """The data with targets for ``task``. Raises UsageError where a photo has none or several labels, and needs one."""
    if task in (None, dataset.task):
        return dataset
    if task == "multi_label":
        return replace(dataset, targets=np.eye(len(dataset.labels), dtype=np.float32)[dataset.targets.astype(np.int64)])
    present = dataset.targets.astype(bool)
    wrong = np.flatnonzero(present.sum(axis=1) != 1)
    if len(wrong):
        has = " and ".join(printable(dataset.labels[label]) for label in np.flatnonzero(present[wrong[0]])) or "none"
        raise UsageError(
            f"{len(wrong):,} of {len(present):,} photos have several labels or none, so they can't teach a model that "
            f"gives each photo one; the first is {printable(dataset.paths[wrong[0]])}, which has {has}. Ask for "
            "multi_label, or give each photo one label."
        )
    return replace(dataset, targets=present.argmax(axis=1).astype(np.int64))


def _check_groups(where: str, dataset: Dataset) -> None:
    """Raises UsageError where all photos of a class belong together: none could be held out of it."""
    groups = dataset.groups
    if groups is None:
        return
    for target, label in enumerate(dataset.labels):
        has = dataset.targets[:, target] > 0 if dataset.targets.ndim == 2 else dataset.targets == target
        own = {groups[row] for row in np.flatnonzero(has)}
        if len(own) == 1 and "" not in own:
            raise UsageError(
                f"{where}: all photos of {printable(label)} are of the group {printable(own.pop())!r}, which is never "
                "parted, so none can be held out; add photos of others, or drop the class."
            )


def check_names(where: str, names: tuple[str, ...]) -> None:
    """Raises UsageError for a name that no model can carry."""
    for name in names:
        if not is_text(name):
            raise UsageError(
                f"{where}: no model can carry the class name '{printable(name)}'; give it 1 to {MAX_TEXT} letters that "
                "can be printed."
            )


def bundle_name(name: str) -> str:
    """The data's name with what a folder may not be called replaced."""
    kept = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "-" for letter in name)
    return kept.strip("._-")[:64] or "model"


def head_of(dataset: Dataset, has_class_maps: bool, temperature: float | None) -> Head:
    """The head of a model of these classes, whose class maps' mean is the logits where it has some."""
    return Head(
        name="classes" if dataset.task == "single_label" else "labels",
        task=dataset.task,
        labels=tuple(Label(name, name.replace("_", " ")) for name in dataset.labels),
        class_maps="class_maps" if has_class_maps else None,
        class_maps_mean_is_logits=has_class_maps,
        temperature=temperature,
    )
