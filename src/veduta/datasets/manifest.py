"""A set of photos as a table: path, labels, split, group, and why a photo was dropped.

What cleaning, selecting and splitting decide stands in a manifest; no photo is ever moved or deleted.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from veduta.datasets.folders import class_folders, photos_in
from veduta.datasets.tables import MOST_BYTES, read_label_table, read_rows
from veduta.errors import MissingExtra, OutputError, UsageError
from veduta.images.limits import printable
from veduta.whole_file import write_whole

Labelling = Literal["single_label", "multi_label"]

#: Between the labels of a photo, in the column of many.
SEPARATOR = "|"
#: The second column's name tells whether photos have one label each.
LABEL_COLUMNS: dict[str, Labelling] = {"label": "single_label", "labels": "multi_label"}
#: A folder that has a manifest of this name says itself what it holds: not all its pictures need be photos of a class.
FOLDER_MANIFEST = "manifest.csv"
# Rows of a Parquet file that are unpacked at once.
_PARQUET_ROWS = 4096
_REST = ("split", "group", "dropped", "suspicion")
# Written where a photo has one: most sets are of photos alone.
_SYNTHETIC = "synthetic"


@dataclass(frozen=True, slots=True)
class Entry:
    """One photo.

    ``group`` names photos that belong together, such as the frames of one film; a split never parts them.
    ``dropped`` says why the photo is left out, a word, a colon and the details, and is empty where it is kept;
    ``suspicion`` is what somebody should look at. ``synthetic`` is what generated it, empty for a photo: a generated
    picture may be learnt from, and is never held out or judged on.
    """

    path: str
    labels: tuple[str, ...]
    split: str = ""
    group: str = ""
    dropped: str = ""
    suspicion: str = ""
    synthetic: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """Photos in their order; each has one label, or any number of them.

    ``empty`` are classes that have a folder and no photo in it; a file does not keep them.
    """

    task: Labelling
    entries: tuple[Entry, ...]
    empty: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, sorted, also those whose photos were all dropped, and the empty ones."""
        return tuple(sorted({*self.empty, *(label for entry in self.entries for label in entry.labels)}))

    @property
    def kept(self) -> tuple[Entry, ...]:
        """The photos that were not dropped."""
        return tuple(entry for entry in self.entries if not entry.dropped)

    @property
    def photos(self) -> tuple[Entry, ...]:
        """The kept ones that are photos: models are judged by these alone, never by generated pictures."""
        return tuple(entry for entry in self.kept if not entry.synthetic)

    def counts(self) -> dict[str, int]:
        """How many kept photos each label has, none left out, sorted by label."""
        found = dict.fromkeys(self.labels, 0)
        for entry in self.kept:
            for label in entry.labels:
                found[label] += 1
        return found

    def changed(self, change: Callable[[int, Entry], Entry]) -> Manifest:
        """The same with each entry as ``change`` makes it of its place and itself."""
        return replace(self, entries=tuple(change(place, entry) for place, entry in enumerate(self.entries)))

    def dropping(self, reasons: dict[int, str]) -> Manifest:
        """The same with the photos at these places dropped; one that was dropped before keeps its first reason."""
        return self.changed(
            lambda place, entry: (
                entry if entry.dropped or place not in reasons else replace(entry, dropped=reasons[place])
            )
        )

    def without_labels(self, unwanted: Collection[str]) -> Manifest:
        """The same with these labels taken off kept photos that have others as well, and from the empty classes."""

        def change(_place: int, entry: Entry) -> Entry:
            left = tuple(label for label in entry.labels if label not in unwanted)
            return replace(entry, labels=left) if left and not entry.dropped else entry

        return replace(self.changed(change), empty=tuple(name for name in self.empty if name not in unwanted))


def is_manifest(file: Path) -> bool:
    """Whether a file is a manifest, by its ending, or by the column ``path`` and another of a manifest's columns.

    Raises UsageError where it can't be read.
    """
    if file.suffix.lower() == ".parquet":
        return True
    header = {name.strip() for name in next(iter(read_rows(file)), [])}
    return "path" in header and not header.isdisjoint({*LABEL_COLUMNS, *_REST, _SYNTHETIC})


