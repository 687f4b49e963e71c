"""How long does a search among landmarks take, opening their index, and adding one by five photos?"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from bench.report import Report, Table, Verdict
from bench.settings import DATA, Settings
from veduta.images.sources import expand
from veduta.recognition.landmarks.enrolment import new_landmark
from veduta.recognition.landmarks.entries import EmbeddingIdentity, Entry
from veduta.recognition.landmarks.index import LandmarkIndex
from veduta.recognition.landmarks.index_file import IndexFile
from veduta.recognition.landmarks.references import unit
from veduta.records import Landmark
from veduta.workflows.landmarks import enrol_photos

_NUMBERS, _VIEWS = 256, 3
_SIZES = ((3_000, 1.0), (100_000, 30.0))
_SEARCHES, _OPENINGS, _ENROLMENTS = 100, 5, 5
_ENROL_SECONDS = 2.0


def run(settings: Settings) -> Report:
    """Made indexes of two sizes; then real photos of a landmark, enrolled anew each time."""
    report = Report("landmark-search")
    folder = Path(tempfile.mkdtemp(prefix="veduta-landmarks-", dir=settings.out if settings.out.is_dir() else None))
    try:
        rows = []
        for count, limit in _SIZES:
            file = folder / f"{count}.landmarks"
            _make(file, count)
            opening = _timed(partial(_open, file), _OPENINGS)
            index = LandmarkIndex.open(file)
            query = unit(np.random.default_rng(1).normal(size=(1, _NUMBERS)))
            search = _timed(partial(index.vectors.nearest, query, 3), _SEARCHES)
            index.close()
            rows.append(
                (f"{count:,} × {_VIEWS}", f"{search:.2f}", f"{opening:.0f}", f"{file.stat().st_size / 1e6:.0f}")
            )
            report.figures[f"{count}"] = {"search_ms": search, "open_ms": opening}
            report.verdicts.append(
                Verdict(
                    f"landmarks: search among {count:,} × {_VIEWS}",
                    f"≤ {limit:g} ms",
                    f"{search:.2f} ms",
                    search <= limit,
                )
            )
        report.tables.append(
            Table(f"Landmarks, {_NUMBERS} numbers", ("vectors", "search, ms", "opening, ms", "file, MB"), rows)
        )
        _enrol(report, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return report


def _open(file: Path) -> None:
    LandmarkIndex.open(file).close()


def _make(file: Path, count: int) -> None:
    random = np.random.default_rng(0)
    with IndexFile.create(file, EmbeddingIdentity("made", "0" * 32, _NUMBERS)) as made, made.changing():
        for number in range(count):
            vectors = unit(random.normal(size=(_VIEWS, _NUMBERS)))
            made.put(Entry(Landmark(f"landmark_{number}", f"Landmark {number}", "City"), vectors))


def _enrol(report: Report, folder: Path) -> None:
    """Five photos, the model read and compiled within the time, as in the command."""
    photos = [sample.path for sample in expand([str(DATA / "landmarks" / "clerigos")])][:5]

    def enrol() -> None:
        path = folder / "new.landmarks"
        enrol_photos(path, new_landmark("Clérigos"), photos)
        path.unlink()

    seconds = _timed(enrol, _ENROLMENTS) / 1000
    report.figures["enrol_s"] = seconds
    report.verdicts.append(
        Verdict(
            "landmarks: enrolling by 5 photos", f"≤ {_ENROL_SECONDS:g} s", f"{seconds:.2f} s", seconds <= _ENROL_SECONDS
        )
    )


def _timed(work: Callable[[], object], times: int) -> float:
    """The median, in milliseconds."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - began))
    return statistics.median(taken)
