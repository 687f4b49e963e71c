"""The photos of the recipe, and which of them it may learn from."""

from __future__ import annotations

import csv
from pathlib import Path

from veduta.datasets.folders import LabelledPhotos, read_class_folders
from veduta.datasets.split import hold_out
from veduta.errors import UsageError
from veduta.images.preprocess import Preprocessing
from veduta.training.photo_sets import PhotoSet

#: Side in pixels of the graph's input; the training photos have no more.
SIDE = 128
# On 769 photos of sun27 bilinear and bicubic were within 0.4 points of each other; bilinear takes less time.
INPUT = Preprocessing(fit="crop", sizes=((SIDE, SIDE),), short_side=SIDE, filter="bilinear")

#: Photos of each class that the recipe never trains on: every choice, temperature and threshold come from them.
HOLD_OUT_PER_CLASS = 15
HOLD_OUT_SEED = 2026
#: Their list, for the reader; the rule above makes it.
HOLD_OUT_LIST = Path(__file__).with_name("holdout.txt")


def read_training(data: Path) -> tuple[PhotoSet, PhotoSet]:
    """The photos of ``places100/train`` to learn from, and those held out; both share one array.

    Raises UsageError where photos are missing, or where those held out are not the ones of the list.
    """
    photos = read_class_folders(data / "places100" / "train", class_folders(data), INPUT)
    held = hold_out(photos.targets, HOLD_OUT_PER_CLASS, HOLD_OUT_SEED)
    _check_list([name for name, kept in zip(photos.names, held, strict=True) if kept])
    whole = PhotoSet.of(photos)
    return whole.subset(~held), whole.subset(held)


def read_val(data: Path, wanted: Preprocessing = INPUT) -> LabelledPhotos:
    """The test photos, ``places100/val``: to be read once for each model that is to be shipped."""
    return read_class_folders(data / "places100" / "val", class_folders(data), wanted)


def class_folders(data: Path) -> list[str]:
    """The class folders in the order of the labels."""
    table = data / "labels" / "places100.csv"
    if not table.is_file():
        raise UsageError(f"{table} is not there; give the folder that holds places100/ and labels/ with --data.")
    with table.open(encoding="utf-8", newline="") as file:
        return [row["folder"] for row in csv.DictReader(file)]


def _check_list(names: list[str]) -> None:
    """The committed list must be what the rule gives, or a figure would rest on photos that were trained on."""
    if not HOLD_OUT_LIST.is_file() or HOLD_OUT_LIST.read_text(encoding="utf-8").split("\n")[:-1] != names:
        raise UsageError(
            f"the held-out photos are not those of {HOLD_OUT_LIST.name}: other photos or another seed; expected the "
            f"{len(names)} of the list, photo by photo."
        )
