"""The report of a tagging run: a folder with a page that opens from the disk, however many photos it shows.

    report/
        index.html            the page; no data in it
        assets/               its style and scripts
        data/index.js         titles, labels, and 16 bytes for each photo: enough to filter, count and sort
        data/run-1/           rows, names and failures in numbered files, which the page loads as it needs them
        thumbs/ab/<digest>    a thumbnail for each content; equal photos share one
        heat/ab/<digest>      the heat map to lay over it

Rows are written as they come and are then forgotten, so memory does not grow with the run. A run writes beside what
the folder already shows, into a ``run-<n>`` of its own; ``close`` renames ``data/index.js`` into place and deletes
what belonged to the run before. Killed at any point, the folder shows the earlier report, or none.
"""

from __future__ import annotations

import html
import re
import shutil
import string
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from blake3 import blake3

import veduta
from veduta.errors import OutputError
from veduta.records import Failure
from veduta.reports.report_folder import PAGE, PICTURE, ReportFolder
from veduta.reports.script_files import Chunks, Spool
from veduta.reports.words import asset, page_words
from veduta.whole_file import not_written, write_whole

FORMAT_VERSION = 1
#: Bars on a card, and labels that a search in "the five likeliest" looks at.
SHOWN = 5

_ROWS_A_FILE, _NAMES_A_FILE, _FAILURES_A_FILE = 100, 5000, 500
_ASSETS = ("report.css", "store.js", "cards.js", "corrections.js", "report.js")
_FOLDER = ReportFolder("Veduta", ("assets", "data", "thumbs", "heat"))
_NONE = 0xFFFF
#: Five labels, the coarse label, the first probability in 1/65535, flags, spare.
_RECORD = struct.Struct("<7HBB")
_INDOOR, _OUTDOOR, _NOTHING_FITS, _HAS_HEAT = 1, 2, 4, 8
_DIGEST = re.compile(r"[0-9a-f]{8,128}")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Corrections:
    """Wrong answers can be corrected on the page, to one of ``labels`` by id, and the photos exported as a labelled
    set; photos below ``threshold`` count as unsure until somebody says what they show.
    """

    labels: tuple[str, ...]
    threshold: float


