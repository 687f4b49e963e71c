"""A user's photos by path, and what they show: class folders, a table or a manifest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veduta.datasets.folders import class_folders, list_class_folders
from veduta.datasets.manifest import is_manifest, read_manifest
from veduta.datasets.tables import read_label_table
from veduta.errors import UsageError
from veduta.images.limits import printable
from veduta.models.bundle import Head, Task
from veduta.models.json_reader import MAX_TEXT, is_text
from veduta.records import Label


@dataclass(frozen=True, slots=True)
class Dataset:
    """Photos by path with their targets, int64 ``[n]`` or float32 ``[n, c]``, and the c names of these.

    ``held_out`` ``[n]`` is true for photos that a manifest keeps for validation; None where nothing says which.
    """

    name: str
    paths: tuple[str, ...]
    targets: NDArray[np.int64] | NDArray[np.float32]
    labels: tuple[str, ...]
    held_out: NDArray[np.bool_] | None = None

    @property
    def task(self) -> Task:
        """One label for each photo, or any number of them."""
        return "single_label" if self.targets.ndim == 1 else "multi_label"

    def subset(self, chosen: NDArray[np.bool_]) -> Dataset:
        """The photos where ``chosen`` ``[n]`` is true; all labels stay."""
        paths = tuple(path for path, keep in zip(self.paths, chosen, strict=True) if keep)
        held_out = None if self.held_out is None else self.held_out[chosen]
        return replace(self, paths=paths, targets=self.targets[chosen], held_out=held_out)

    def counts(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """How many of the photos where ``chosen`` ``[n]`` is true have each label, ``[c]``."""
        targets = self.targets[chosen]
        if targets.ndim == 2:
            return np.asarray(np.count_nonzero(targets, axis=0), np.int64)
        return np.bincount(targets.astype(np.int64), minlength=len(self.labels))


def read_dataset(data: Path) -> Dataset:
    """A folder with a folder of photos for each class, a CSV table of 0 and 1, or a manifest.

    Raises UsageError where it is neither, a class has no photo or a name that no model can carry, or there are fewer
    than two classes.
    """
    if data.is_file() and is_manifest(data):
        return _of_manifest(data)
    if data.is_file():
        table = read_label_table(data)
        _check_names(data, table.labels)
        return Dataset(printable(data.stem), table.paths, table.present, table.labels)
    if not data.is_dir():
        raise UsageError(
            f"{printable(str(data))} is not there; give a folder with a folder for each class, or a CSV table."
        )
    folders = class_folders(data)
    if len(folders) < 2:
        raise UsageError(
            f"{printable(str(data))} holds {len(folders)} class folders; a training needs two or more, or a CSV table."
        )
    _check_names(data, folders)
    samples = list_class_folders(data, folders)
    place = {name: target for target, name in enumerate(folders)}
    targets = np.array([place[sample.label or ""] for sample in samples], np.int64)
    name = printable(data.resolve().name)
    return Dataset(name, tuple(sample.path for sample in samples), targets, tuple(folders))


def _of_manifest(file: Path) -> Dataset:
    """The kept photos of a manifest, without those that are for testing."""
    manifest = read_manifest(file)
    strange = {entry.split for entry in manifest.kept} - {"", "train", "validation", "test"}
    if strange:
        raise UsageError(
            f"{printable(str(file))} has the split {printable(min(strange))!r}; a training knows train, validation and "
            "test."
        )
    entries = [entry for entry in manifest.kept if entry.split != "test"]
    labels = tuple(sorted({label for entry in entries for label in entry.labels}))
    if len(labels) < 2 and (manifest.task == "single_label" or not labels):
        raise UsageError(
            f"{printable(str(file))} keeps photos of {len(labels)} classes to train on; a training needs two or more."
        )
    _check_names(file, labels)
    place = {label: target for target, label in enumerate(labels)}
    targets: NDArray[np.int64] | NDArray[np.float32]
    if manifest.task == "single_label":
        targets = np.array([place[entry.labels[0]] for entry in entries], np.int64)
    else:
        targets = np.zeros((len(entries), len(labels)), np.float32)
        for row, entry in enumerate(entries):
            targets[row, [place[label] for label in entry.labels]] = 1
    held_out = np.array([entry.split == "validation" for entry in entries], bool)
    paths = tuple(entry.path for entry in entries)
    dataset = Dataset(printable(file.stem), paths, targets, labels, held_out if held_out.any() else None)
    missing = np.flatnonzero(dataset.counts(~held_out) == 0)
    if len(missing):
        raise UsageError(
            f"{printable(str(file))} has photos of {labels[missing[0]]} for validation and none to train on; split it "
            "anew."
        )
    return dataset


def _check_names(data: Path, names: tuple[str, ...] | list[str]) -> None:
    for name in names:
        if not is_text(name):
            raise UsageError(
                f"{printable(str(data))}: no model can carry the class name '{printable(name)}'; give it 1 to "
                f"{MAX_TEXT} letters that can be printed."
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
