"""Sets as they are published, read from where their archives were unpacked, with the splits that they come with.

Places365 (Zhou et al. 2017, "Places: A 10 million Image Database for Scene Recognition"), SUN397 (Xiao et al. 2010,
"SUN Database: Large-scale Scene Recognition from Abbey to Zoo"), MIT Indoor-67 (Quattoni and Torralba 2009,
"Recognizing Indoor Scenes"), the SUN Attribute database (Patterson et al. 2014, "The SUN Attribute Database: Beyond
Categories for Deeper Scene Understanding"); for CIFAR-10 see ``cifar10``.

A photo that a list names and the disk does not have is dropped, with that reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from veduta.datasets.cifar10 import unpack_cifar10
from veduta.datasets.file_lists import find_file, folders_in, lines_of, listed_path, locate, photo_names
from veduta.datasets.manifest import Entry, Labelling, Manifest
from veduta.datasets.matlab import read_numbers, read_texts
from veduta.datasets.sun_attribute_table import ANNOTATIONS, annotated_entries
from veduta.errors import UsageError
from veduta.images.limits import printable
from veduta.labels.categories import places365
from veduta.labels.text_file import is_name

Layout = Literal["places365", "sun397", "indoor67", "sun_attributes", "cifar10"]
#: Files that only a set of this layout has; Places365 may also be a tree without any.
MARKS: dict[Layout, tuple[str, ...]] = {
    "places365": ("categories_places365.txt", "places365_val.txt", "places365_train_standard.txt"),
    "sun397": ("ClassName.txt", "Training_01.txt"),
    "indoor67": ("TrainImages.txt",),
    "sun_attributes": ("attributeLabels_continuous.mat", ANNOTATIONS),
    "cifar10": ("data_batch_1.bin", "batches.meta.txt", "batches.meta", "data_batch_1"),
}
# Where the archives of Places365 unpack to, and what others call it.
_TRAIN_FOLDERS = ("data_256", "data_large", "data_256_standard", "data_large_standard")
_CHALLENGE_FOLDERS = ("data_256_challenge", "data_large_challenge")
_VALIDATION_FOLDERS = ("val_256", "val_large")
#: SUN397 comes with so many partitions.
PARTITIONS = 10
# What the three files of the SUN Attribute database call what they hold.
_IMAGES, _ATTRIBUTES, _VOTES = "images", "attributes", "labels_cv"
# More than one third, but for how that may have been rounded.
_PRESENT = 1 / 3 + 0.01


def find_layout(root: Path) -> Layout:
    """Which set lies in ``root`` or in a folder of it, by its files. Raises UsageError where none does, or several."""
    found = [layout for layout, marks in MARKS.items() if find_file(root, *marks) is not None]
    if not found and easy_format(root) is not None:
        found = ["places365"]
    where = printable(str(root))
    if len(found) > 1:
        raise UsageError(f"{where} has the files of {' and '.join(found)}; say with --layout which is meant.")
    if not found:
        known = "; ".join(f"{layout} by its {' or '.join(marks[:2])}" for layout, marks in MARKS.items())
        raise UsageError(f"{where} has the files of no published set that is known: {known}.")
    return found[0]


def read_published(
    root: Path,
    layout: Layout,
    *,
    photos: Path | None = None,
    partition: int | None = None,
    progress: Callable[[int, int, int], None] | None = None,
) -> Manifest:
    """A set of this layout. ``photos`` is where its photos are, if not in ``root``; of CIFAR-10, which has none, where
    they are unpacked to, and ``progress`` is told how many are. ``partition`` is one of SUN397's.

    Raises UsageError, and OutputError where pictures can't be written.
    """
    if partition is not None and layout != "sun397":
        raise UsageError(f"{layout} has no partitions; only SUN397 does.")
    match layout:
        case "places365":
            return read_places365(root, photos)
        case "sun397":
            return read_sun397(root, photos, partition)
        case "indoor67":
            return read_indoor67(root, photos)
        case "sun_attributes":
            return read_sun_attributes(root, photos)
        case "cifar10":
            if photos is None:
                raise UsageError(
                    "CIFAR-10 has no files of photos; name a folder to unpack its pictures to with --photos."
                )
            return unpack_cifar10(root, photos, progress=progress)


def read_places365(root: Path, photos: Path | None = None) -> Manifest:
    """Places365, Standard or Challenge, by its file lists, or the tree of class folders (``easyformat``).

    The lists are ``categories_places365.txt``, ``places365_train_standard.txt`` (or ``_challenge``) and
    ``places365_val.txt``, one of the last two at least; photos lie in ``data_256/a/airfield/`` and ``val_256/``, or in
    the folders of the large ones, in ``photos`` or else in ``root``. The tree has ``train/airfield/`` and
    ``val/airfield/``, with ``-`` for the ``/`` of a category. What is published as val has the split ``validation``.
    Raises UsageError, naming the line of a list.
    """
    tree = easy_format(photos or root)
    if tree is not None:
        return _of_easy_format(tree)
    categories = _categories(_needed(root, "categories_places365.txt"))
    base = photos or root
    train = find_file(root, "places365_train_standard.txt", "places365_train_challenge.txt")
    held = find_file(root, "places365_val.txt")
    if train is None and held is None:
        raise UsageError(f"{printable(str(root))} holds neither places365_train_standard.txt nor places365_val.txt.")
    entries: list[Entry] = []
    if train is not None:
        folders = _CHALLENGE_FOLDERS if "challenge" in train.name else ()
        entries += _of_list(train, categories, "train", [base / name for name in (*folders, *_TRAIN_FOLDERS, "")])
    if held is not None:
        entries += _of_list(held, categories, "validation", [base / name for name in (*_VALIDATION_FOLDERS, "")])
    return _checked("single_label", entries, train or held or root, base)


def easy_format(root: Path) -> Path | None:
    """The folder, ``root`` or one in it, with a ``train`` and a ``val`` whose folders are categories of Places365."""
    known = {label.id.replace("/", "-") for label in places365()}
    for tree in (root, *folders_in(root)):
        parts = tree / "train", tree / "val"
        if all(part.is_dir() and {each.name for each in folders_in(part)} & known for part in parts):
            return tree
    return None


def _of_easy_format(tree: Path) -> Manifest:
    names = {label.id.replace("/", "-"): label.id for label in places365()}
    entries = [
        Entry(str(folder / name), (names.get(folder.name, folder.name),), split)
        for part, split in (("train", "train"), ("val", "validation"))
        for folder in folders_in(tree / part)
        for name in photo_names(folder)
    ]
    return _checked("single_label", entries, tree, tree)


def _categories(file: Path) -> dict[int, str]:
    """The category of each number: ``/a/arena/hockey 15`` is ``arena/hockey``."""
    found: dict[str, int] = {}
    for number, line in lines_of(file):
        path, place = _path_and_number(file, number, line)
        name = path.partition("/")[2]
        if not is_name(name) or name in found:
            raise UsageError(f"line {number} of {printable(str(file))} has a category a second time, or none.")
        found[name] = place
    return {place: name for name, place in found.items()}


def _of_list(file: Path, categories: Mapping[int, str], split: str, folders: Sequence[Path]) -> list[Entry]:
    labels = {place: (name,) for place, name in categories.items()}
    entries = []
    for number, line in lines_of(file):
        path, place = _path_and_number(file, number, line)
        name = categories.get(place)
        # The training photos lie in folders of their category, those for validation all in one.
        parent = path.rpartition("/")[0].partition("/")[2]
        if name is None or parent not in ("", name):
            raise UsageError(
                f"line {number} of {printable(str(file))} gives {path} the category {place}, which "
                f"categories_places365.txt {'does not have' if name is None else 'calls ' + name}; get both anew."
            )
        entries.append(Entry(path, labels[place], split))
    return locate(entries, folders)


def _path_and_number(file: Path, number: int, line: str) -> tuple[str, int]:
    path, _, place = line.rpartition(" ")
    if not path or not place.isascii() or not place.isdigit() or len(place) > 6:
        raise UsageError(f"line {number} of {printable(str(file))} must have a path, a space and a category's number.")
    return listed_path(file, number, path.strip()), int(place)


def read_sun397(root: Path, photos: Path | None = None, partition: int | None = None) -> Manifest:
    """SUN397: photos in ``a/abbey/``, the categories in ``ClassName.txt``, its ten partitions in ``Training_01.txt``,
    ``Testing_01.txt`` and so on, each 50 photos of a category to train on and 50 to test.

    ``partition`` None is the first, where there is any; photos in neither of its lists are dropped, with that reason.
    Without partitions all photos of the categories are taken, and none has a split. Raises UsageError.
    """
    if partition is not None and not 1 <= partition <= PARTITIONS:
        raise UsageError(f"SUN397 has no partition {partition}; give one from 1 to {PARTITIONS}.")
    lists = [find_file(root, f"{part}_{partition or 1:02}.txt") for part in ("Training", "Testing")]
    if partition is not None and None in lists:
        raise UsageError(f"{printable(str(root))} has no Training_{partition:02}.txt and Testing_{partition:02}.txt.")
    parts = {} if None in lists else _parts(*(file for file in lists if file is not None))
    names = find_file(root, "ClassName.txt")
    if names is None and not parts:
        _needed(root, "ClassName.txt", "Training_01.txt")
    classes = {listed_path(names, number, line) for number, line in lines_of(names)} if names is not None else set()
    classes |= {path.rpartition("/")[0] for path in parts}
    base = photos or root
    source = names or lists[0] or root
    return _tree([base, base / "SUN397", source.parent], sorted(classes), 1, parts, source)


def read_indoor67(root: Path, photos: Path | None = None) -> Manifest:
    """MIT Indoor-67: photos in ``Images/airport_inside/``, and in ``TrainImages.txt`` and ``TestImages.txt`` the 80 and
    the 20 of each category that results are told on; photos in neither list are dropped, with that reason.

    ``photos`` is the folder of the category folders, or that in which ``Images`` lies. Raises UsageError.
    """
    lists = [_needed(root, name) for name in ("TrainImages.txt", "TestImages.txt")]
    parts = _parts(*lists)
    base = photos or root
    classes = sorted({path.rpartition("/")[0] for path in parts})
    return _tree([base / "Images", base, lists[0].parent / "Images"], classes, 0, parts, lists[0])


def _parts(train: Path, test: Path) -> dict[str, str]:
    """The split of each path that one of the two lists names."""
    parts: dict[str, str] = {}
    for file, split in ((train, "train"), (test, "test")):
        for number, line in lines_of(file):
            path = listed_path(file, number, line)
            if "/" not in path or parts.setdefault(path, split) != split:
                raise UsageError(
                    f"line {number} of {printable(str(file))} names {path}, "
                    + ("which the other list has too." if "/" in path else "expected a folder and a photo in it.")
                )
    return parts


def _tree(
    folders: Sequence[Path], classes: Sequence[str], depth: int, parts: Mapping[str, str], source: Path
) -> Manifest:
    """Photos in class folders, those on disk and those that the lists name; a label is its folder without the first
    ``depth`` of its parts.
    """
    folder = max(folders, key=lambda each: sum((each / name).is_dir() for name in classes))
    paths = {f"{name}/{photo}" for name in classes for photo in photo_names(folder / name)} | parts.keys()
    entries = [
        Entry(
            path,
            ("/".join(path.split("/")[depth:-1]),),
            parts.get(path, ""),
            dropped="" if path in parts or not parts else "split: in neither of the published lists",
        )
        for path in sorted(paths)
    ]
    return _checked("single_label", locate(entries, [folder]), source, folder)


def read_sun_attributes(root: Path, photos: Path | None = None) -> Manifest:
    """The SUN Attribute database: ``images.mat``, ``attributes.mat``, ``attributeLabels_continuous.mat`` in ``root``.

    A photo has an attribute where more than one third of the three workers said so. The photos are looked for in
    ``photos``, or else in ``root``, there or in ``images/``. The database has no splits. Where it was made into tables
    (``annotations.csv``), these are read as ``sun_attribute_table`` tells, with the split that they have.
    Raises UsageError where a file is missing, is not what it should be, or no photo is there.
    """
    table = find_file(root, ANNOTATIONS)
    if table is not None and find_file(root, "attributeLabels_continuous.mat") is None:
        return _checked("multi_label", annotated_entries(table.parent, photos), table, photos or table.parent)
    files = [_needed(root, f"{name}.mat") for name in (_IMAGES, _ATTRIBUTES, "attributeLabels_continuous")]
    paths = read_texts(files[0], _IMAGES)
    names = [" ".join(name.split()) for name in read_texts(files[1], _ATTRIBUTES)]
    votes = read_numbers(files[2], _VOTES)
    if len(set(names)) < len(names) or not all(map(is_name, names)):
        raise UsageError(f"{printable(str(files[1]))} has an attribute twice, or one that is no name; get it anew.")
    if votes.shape != (len(paths), len(names)):
        raise UsageError(
            f"{printable(str(files[2]))} has votes for {votes.shape[0]} photos and {votes.shape[1]} attributes, but "
            f"images.mat names {len(paths)} and attributes.mat {len(names)}; get the three from one download."
        )
    if not ((votes >= 0) & (votes <= 1)).all():
        raise UsageError(f"{printable(str(files[2]))} has votes outside 0 to 1; get it anew.")
    entries = [
        Entry(listed_path(files[0], row + 1, path), tuple(names[each] for each in np.flatnonzero(said > _PRESENT)))
        for row, (path, said) in enumerate(zip(paths, votes, strict=True))
    ]
    base = photos or root
    found = locate(entries, [base / "images", base, files[0].parent / "images"]) if entries else []
    return _checked("multi_label", found, files[0], base)


def _needed(root: Path, *names: str) -> Path:
    found = find_file(root, *names)
    if found is None:
        raise UsageError(
            f"{printable(str(root))} holds no {' or '.join(names)}, nor does a folder in it; give the folder that the "
            "set was unpacked to."
        )
    return found


def _checked(task: Labelling, entries: Sequence[Entry], source: Path, looked: Path) -> Manifest:
    """Raises UsageError where nothing is listed, or none of it is on disk."""
    if not entries:
        raise UsageError(f"{printable(str(source))} names no photo; get it anew from where the set is published.")
    if all(entry.dropped.startswith("missing:") for entry in entries):
        raise UsageError(
            f"none of the {len(entries):,} photos that {printable(str(source))} names is in {printable(str(looked))}, "
            f"such as {printable(entries[0].path)}; say where they are with --photos."
        )
    return Manifest(task, tuple(entries))