class TagReport:
    """Writes a report, row by row, into a folder.

    ``title`` and ``model`` are shown at the head of the page; ``language`` is that of the page's own words (labels
    come with the rows, already named), and ``words`` replaces some of them. A folder that holds another page than a
    report raises ``UsageError``; a folder that can't be written, ``OutputError``, here and in every method.
    """

    def __init__(
        self,
        folder: Path,
        *,
        title: str,
        model: str,
        language: str = "en",
        words: Mapping[str, str] | None = None,
        corrections: Corrections | None = None,
    ) -> None:
        self.folder = folder
        self._head = {"title": title, "model": model, "language": language}
        self._words = page_words(language) | dict(words or {})
        self._corrections = corrections
        _FOLDER.claim(folder, language)
        self._run = _new_run(folder)
        self._rows = Chunks(self._run, "rows", _ROWS_A_FILE)
        self._names = Chunks(self._run, "names", _NAMES_A_FILE)
        self._failures = Chunks(self._run, "failures", _FAILURES_A_FILE)
        self._index = Spool(self._run / "index.bin")
        self._tables = _Tables()
        # Files older than this one, by the same file system's clock, were not part of this run.
        self._started = (self._run / "index.bin").stat().st_mtime_ns
        self._open = True

    def add(self, row: Row, thumbnail: bytes | None = None, overlay: bytes | None = None) -> None:
        """Show a photo.

        ``row`` is what a run writes as JSON Lines; ``thumbnail`` a JPEG, PNG or WebP, ``overlay`` a picture of the
        same aspect to lay over it, best with transparency (``explanation.overlay.layer_bytes``).
        """
        self._check_open()
        key = _key(row)
        compact = _compact(row, self._tables)
        if self._corrections is not None:
            compact["sure"] = bool(row.get("scores")) and row["scores"][0]["probability"] >= self._corrections.threshold
        for kind, content in (("thumbs", thumbnail), ("heat", overlay)):
            if content:
                suffix = _suffix(content)
                # By rename, for an earlier report may be showing that very file; a sync for each would be slow.
                write_whole(self.folder / kind / key[:2] / f"{key}.{suffix}", content, sync=False)
                compact[kind] = suffix
        if "thumbs" in compact or "heat" in compact:
            compact["key"] = key
        self._rows.add(compact)
        self._names.add(compact["path"])
        self._index.add(_record(compact))

    def fail(self, failure: Failure) -> None:
        """List a photo that got no answer."""
        self._check_open()
        self._failures.add([failure.path, failure.error, failure.message])

    def close(self, summary: Mapping[str, str | int | float] | None = None) -> Path:
        """Finish, and return the path of the page. ``summary`` is shown as it is, name and value."""
        self._check_open()
        for chunks in (self._rows, self._names, self._failures):
            chunks.close()
        for name in _ASSETS:
            write_whole(self.folder / "assets" / name, asset(name).encode())
        write_whole(self.folder / PAGE, _page(self._head).encode())
        correctable = None
        if self._corrections is not None:
            labels = [self._tables.labels.number({"id": label}) for label in self._corrections.labels]
            correctable = {"labels": labels, "threshold": self._corrections.threshold}
        head = self._head | {
            "version": FORMAT_VERSION,
            "run": self._run.name,
            "rows": {"count": self._rows.count, "size": self._rows.size},
            "names": {"count": self._names.count, "size": self._names.size},
            "failures": {"count": self._failures.count, "size": self._failures.size},
            "labels": self._tables.labels.entries,
            "coarse": self._tables.coarse.entries,
            "attributes": self._tables.attributes.entries,
            "summary": [[str(name), _plain(value)] for name, value in (summary or {}).items()],
            "words": self._words,
            "corrections": correctable,
        }
        self._index.write_call(self.folder / "data" / "index.js", "index", head)
        self._index.close()
        self._open = False
        _remove_earlier(self.folder, self._run, self._started)
        return self.folder / PAGE

    def __enter__(self) -> TagReport:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Without ``close`` before, what this run wrote as data is dropped, and an earlier report stays."""
        if self._open:
            self._open = False
            self._index.close()
            shutil.rmtree(self._run, ignore_errors=True)

    def _check_open(self) -> None:
        if not self._open:
            raise OutputError(f"{self.folder}: the report is closed; begin a new one.")


class _Table:
    """Numbers for labels, in the order of their first appearance."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str]] = []
        self._numbers: dict[str, int] = {}

    def number(self, score: Mapping[str, Any]) -> int:
        label_id = str(score["id"])
        if label_id not in self._numbers:
            self._numbers[label_id] = len(self.entries)
            self.entries.append((label_id, str(score.get("name", label_id))))
        return self._numbers[label_id]


class _Tables:
    """The numbers of all that rows name."""

    def __init__(self) -> None:
        self.labels, self.coarse, self.attributes = _Table(), _Table(), _Table()


def _compact(row: Row, tables: _Tables) -> dict[str, Any]:
    """A row as the page reads it: labels by number, what is absent left out.

    Where several models answered, the card shows what they say together, the first model's answer where together they
    say nothing, the attributes of the first that tells some and finds that its labels fit, and that nothing fits only
    where no model disagrees; the detail shows them all.
    """
    answers: Mapping[str, Row] = row.get("models") or {}
    main: dict[str, Any] = dict(row)
    if answers:
        first = next(iter(answers.values()))
        main = {**first, **(row.get("combined") or {})}
        for name in ("model", "bundle_id", "precision"):
            main.pop(name, None)
        if any(_fits(answer) for answer in answers.values()):
            main.pop("evidence", None)
        telling = [answer["attributes"] for answer in answers.values() if answer.get("attributes") and _fits(answer)]
        main["attributes"] = telling[0] if telling else None
    compact: dict[str, Any] = {"path": str(row["path"]), **_answer(main, tables)}
    if main.get("attributes"):
        compact["attributes"] = [
            (number, probability, int(each.get("source") == "scene"))
            for (number, probability), each in zip(
                _scores(main["attributes"], tables.attributes), main["attributes"], strict=True
            )
        ]
    for name in ("digest", "facts"):
        if row.get(name) is not None:
            compact[name] = row[name]
    if row.get("landmark") is not None:
        compact["landmark"] = _landmark(row["landmark"])
    if answers:
        compact["models"] = [{**_answer(answer, tables), "model": str(model)} for model, answer in answers.items()]
    return compact


