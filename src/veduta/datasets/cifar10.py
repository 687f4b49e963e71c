"""CIFAR-10 in its binary version (Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images").

A record is a byte for the class and then 32 by 32 bytes of red, of green and of blue. The pictures are unpacked to PNG
files, so that all that reads photos reads them. The other version is made of pickles, which can run code as they are
read, and is refused.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from veduta.datasets.file_lists import find_file, lines_of
from veduta.datasets.manifest import Entry, Manifest
from veduta.errors import UsageError
from veduta.images.limits import printable
from veduta.labels.text_file import is_name
from veduta.whole_file import write_whole

SIDE = 32
RECORD = 1 + 3 * SIDE * SIDE
#: The published files have 10,000 records each; a file with more than ten times as many is another.
MOST_RECORDS = 100_000
CLASSES = 10


def unpack_cifar10(root: Path, folder: Path, *, progress: Callable[[int, int, int], None] | None = None) -> Manifest:
    """Unpack ``data_batch_1.bin`` to ``_5`` and ``test_batch.bin`` to ``folder/airplane/train-1-00000.png`` and so on.

    A picture that lies there already, whole, is not written again: a killed run goes on. ``progress`` is told pictures
    done, 0, and all. Raises UsageError, before any is written, where a file is missing, pickled, cut off or not of this
    format, and OutputError.
    """
    names = _class_names(_needed(root, "batches.meta.txt"))
    files = [(f"train-{number}", _needed(root, f"data_batch_{number}.bin")) for number in range(1, 6)]
    files.append(("test", _needed(root, "test_batch.bin")))
    total = sum(len(_records(file)) for _, file in files)
    entries = []
    for name, file in files:
        for number, record in enumerate(_records(file)):
            label = names[record[0]]
            path = folder / label / f"{name}-{number:05}.png"
            _write_png(path, record[1:].reshape(3, SIDE, SIDE).transpose(1, 2, 0))
            entries.append(Entry(str(path), (label,), name.partition("-")[0]))
            if progress is not None:
                progress(len(entries), 0, total)
    return Manifest("single_label", tuple(entries))


def _needed(root: Path, name: str) -> Path:
    found = find_file(root, name)
    if found is None and find_file(root, "batches.meta", "data_batch_1") is not None:
        raise UsageError(
            f"{printable(str(root))} has CIFAR-10 as Python pickles, which can run any code as they are read; get "
            "the binary version, cifar-10-binary.tar.gz, whose files end in .bin."
        )
    if found is None:
        raise UsageError(
            f"{printable(str(root))} holds no {name}, nor does a folder in it; give the folder that CIFAR-10's binary "
            "version was unpacked to."
        )
    return found


def _class_names(file: Path) -> list[str]:
    """The ten names, which become folders."""
    names = [line for _, line in lines_of(file)]
    good = [name for name in names if is_name(name) and not name.startswith(".") and not {*"/\\"} & {*name}]
    if names != good or len(names) != CLASSES or len(set(names)) != CLASSES:
        raise UsageError(
            f"{printable(str(file))} must name {CLASSES} classes as folders can be called, one on a line; get it anew."
        )
    return names


def _records(file: Path) -> NDArray[np.uint8]:
    """All of a file, ``[n, 3073]``, checked."""
    try:
        size = file.stat().st_size
        if not 0 < size <= MOST_RECORDS * RECORD or size % RECORD:
            raise UsageError(
                f"{printable(str(file))} has {size:,} bytes, expected {RECORD:,} for each picture and at most "
                f"{MOST_RECORDS:,} of them: it is cut off, or no file of CIFAR-10's binary version; get it anew."
            )
        records = np.fromfile(file, np.uint8).reshape(-1, RECORD)
    except OSError as error:
        raise UsageError(f"{printable(str(file))} can't be read ({error.strerror}); check its permissions.") from error
    wrong = np.flatnonzero(records[:, 0] >= CLASSES)
    if len(wrong):
        raise UsageError(
            f"picture {wrong[0] + 1:,} of {printable(str(file))} has the class {records[wrong[0], 0]}, expected 0 to "
            f"{CLASSES - 1}; get the file anew."
        )
    return records


def _write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Nothing is written where the file is there and whole, which its bytes tell."""
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG", compress_level=1)
    content = encoded.getvalue()
    try:
        if path.read_bytes() == content:
            return
    except OSError:
        pass  # not there yet; writing tells what else is wrong
    # One fsync for each of 60,000 would take an hour; what a loss of power leaves is found by its bytes.
    write_whole(path, content, sync=False)
