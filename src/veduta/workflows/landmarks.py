"""Indexes of landmarks as a user asks for them: found by name, made where there is none, filled, exported."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from veduta.datasets.manifest import Manifest, read_data
from veduta.errors import BundleError, UsageError
from veduta.images.limits import printable
from veduta.images.sources import expand
from veduta.labels.text_file import neutral
from veduta.models.bundle import Bundle
from veduta.models.store import find_name, home
from veduta.recognition.landmarks.enrolment import Enrolled, SeenPhotos, enrol, new_landmark, plain_id, see_photos
from veduta.recognition.landmarks.entries import MAX_NAME, Entry
from veduta.recognition.landmarks.index import DEFAULT, ENDING, FOLDER, LandmarkIndex, check_embedding, identity_of
from veduta.recognition.landmarks.index_file import IndexFile, put_in_place, remove_file
from veduta.recognition.landmarks.recogniser import LandmarkRecogniser, PhotoEmbedder
from veduta.recognition.landmarks.references import reference_vectors
from veduta.recognition.landmarks.thresholds import FALSE_ALARMS, choose_thresholds
from veduta.recognition.tagger import DEFAULT_MODEL, load
from veduta.records import Failure, Landmark
from veduta.training.landmarks.outliers import DROPPED
from veduta.whole_file import write_whole

OnPhoto = Callable[[int, int], None]

_EXPORTED = (
    *("id", "name", "city", "latitude", "longitude", "names", "source", "photos", "threshold", "outdoor"),
    "vectors",
)


def index_path(name_or_path: str | Path = DEFAULT) -> Path:
    """The file of an index: a plain name lies in the folder of indexes, beside the store of models; else a path."""
    text = str(name_or_path)
    if Path(text).name != text or text.endswith(ENDING):
        return Path(text)
    return home().parent / FOLDER / f"{text}{ENDING}"


def embedder_of(index: IndexFile, model: str | Path | None = None, *, threads: int | None = None) -> PhotoEmbedder:
    """What the index was made by: ``model``, else the model that it names, in the store or beside the index.

    Raises what ``Bundle.load`` raises, and IndexIncompatible where it gives another embedding by now.
    """
    beside = index.file.parent / "bundle"
    wanted = model
    if wanted is None and (beside / "model.json").is_file():
        try:
            if Bundle.load(beside, verify=False).embedding_id == index.embedding.embedding_id:
                wanted = beside
        except BundleError:
            pass
    # The name that stands in a file is no path that somebody else chose.
    embedder = PhotoEmbedder.load(wanted or find_name(index.embedding.model), threads=threads)
    check_embedding(index.embedding, embedder.bundle, f"the index {printable(index.file.name)}")
    return embedder


def load_landmarks(
    index: str | Path = DEFAULT, model: str | Path | None = None, *, threads: int | None = None
) -> LandmarkRecogniser:
    """What names landmarks by an index, by its name or file. Raises what opening it and its model raises."""
    opened = LandmarkIndex.open(index_path(index))
    try:
        return LandmarkRecogniser(embedder_of(opened.file, model, threads=threads), opened)
    except BaseException:
        opened.close()
        raise


def open_or_create(path: Path, model: str | Path | None = None) -> tuple[IndexFile, PhotoEmbedder]:
    """The index and what it was made by; where there is none, a new one for ``model``, else for the bundled model."""
    if path.exists():
        file = IndexFile(path)
        try:
            return file, embedder_of(file, model)
        except BaseException:
            file.close()
            raise
    embedder = PhotoEmbedder.load(DEFAULT_MODEL if model is None else model)
    return IndexFile.create(path, identity_of(embedder.bundle)), embedder


def enrol_photos(
    path: Path,
    landmark: Landmark,
    photos: Sequence[str],
    *,
    model: str | Path | None = None,
    add: bool = False,
    thumbnails: bool = True,
    on_photo: OnPhoto = lambda _done, _all: None,
) -> Enrolled:
    """Put a landmark into the index at ``path``, which is made where there is none. Raises what ``enrol`` raises.

    A new index of which nothing came is not left behind.
    """
    paths = [sample.path for sample in expand(photos)]
    new = not path.exists()
    file, embedder = open_or_create(path, model)
    with file:
        try:
            seen = see_photos(paths, embedder, scenes=load(), thumbnails=thumbnails, on_photo=on_photo)
            return enrol(file, embedder, landmark, seen, add=add)
        except BaseException:
            if new and not file.ids():
                remove_file(path)
            raise


def build_index(
    path: Path,
    data: Path,
    embedder: PhotoEmbedder,
    others: Sequence[str],
    *,
    false_alarms: float = FALSE_ALARMS,
    thumbnails: bool = True,
    leave_out: Sequence[str] = (),
    table: Mapping[str, Landmark] | None = None,
    on_photo: OnPhoto = lambda _done, _all: None,
) -> LandmarkIndex:
    """A new index of all landmarks of ``data`` (folders, or a manifest whose test photos are left out).

    ``others`` are photos without landmarks, to choose the thresholds by; ``leave_out`` are photos to pass over;
    ``table`` tells more than its label of a landmark. An index that is there is replaced once the new one is whole.
    Raises UsageError, OutputError.
    """
    manifest = read_data(data)
    passed_over = set(leave_out)
    scenes = load()
    beside = path.with_name(f".{path.name}.new")
    remove_file(beside)
    of_landmarks = _photos_by_label(manifest, passed_over)
    landmarks = _landmarks_of(of_landmarks, table or {}, printable(data.resolve().name)[:MAX_NAME] or None)
    besides = [sample.path for sample in expand(others)] if others else []
    total, done = sum(map(len, of_landmarks.values())) + len(besides), 0
    file = IndexFile.create(beside, identity_of(embedder.bundle))
    try:
        with file:
            for label, paths in of_landmarks.items():
                seen = see_photos(paths, embedder, scenes=scenes, thumbnails=thumbnails)
                done += len(paths)
                on_photo(done, total)
                if not seen.references:
                    raise UsageError(
                        f"no photo of {printable(label)} can be used; the first: {seen.failures[0].message}"
                    )
                with file.changing():
                    file.put(Entry(landmarks[label], reference_vectors(seen.embeddings), seen.references, seen.outdoor))
            _put_others(file, see_photos(besides, embedder, thumbnails=False), false_alarms)
            on_photo(total, total)
        put_in_place(beside, path)
    except BaseException:
        remove_file(beside)
        raise
    return LandmarkIndex.open(path)


def calibrate(
    path: Path,
    others: Sequence[str],
    *,
    false_alarms: float | None = None,
    model: str | Path | None = None,
    on_photo: OnPhoto = lambda _done, _all: None,
    on_failure: Callable[[Failure], None] = lambda _failure: None,
) -> LandmarkIndex:
    """Choose the thresholds of an index by photos that show none of its landmarks, with those that it has already.

    ``false_alarms`` is the rate that was wanted before, where none is given. ``on_failure`` hears of photos that can't
    be used. Raises UsageError for a rate that is none, or where no photo can be used; OutputError.
    """
    if false_alarms is not None:
        choose_thresholds(np.empty((0, 0), np.float32), false_alarms)
    with LandmarkIndex.open(path).file as file:
        before = file.told("false_alarms")
        wanted = false_alarms or (before if isinstance(before, float) else FALSE_ALARMS)
        paths = [sample.path for sample in expand(others)] if others else []
        seen = see_photos(paths, embedder_of(file, model), thumbnails=False, on_photo=on_photo)
        if paths and not seen.references:
            raise UsageError(f"no photo of {len(paths)} can be used; the first: {seen.failures[0].message}")
        for failure in seen.failures:
            on_failure(failure)
        _put_others(file, seen, wanted)
    return LandmarkIndex.open(path)


def remove(path: Path, id: str) -> Landmark:
    """Take a landmark out of an index, by its id or, where that tells one, its name. Raises UsageError, OutputError."""
    with IndexFile(path) as file:
        landmark = find_landmark(file, id)
        with file.changing():
            file.delete(landmark.id)
    return landmark


def find_landmark(file: IndexFile, text: str) -> Landmark:
    """A landmark by its id or name. Raises UsageError where there is none, or where several have the name."""
    exact = file.landmark(text)
    if exact is not None:
        return exact
    wanted = plain_id(text)
    found = [each for each in file.landmarks() if wanted in (plain_id(each.name), each.id)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"several landmarks are called {printable(text)!r}: {', '.join(each.id for each in found)}.")
    near = [each.id for each in file.landmarks() if wanted in each.id or each.id in wanted][:3]
    raise UsageError(
        f"the index has no landmark {printable(text)!r}{f'; did you mean {near[0]}?' if near else ''} "
        "`veduta landmarks list` tells them all."
    )


def export(path: Path, out: Path, *, vectors: bool = False) -> int:
    """Write the table of landmarks as CSV or JSON, by the file's ending, with the reference vectors where they are
    asked for; how many there are. Raises UsageError for another ending, OutputError.
    """
    if out.suffix not in (".csv", ".json"):
        raise UsageError(f"{printable(str(out))}: the table is written as .csv or .json; name such a file.")
    index = LandmarkIndex.open(path)
    with index.file as file:
        counts, rows = file.photo_counts(), []
        ends = [*index.vectors.starts[1:].tolist(), len(index.vectors.values)]
        for place, landmark in enumerate(file.landmarks()):
            row: dict[str, object] = {
                "id": landmark.id,
                "name": landmark.name,
                "city": landmark.city,
                "latitude": None if landmark.position is None else landmark.position[0],
                "longitude": None if landmark.position is None else landmark.position[1],
                "names": dict(landmark.names),
                "source": landmark.source,
                "photos": counts.get(landmark.id, 0),
                "threshold": round(float(index.thresholds.values[place]), 6),
                "outdoor": file.outdoor(landmark.id),
            }
            if vectors:
                row["vectors"] = index.vectors.values[int(index.vectors.starts[place]) : ends[place]].tolist()
            rows.append(row)
    if out.suffix == ".json":
        told = {
            "model": index.embedding.model,
            "embedding_id": index.embedding.embedding_id,
            "size": index.embedding.size,
            "false_alarms": index.thresholds.false_alarms,
            "judged_on": index.thresholds.judged_on,
            "landmarks": rows,
        }
        write_whole(out, json.dumps(told, ensure_ascii=False, indent=1).encode())
        return len(rows)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    columns = _EXPORTED if vectors else _EXPORTED[:-1]
    table.writerow(columns)
    for row in rows:
        table.writerow([_cell(row[column]) for column in columns])
    write_whole(out, text.getvalue().encode("utf-8", "backslashreplace"))
    return len(rows)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return neutral(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def dropped_photos(run: Path) -> list[str]:
    """What a training dropped as outliers, by its run's folder."""
    try:
        with (run / DROPPED).open(encoding="utf-8", errors="surrogateescape", newline="") as text:
            return [row["path"] for row in csv.DictReader(text)]
    except (OSError, KeyError, UnicodeDecodeError):
        return []


