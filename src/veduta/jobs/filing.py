"""Photos sorted into a folder for each class, with their heat maps, and a manifest that a training takes.

results/
    <class>/<name>.jpg                the photo, linked or copied
    <class>/<name>.heatmap.jpg        the region that decided, in colour over it
    <class>/<name>.segmentation.jpg   the photo, dimmed outside that region
    unsure/...                        the same for photos below the threshold, by their most probable class
    results.csv, results.jsonl        a row for each photo
    manifest.csv                      photos and classes as a set; unsure ones are dropped, heat maps not named
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from veduta.datasets.manifest import FOLDER_MANIFEST, Entry, Manifest, write_manifest
from veduta.errors import PhotoError, UsageError
from veduta.explanation.explain import explain
from veduta.jobs.output import OutputFile
from veduta.jobs.rows import Result, Row, json_line
from veduta.labels.text_file import neutral
from veduta.models.threads import available_threads
from veduta.recognition.tagger import Tagger
from veduta.whole_file import not_written, write_whole

#: The folder of photos that no class is sure of.
UNSURE = "unsure"
#: Names that no class of a results folder may have.
RESERVED = (UNSURE, "report", FOLDER_MANIFEST, "results.csv", "results.jsonl", "thresholds.csv")

_JOURNAL = ".veduta-results"
_HEAT_MAP, _SEGMENTATION = "heatmap", "segmentation"
_COLUMNS = ("path", "class", "probability", "first", "second", "second_probability", "file", "heat_map", "segmentation")
_QUALITY, _WAITING = 88, 64


@dataclass(frozen=True, slots=True)
class Filing:
    """How to sort: below ``threshold`` a photo is unsure. ``copy`` copies photos, where else they are linked.

    Without ``pictures`` no heat map and no segmentation is drawn.
    """

    threshold: float
    copy: bool = False
    pictures: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise UsageError(f"the threshold {self.threshold:g} is no probability; give one from 0 to 1, such as 0.99.")


class FilingSink:
    """Sorts the results of a job into ``folder``, of which it must have made all that it replaces.

    Attributes:
        counts: how many photos lie in each class's folder, and in ``unsure``.
        confidences: the probability of the first class of each answered photo, in order.
    """

    def __init__(self, folder: Path, tagger: Tagger, how: Filing) -> None:
        self.counts = dict.fromkeys([*(folder_name(label.name) for label in tagger.labels), UNSURE], 0)
        self.confidences: list[float] = []
        self._folder, self._tagger, self._how = folder, tagger, how
        self._journal = _Journal(folder)
        self._names = _Names()
        self._entries: list[Entry] = []
        self._rows = OutputFile(folder / "results.jsonl")
        self._table = OutputFile(folder / "results.csv")
        self._put((*_COLUMNS, "error"))
        self._drawing = ThreadPoolExecutor(available_threads(), thread_name_prefix="veduta-draw")
        self._waiting: deque[Future[None]] = deque()

    def write(self, result: Result) -> None:
        """Sort the next photo."""
        row = result.row
        if "error" in row:
            self._rows.write(json_line(row))
            self._put([row["path"], *[""] * (len(_COLUMNS) - 1), row["message"]])
            return
        place = self._place(row)
        self._waiting.append(self._drawing.submit(self._file, row, place))
        while len(self._waiting) > _WAITING:
            self._waiting.popleft().result()
        self._tell(row, place)

    def finish(self) -> None:
        """All photos are sorted: write the manifest, and remove what an earlier run sorted elsewhere."""
        while self._waiting:
            self._waiting.popleft().result()
        self._drawing.shutdown()
        if self._entries:
            write_manifest(self._folder / FOLDER_MANIFEST, Manifest("single_label", tuple(self._entries)))
        self._rows.finish()
        self._table.finish()
        self._journal.finish()

    def abandon(self) -> None:
        """Leave what is sorted, so that the next run goes on from there."""
        self._drawing.shutdown(wait=True, cancel_futures=True)
        self._rows.abandon()
        self._table.abandon()
        self._journal.close()

    def _place(self, row: Row) -> _Place:
        first = row["scores"][0]
        label = next(label for label in self._tagger.labels if label.id == first["id"])
        sure = first["probability"] >= self._how.threshold
        folder = folder_name(label.name) if sure else UNSURE
        self.counts[folder] += 1
        self.confidences.append(first["probability"])
        path = Path(row["path"])
        stem = self._names.free(folder, path.stem)
        return _Place(label.id, label.name, sure, f"{folder}/{stem}", f"{folder}/{stem}{path.suffix}")

    def _tell(self, row: Row, place: _Place) -> None:
        scores = row["scores"]
        second = scores[1] if len(scores) > 1 else {"name": "", "probability": ""}
        pictures = [place.picture(kind) if self._how.pictures else "" for kind in (_HEAT_MAP, _SEGMENTATION)]
        label = place.name if place.sure else UNSURE
        first = scores[0]
        of_first, of_second = (first["probability"], first["name"]), (second["name"], second["probability"])
        self._put([row["path"], label, *of_first, *of_second, place.file, *pictures, ""])
        told = {"class": place.name if place.sure else None, "file": place.file}
        self._rows.write(json_line({**row, **told, "heat_map": pictures[0], "segmentation": pictures[1]}))
        dropped = "" if place.sure else f"unsure: {place.name} at {first['probability']:.3f}"
        self._entries.append(Entry(str(self._folder / place.file), (place.id,), dropped=dropped))

    def _put(self, cells: Iterable[object]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\r\n").writerow(
            [neutral(cell) if isinstance(cell, str) else cell for cell in cells]
        )
        self._table.write(text.getvalue().encode("utf-8", "backslashreplace"))

    def _file(self, row: Row, place: _Place) -> None:
        """Put the photo and its pictures where they belong, unless they are there."""
        source = Path(row["path"]).absolute()
        key = f"{row['digest']} {row['bundle_id']} {place.id} {self._how.copy}"
        if not source.is_file():
            return  # it has gone since; its row stays
        if self._journal.begin(place.file, f"{source} {key}"):
            _put_photo(source, self._folder / place.file, self._how.copy)
            self._journal.done(place.file, f"{source} {key}")
        if not self._how.pictures:
            return
        wanted = {kind: place.picture(kind) for kind in (_HEAT_MAP, _SEGMENTATION)}
        missing = [kind for kind, name in wanted.items() if self._journal.begin(name, key)]
        if not missing:
            return
        try:
            told = explain(self._tagger, source, place.id)
        except PhotoError:
            return  # it has gone since; its row stays
        for kind, picture in ((_HEAT_MAP, told.overlay()), (_SEGMENTATION, told.segmentation())):
            write_whole(self._folder / wanted[kind], _jpeg(picture), sync=False)
            self._journal.done(wanted[kind], key)


@dataclass(frozen=True, slots=True)
class _Place:
    id: str
    name: str
    sure: bool
    stem: str
    file: str

    def picture(self, kind: str) -> str:
        return f"{self.stem}.{kind}.jpg"


def folder_name(label: str) -> str:
    """The folder of a class; what a folder can't be called is replaced."""
    kept = "".join("-" if letter in '/\\:*?"<>|' or not letter.isprintable() else letter for letter in label)
    kept = kept.strip().lstrip(".") or "class"
    return f"{kept} (class)" if kept.casefold() in RESERVED else kept