def read_data(data: Path) -> Manifest:
    """A folder with a folder of photos for each class, a CSV table of 0 and 1, or a manifest (CSV or Parquet).

    A folder that has a ``manifest.csv`` is what that says. Raises UsageError where it is none of these, and what
    ``read_manifest`` raises.
    """
    # Not Path.is_dir: of a name that is too long it raises.
    if os.path.isdir(data):  # noqa: PTH112
        own = data / FOLDER_MANIFEST
        return read_manifest(own) if own.is_file() else _of_folders(data)
    if not os.path.isfile(data):  # noqa: PTH113
        raise UsageError(
            f"{printable(str(data))} is not there; give a folder with a folder for each class, a table or a manifest."
        )
    if is_manifest(data):
        return read_manifest(data)
    table = read_label_table(data)
    entries = (
        Entry(path, tuple(label for label, there in zip(table.labels, row, strict=True) if there))
        for path, row in zip(table.paths, table.present, strict=True)
    )
    return Manifest("multi_label", tuple(entries))


def read_manifest(file: Path) -> Manifest:
    """A manifest that ``write_manifest`` wrote, or a table like it: ``path`` and ``label`` or ``labels`` are needed.

    Raises UsageError, naming the line, MissingExtra for Parquet without its extra.
    """
    rows = _parquet_rows(file) if file.suffix.lower() == ".parquet" else iter(read_rows(file))
    header = [name.strip() for name in next(rows, [])]
    named = [name for name in LABEL_COLUMNS if name in header]
    if "path" not in header or len(named) != 1:
        raise UsageError(
            f"{printable(str(file))} is no manifest: it needs a column path and a column label, or labels for photos "
            f"with many; here the columns are {', '.join(repr(printable(name)) for name in header[:9]) or 'missing'}."
        )
    known = ("path", named[0], *_REST, _SYNTHETIC)
    wrong = [name for name in header if name not in known or header.count(name) > 1]
    if wrong:
        raise UsageError(
            f"{printable(str(file))} has the column {printable(wrong[0])!r} too many; a manifest has path, {named[0]} "
            f"and, once each, any of {', '.join(known[2:])}."
        )
    task = LABEL_COLUMNS[named[0]]
    entries = tuple(_entry(file, header, row, line, task) for line, row in enumerate(rows, 2) if row)
    if not entries:
        raise UsageError(f"{printable(str(file))} names no photo.")
    return Manifest(task, entries)


def write_manifest(file: Path, manifest: Manifest) -> None:
    """Write ``file``, CSV or Parquet by its ending; paths below its folder are kept relative to it, so both can move.

    Raises UsageError for a label that holds the separator, OutputError, MissingExtra for Parquet without its extra.
    """
    name = next(name for name, task in LABEL_COLUMNS.items() if task == manifest.task)
    # As text: a Path for each of a million photos would take longer than all the rest.
    root = str(file.resolve().parent).rstrip(os.sep) + os.sep
    rest = (*_REST, _SYNTHETIC) if any(entry.synthetic for entry in manifest.entries) else _REST
    rows = [
        (_stored(entry.path, root), _joined(entry, manifest.task), *(getattr(entry, each) for each in rest))
        for entry in manifest.entries
    ]
    header = ("path", name, *rest)
    if file.suffix.lower() not in (".csv", ".parquet"):
        raise UsageError(f"{printable(str(file))}: a manifest is a .csv or a .parquet file; end its name so.")
    try:
        content = _parquet_bytes(header, rows) if file.suffix.lower() == ".parquet" else _csv_bytes(header, rows)
    except UnicodeEncodeError as error:
        raise OutputError(
            f"{printable(str(file))}: a path in it is not Unicode, which no table can hold; rename the photo."
        ) from error
    write_whole(file, content)


def _of_folders(root: Path) -> Manifest:
    photos = {name: photos_in(root / name) for name in class_folders(root)}
    entries = [Entry(sample.path, (name,)) for name, samples in photos.items() for sample in samples]
    if not entries:
        raise UsageError(
            f"{printable(str(root))} holds no class folders with photos; give one that does, such as "
            "photos/kitchen/1.jpg."
        )
    return Manifest("single_label", tuple(entries), tuple(name for name, samples in photos.items() if not samples))