def _answer(answer: Row, tables: _Tables) -> dict[str, Any]:
    compact: dict[str, Any] = {
        "scores": _scores(answer.get("scores"), tables.labels),
        "coarse": _scores(answer.get("coarse"), tables.coarse)[:SHOWN],
    }
    for name in ("environment", "evidence", "model", "bundle_id", "precision"):
        if answer.get(name) is not None:
            compact[name] = answer[name]
    return compact


def _landmark(told: Row) -> dict[str, Any]:
    """The landmark with its city, what it resembles and by how much; ``name`` is absent where there is none."""
    candidates: Sequence[Row] = told.get("candidates") or ()
    shown = next((each for each in candidates if each["id"] == told["id"]), None) or next(iter(candidates), None)
    compact = (
        {} if shown is None else {name: shown[name] for name in ("city", "similarity", "threshold") if name in shown}
    )
    if told["id"] is not None:
        compact["name"] = told["name"]
    if told.get("reason") is not None:
        compact["reason"] = told["reason"]
    compact["references"] = [each["path"] for each in told.get("references") or ()]
    return compact


def _fits(answer: Row) -> bool:
    return (answer.get("evidence") or {}).get("fits", True) is not False


def _scores(scores: Sequence[Mapping[str, Any]] | None, table: _Table) -> list[tuple[int, float]]:
    return [(table.number(score), round(float(score["probability"]), 4)) for score in scores or ()]


def _record(compact: Mapping[str, Any]) -> bytes:
    """What the page knows of every photo without loading its row.

    Where nothing fits there is no kind of place and no environment to count the photo under.
    """
    numbers = [number for number, _ in compact["scores"][:SHOWN]]
    numbers += [_NONE] * (SHOWN - len(numbers))
    fits = _fits(compact)
    coarse = compact["coarse"][0][0] if compact["coarse"] and fits else _NONE
    probability = compact["scores"][0][1] if compact["scores"] else 0.0
    flags = {"indoor": _INDOOR, "outdoor": _OUTDOOR}.get(compact.get("environment", {}).get("kind"), 0) if fits else 0
    if not fits:
        flags |= _NOTHING_FITS
    if "heat" in compact:
        flags |= _HAS_HEAT
    capped = [min(number, _NONE) for number in (*numbers, coarse)]
    return _RECORD.pack(*capped, round(min(1.0, max(0.0, probability)) * 65535), flags, 0)


def _key(row: Row) -> str:
    """A name for the photo's files that is safe whatever the row says."""
    digest = str(row.get("digest") or "")
    if _DIGEST.fullmatch(digest):
        return digest
    return blake3(str(row["path"]).encode("utf-8", "surrogatepass")).hexdigest(length=16)


def _suffix(picture: bytes) -> str:
    if picture[:4] == b"RIFF" and picture[8:12] == b"WEBP":
        return "webp"
    return "png" if picture[:4] == b"\x89PNG" else "jpg"


def _plain(value: object) -> str | int | float:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)


def _page(head: Mapping[str, str]) -> str:
    title = head["title"].encode("utf-8", "replace").decode()
    return string.Template(asset("index.html")).substitute(
        marker=_FOLDER.marker,
        language=html.escape(head["language"]),
        title=html.escape(title),
        version=html.escape(veduta.__version__),
    )


def _new_run(folder: Path) -> Path:
    """A folder for the data of this run, beside that of the report which is there now."""
    number = 1
    while True:
        run = folder / "data" / f"run-{number}"
        try:
            run.mkdir(parents=True)
        except FileExistsError:
            if not run.is_dir():
                raise OutputError(f"{run}: is a file where the report needs a folder; name another folder.") from None
            number += 1
        except OSError as error:
            raise not_written(run, error) from error
        else:
            return run


def _remove_earlier(folder: Path, run: Path, started: int) -> None:
    """Delete the data and the pictures that only an earlier report showed, and nothing that is not ours."""
    for other in (folder / "data").glob("run-*"):
        if other != run and other.is_dir() and not other.is_symlink() and other.name[4:].isdigit():
            shutil.rmtree(other, ignore_errors=True)
    for kind in ("thumbs", "heat"):
        for picture in (folder / kind).glob("[0-9a-f][0-9a-f]/*"):
            with suppress(OSError):
                if PICTURE.fullmatch(picture.name) and picture.lstat().st_mtime_ns < started:
                    picture.unlink()