def _put_others(file: IndexFile, seen: SeenPhotos, false_alarms: float) -> None:
    with file.changing():
        file.put_others(seen.references)
        file.tell("false_alarms", false_alarms)


def _landmarks_of(labels: Iterable[str], table: Mapping[str, Landmark], source: str | None) -> dict[str, Landmark]:
    """The landmark of each label: what the table says, else its name. Raises UsageError where two would be one."""
    found: dict[str, Landmark] = {}
    label_of: dict[str, str] = {}
    for label in labels:
        found[label] = table.get(label) or new_landmark(label.replace("_", " "), source=source)
        first = label_of.setdefault(found[label].id, label)
        if first != label:
            raise UsageError(
                f"{printable(first)} and {printable(label)} would both be {found[label].id}; put their photos "
                "together, or name one of them otherwise."
            )
    return found


def _photos_by_label(manifest: Manifest, passed_over: set[str]) -> dict[str, list[str]]:
    if manifest.task != "single_label":
        raise UsageError(
            "a photo shows one landmark here; give a folder for each landmark, or a manifest with one label."
        )
    found: dict[str, list[str]] = {}
    for entry in manifest.kept:
        if entry.split != "test" and entry.path not in passed_over:
            found.setdefault(entry.labels[0], []).append(entry.path)
    return found