def _entry(file: Path, header: list[str], row: list[str], line: int, task: Labelling) -> Entry:
    values = dict(zip(header, row, strict=False))
    if len(row) != len(header) or not values["path"]:
        raise UsageError(
            f"line {line} of {printable(str(file))} has {len(row)} values, expected {len(header)}, one of them a path."
        )
    label = values["label" if task == "single_label" else "labels"]
    labels = tuple(part.strip() for part in label.split(SEPARATOR)) if task == "multi_label" else (label.strip(),)
    labels = () if labels == ("",) and task == "multi_label" else labels
    if "" in labels or len(set(labels)) < len(labels):
        raise UsageError(f"line {line} of {printable(str(file))} has an empty label, or one twice; name each once.")
    rest = {name: values.get(name, "").strip() for name in (*_REST, _SYNTHETIC)}
    if rest[_SYNTHETIC] and rest["split"] not in ("", "train"):
        raise UsageError(
            f"line {line} of {printable(str(file))} has a generated picture in the split {printable(rest['split'])!r}; "
            "models are judged by photos alone, so put it into train."
        )
    return Entry(str(file.parent / values["path"]), labels, **rest)


def _stored(path: str, root: str) -> str:
    """Relative where the photo lies below the manifest; links are left as they are."""
    whole = os.path.abspath(path)  # noqa: PTH100
    return whole[len(root) :].replace(os.sep, "/") if whole.startswith(root) else whole


def _joined(entry: Entry, task: Labelling) -> str:
    wrong = [label for label in entry.labels if SEPARATOR in label and task == "multi_label"]
    if wrong:
        raise UsageError(f"the label {printable(wrong[0])!r} holds {SEPARATOR!r}, which parts labels; rename it.")
    return SEPARATOR.join(entry.labels)


def _csv_bytes(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue().encode()


def _parquet_rows(file: Path) -> Iterator[list[str]]:
    parquet = _pyarrow("pyarrow.parquet")
    try:
        # A small file may unpack to any size, and what it has once it may tell a million times.
        about = parquet.read_metadata(file)
        left = MOST_BYTES - sum(about.row_group(place).total_byte_size for place in range(about.num_row_groups))
        schema = about.schema.to_arrow_schema()
        if left < 0:
            raise _unpacks_to_too_much(file)
        if any(_pyarrow("pyarrow").types.is_nested(kind) for kind in schema.types):
            raise UsageError(f"{printable(str(file))} has lists or records in its cells; a manifest has texts.")
        yield list(schema.names)
        for batch in parquet.ParquetFile(file, read_dictionary=schema.names).iter_batches(batch_size=_PARQUET_ROWS):
            left -= sum(_letters(column) for column in batch.columns)
            if left < 0:
                raise _unpacks_to_too_much(file)
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                yield ["" if value is None else str(value) for value in row]
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{printable(str(file))} can't be read as Parquet ({error}); write the manifest anew."
        ) from error


def _unpacks_to_too_much(file: Path) -> UsageError:
    return UsageError(f"{printable(str(file))} unpacks to more than {MOST_BYTES >> 20} MB, too much for a manifest.")


def _letters(column: Any) -> int:
    """The bytes that the texts of a column take when each is written out; of others, what they take as they are."""
    arrow, compute = _pyarrow("pyarrow"), _pyarrow("pyarrow.compute")
    if not arrow.types.is_dictionary(column.type):
        return int(column.nbytes)
    lengths = compute.binary_length(column.dictionary)
    return int(compute.sum(compute.cast(compute.take(lengths, column.indices), "int64")).as_py() or 0)


def _parquet_bytes(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> bytes:
    arrow, parquet = _pyarrow("pyarrow"), _pyarrow("pyarrow.parquet")
    columns = zip(*rows, strict=True) if rows else [()] * len(header)
    table = arrow.table(
        {name: arrow.array(values, arrow.string()) for name, values in zip(header, columns, strict=True)}
    )
    file = io.BytesIO()
    parquet.write_table(table, file, compression="zstd")
    return file.getvalue()


def _pyarrow(module: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtra('Parquet needs pyarrow; install it with: pip install "veduta[parquet]"') from error