def check_results_folder(folder: Path) -> None:
    """Raise UsageError where ``folder`` is a file, or holds things that no earlier sorting put there."""
    try:
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder}: is a file, and results are a folder; name another.")
        foreign = folder.is_dir() and not (folder / _JOURNAL).is_file() and next(folder.iterdir(), None)
    except OSError as error:
        raise not_written(folder, error) from error
    if foreign:
        raise UsageError(f"{folder}: holds {foreign.name} already, which is no result; name a new folder (--out).")


def _put_photo(source: Path, target: Path, copy: bool) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        if not copy:
            # A link that may not be made (Windows asks for a right) is no reason to fail.
            with suppress(OSError):
                target.symlink_to(source)
                return
        shutil.copyfile(source, target)
    except OSError as error:
        raise not_written(target, error) from error


def _jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()


class _Names:
    """Names that no other photo of a folder has, case aside, by the order of the photos alone."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}

    def free(self, folder: str, stem: str) -> str:
        """``stem``, or with the next free number behind it."""
        key = f"{folder}/{stem}".casefold()
        name, number = stem, self._next.get(key, 1)
        while f"{folder}/{name}".casefold() in self._taken:
            number += 1
            name = f"{stem}-{number}"
        self._next[key] = number
        self._taken.add(f"{folder}/{name}".casefold())
        return name


@dataclass(slots=True)
class _Journal:
    """Which files of the folder were made here, and of what: a line for each, so that a killed run's are known."""

    folder: Path
    known: dict[str, str] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    _write: Callable[[bytes], object] = lambda _line: None
    _close: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        check_results_folder(self.folder)
        file = self.folder / _JOURNAL
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                for line in file.read_bytes().splitlines():
                    with suppress(ValueError):
                        name, key = json.loads(line)
                        self.known[str(name)] = str(key)
            opened = file.open("ab", buffering=0)
        except OSError as error:
            raise not_written(file, error) from error
        self._write, self._close = opened.write, opened.close

    def begin(self, name: str, key: str) -> bool:
        """Whether a file must be made anew; then it is noted first, so that it is ours whatever happens."""
        self.made[name] = key
        if self.known.get(name) == key and os.path.lexists(self.folder / name):
            return False
        self._note(name, "")
        return True

    def done(self, name: str, key: str) -> None:
        """It is whole."""
        self._note(name, key)

    def finish(self) -> None:
        """Remove what earlier runs made and this one did not, and write the list anew."""
        for name in self.known.keys() - self.made.keys():
            with suppress(OSError):
                (self.folder / name).unlink()
        for parent in {(self.folder / name).parent for name in self.known} - {self.folder}:
            with suppress(OSError):
                parent.rmdir()  # where nothing is left in it
        self.close()
        lines = "".join(json.dumps(each) + "\n" for each in sorted(self.made.items()))
        write_whole(self.folder / _JOURNAL, lines.encode())

    def close(self) -> None:
        self._close()

    def _note(self, name: str, key: str) -> None:
        try:
            self._write(json.dumps([name, key]).encode() + b"\n")
        except OSError as error:
            raise not_written(self.folder / _JOURNAL, error) from error
