"""A job answers each content once, in order, and the same whatever happened to the run before it."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from veduta.errors import LedgerError, OutputError, UsageError
from veduta.images.decode import Limits, Thumbnail
from veduta.images.pool import DecodePool
from veduta.jobs.embeddings import open_embedding_writer
from veduta.jobs.flow import Counts
from veduta.jobs.ledger import Ledger
from veduta.jobs.pages import ReportSink
from veduta.jobs.pipeline import Options, Summary, tag_photos
from veduta.jobs.rows import Layout, Result
from veduta.jobs.writers import open_writer
from veduta.records import Failure, Sample


@pytest.fixture(scope="module")
def pool():  # type: ignore[no-untyped-def]
    """One decoding process for all tests here."""
    with DecodePool(1, Limits()) as pool:
        yield pool


class Rows:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.results: list[Result] = []
        self.ended = ""

    def write(self, result: Result) -> None:
        self.results.append(result)

    def finish(self) -> None:
        self.ended = "finished"

    def abandon(self) -> None:
        self.ended = "abandoned"

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [result.row for result in self.results]


class Job:
    """Runs of one ledger with one tagger."""

    def __init__(self, made: ModuleType, pool: DecodePool, ledger: Path | None, **tagger: Any) -> None:
        self.tagger = made.MadeTagger(**tagger)
        self.pool = pool
        self.ledger = ledger
        self.recovered: str | None = None

    def run(self, samples: Sequence[Sample], *sinks: Any, **options: Any) -> tuple[Summary, Rows]:
        rows = Rows()
        self.tagger.asked, self.tagger.sizes = 0, []
        with Ledger.temporary() if self.ledger is None else Ledger.open(self.ledger) as ledger:
            summary = tag_photos(
                samples, [self.tagger], ledger=ledger, sinks=[rows, *sinks], pool=self.pool, options=Options(**options)
            )
            self.recovered = ledger.recovered
        return summary, rows


@pytest.fixture
def job(made: ModuleType, pool: DecodePool, tmp_path: Path) -> Job:
    return Job(made, pool, tmp_path / "ledger.sqlite3")


def settle() -> None:
    """Wait until the photos have lain untouched for a while; the time of the last change can't be set."""
    time.sleep(2.1)


def test_rows_come_in_the_order_of_the_input(job: Job, made: ModuleType, tmp_path: Path) -> None:
    samples = made.make_photos(tmp_path / "photos", 50)
    summary, rows = job.run(samples[::-1], batch=7)
    assert [row["path"] for row in rows.rows] == [sample.path for sample in samples[::-1]]
    assert (summary.total, summary.answered, summary.failed, summary.from_ledger) == (50, 50, 0, 0)
    assert rows.ended == "finished"
    assert summary.nothing_fits == sum(not row["evidence"]["fits"] for row in rows.rows)


def test_a_row_has_the_documented_fields_in_their_order(job: Job, made: ModuleType, tmp_path: Path) -> None:
    samples = made.make_photos(tmp_path / "photos", 1)
    _, rows = job.run(samples)
    row = rows.rows[0]
    assert list(row) == [
        *("schema_version", "path", "digest", "facts", "crop", "scores", "coarse", "environment", "evidence"),
        *("model", "bundle_id", "precision", "calibrated"),
    ]
    assert row["facts"] == {"format": "JPEG", "width": 24, "height": 24, "marks": []}
    assert row["crop"] == [0.0, 0.0, 24.0, 24.0]
    assert list(row["scores"][0]) == ["id", "name", "probability"]
    assert list(row["coarse"][0]) == ["id", "name", "probability", "ancestors"]
    assert list(row["environment"]) == ["kind", "outdoor_probability", "outdoor_vote", "margin"]
    assert json.loads(json.dumps(row)) == row


def test_a_second_run_tags_only_what_is_new_or_changed(job: Job, made: ModuleType, tmp_path: Path) -> None:
    samples = made.make_photos(tmp_path / "photos", 12)
    _, first = job.run(samples)
    shutil.copyfile(samples[0].path, tmp_path / "spare.jpg")
    made.make_photos(tmp_path / "more", 14)
    Path(samples[3].path).write_bytes((tmp_path / "more" / "00012.jpg").read_bytes())
    new = Sample(str(tmp_path / "more" / "00013.jpg"))
    summary, second = job.run([*samples, new])
    assert job.tagger.asked == 2
    assert summary.from_ledger == 11
    assert second.rows[:3] == first.rows[:3]
    assert second.rows[3] != first.rows[3]
    assert second.rows[4:12] == first.rows[4:]


def test_the_model_is_made_ready_once_and_only_where_a_photo_needs_it(
    job: Job, made: ModuleType, tmp_path: Path
) -> None:
    samples = made.make_photos(tmp_path / "photos", 12)
    job.run(samples)
    assert job.tagger.warmed == 1
    job.run(samples)
    assert job.tagger.warmed == 1, "all is known by now"


def test_a_settled_photo_is_not_read_again(
    job: Job, made: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = made.make_photos(tmp_path / "photos", 5)
    settle()
    _, first = job.run(samples)

    def refuse(path: str, *_: object) -> str:
        raise AssertionError(f"{path} is read again")

    monkeypatch.setattr("veduta.jobs.flow._hash", refuse)
    monkeypatch.setattr(job.pool, "submit", refuse)
    summary, second = job.run(samples)
    assert second.rows == first.rows
    assert summary.from_ledger == 5


def test_a_photo_changed_within_the_same_moment_and_size_is_noticed(job: Job, made: ModuleType, tmp_path: Path) -> None:
    samples = made.make_photos(tmp_path / "photos", 1)
    path = Path(samples[0].path)
    before = path.read_bytes()
    _, first = job.run(samples)
    times = path.stat()
    other = bytearray(before)
    other[-30:-20] = bytes(10)
    path.write_bytes(other)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    _, second = job.run(samples)
    assert second.rows[0]["digest"] != first.rows[0]["digest"]


def test_a_moved_photo_keeps_its_answer(job: Job, made: ModuleType, tmp_path: Path) -> None:
    samples = made.make_photos(tmp_path / "photos", 6)
    _, first = job.run(samples)
    (tmp_path / "photos").rename(tmp_path / "elsewhere")
    moved = [Sample(sample.path.replace("photos", "elsewhere")) for sample in samples]
    summary, second = job.run(moved)
    assert job.tagger.asked == 0
    assert summary.from_ledger == 6
    assert [{**row, "path": ""} for row in second.rows] == [{**row, "path": ""} for row in first.rows]


def test_equal_photos_are_asked_about_once(job: Job, made: ModuleType, tmp_path: Path) -> None:
    samples = made.make_photos(tmp_path / "photos", 3)
    copies = []
    for number in range(4):
        copy = tmp_path / f"copy{number}.jpg"
        shutil.copyfile(samples[1].path, copy)
        copies.append(Sample(str(copy)))
    summary, rows = job.run([*samples, *copies, samples[1]])
    assert job.tagger.asked == 3
    assert summary.answered == 8
    assert len({row["digest"] for row in rows.rows[3:]}) == 1
    assert job.run([*samples, *copies, samples[1]])[1].rows == rows.rows


@pytest.mark.parametrize(
    "change",
    [{"name": "other"}, {"top_k": 2}, {"precision": "bfloat16"}, {"drop": ("bar",)}],
    ids=lambda c: next(iter(c)),
)
def test_another_switch_is_another_answer(job: Job, made: ModuleType, tmp_path: Path, change: dict[str, Any]) -> None:
    samples = made.make_photos(tmp_path / "photos", 2)
    job.run(samples)
    job.tagger = made.MadeTagger(**change)
    job.run(samples)
    assert job.tagger.asked == 2


def test_another_language_is_the_same_answer_with_other_names(job: Job, made: ModuleType, tmp_path: Path) -> None:
    samples = made.make_photos(tmp_path / "photos", 2)
    _, english = job.run(samples)
    _, german = job.run(samples, language="de")
    assert job.tagger.asked == 0
    for one, other in zip(english.rows, german.rows, strict=True):
        assert [score["id"] for score in one["scores"]] == [score["id"] for score in other["scores"]]
        assert one["scores"] != other["scores"]
    with pytest.raises(UsageError, match="'fr'"):
        Options(language="fr")


def test_failures_are_rows_and_only_those_of_the_content_are_remembered(
    job: Job, made: ModuleType, tmp_path: Path
) -> None:
    good = made.make_photos(tmp_path / "photos", 2)
    broken, text = tmp_path / "broken.jpg", tmp_path / "text.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0" + bytes(50))
    text.write_text("no photo at all")
    samples = [good[0], Sample(str(tmp_path / "absent.jpg")), Sample(str(broken)), Sample(str(text)), good[1]]
    summary, first = job.run(samples)
    assert (summary.answered, summary.failed) == (2, 3)
    assert [row.get("error") for row in first.rows] == [
        None,
        "PhotoNotFound",
        "CorruptPhoto",
        "UnsupportedFormat",
        None,
    ]
    assert all(list(row) == ["schema_version", "path", "error", "message"] for row in first.rows if "error" in row)
    summary, second = job.run(samples)
    assert second.rows == first.rows
    assert summary.from_ledger == 4
    summary, third = job.run(samples, retry_failed=True)
    assert third.rows == first.rows
    assert summary.from_ledger == 2
    moved = tmp_path / "moved.jpg"
    broken.rename(moved)
    (tmp_path / "absent.jpg").write_bytes(Path(good[0].path).read_bytes())
    summary, fourth = job.run([Sample(str(moved)), samples[1]])
    assert str(moved) in fourth.rows[0]["message"]
    assert str(broken) not in fourth.rows[0]["message"]
    assert "error" not in fourth.rows[1]


@pytest.mark.parametrize(
    "name", ["two\nlines.jpg", "=cmd|'x'!A1.jpg", "<script>.jpg", b"caf\xe9.jpg", "写真\u2028.jpg"]
)
def test_any_file_name_survives_to_the_row_and_to_the_disk(
    job: Job, made: ModuleType, tmp_path: Path, name: Any
) -> None:
    source = made.make_photos(tmp_path / "photos", 1)[0].path
    path = os.fsdecode(os.fsencode(tmp_path) + b"/" + os.fsencode(name))
    try:
        shutil.copyfile(source, path)
    except OSError:
        pytest.skip("this file system does not take the name")
    out = tmp_path / "out.jsonl"
    job.run([Sample(path)], open_writer(out, Layout(("made",), 3)))
    assert len(out.read_bytes().decode().splitlines()) == 1
    assert os.fsencode(json.loads(out.read_text())["path"]) == os.fsencode(path)
    assert job.run([Sample(path)])[0].from_ledger == 1


def test_a_name_that_no_file_can_have_is_a_failure(job: Job) -> None:
    summary, rows = job.run([Sample("nul\0.jpg"), Sample("\ud800.jpg"), Sample("")])
    assert summary.failed == 3
    assert all("error" in row for row in rows.rows)


def test_a_folder_that_vanishes_gives_failures_and_the_run_goes_on(job: Job, made: ModuleType, tmp_path: Path) -> None:
    samples = made.make_photos(tmp_path / "photos", 40)
    stays = made.make_photos(tmp_path / "stays", 2)

    class Vanish(Rows):
        def write(self, result: Result) -> None:
            if (tmp_path / "photos").exists():
                shutil.rmtree(tmp_path / "photos")

    summary, rows = job.run([*samples, *stays], Vanish(), batch=4, look_ahead=8)
    assert summary.failed > 0
    assert summary.answered >= 3
    assert {row["error"] for row in rows.rows if "error" in row} == {"PhotoNotFound"}


def test_no_photo_at_all_is_an_empty_result(job: Job, tmp_path: Path) -> None:
    summary, _ = job.run([], open_writer(tmp_path / "out.jsonl", Layout(("made",), 3)))
    assert summary == Summary(0, 0, 0, 0, 0, summary.seconds)
    assert (tmp_path / "out.jsonl").read_bytes() == b""


def test_no_tagger_is_a_usage_error(pool: DecodePool) -> None:
    rows = Rows()
    with pytest.raises(UsageError, match="no model"), Ledger.temporary() as ledger:
        tag_photos([], [], ledger=ledger, sinks=[rows], pool=pool)
    assert rows.ended == "abandoned"


def test_progress_tells_the_counts_and_ends_with_all(made: ModuleType, pool: DecodePool, tmp_path: Path) -> None:
    samples = made.make_photos(tmp_path / "photos", 30)
    told: list[Counts] = []
    with Ledger.temporary() as ledger:
        tag_photos(samples, [made.MadeTagger()], ledger=ledger, pool=pool, progress=told.append)
    assert told[-1].done == told[-1].total == 30
    assert [counts.done for counts in told] == sorted(counts.done for counts in told)


def test_what_a_sink_raises_ends_the_run_and_nothing_answered_is_lost(
    job: Job, made: ModuleType, tmp_path: Path
) -> None:
    samples = made.make_photos(tmp_path / "photos", 40)

    class Full(Rows):
        def write(self, result: Result) -> None:
            super().write(result)
            if len(self.results) == 20:
                raise OutputError("the disk is full")

    full = Full()
    with pytest.raises(OutputError):
        job.run(samples, full, batch=8, look_ahead=8)
    assert full.ended == "abandoned"
    assert job.run(samples)[0].from_ledger >= 20


def test_an_error_of_the_model_ends_the_run(job: Job, made: ModuleType, tmp_path: Path) -> None:
    samples = made.make_photos(tmp_path / "photos", 4)
    job.tagger.predict_photos = lambda photos, index: (_ for _ in ()).throw(UsageError("the model can't"))
    with pytest.raises(UsageError, match="the model can't"):
        job.run(samples)


def test_ctrl_c_keeps_what_is_answered_and_the_next_run_goes_on(job: Job, made: ModuleType, tmp_path: Path) -> None:
    samples = made.make_photos(tmp_path / "photos", 60)

    class Stop(Rows):
        def write(self, result: Result) -> None:
            super().write(result)
            if len(self.results) == 20:
                raise KeyboardInterrupt

    out = tmp_path / "out.jsonl"
    stop = Stop()
    summary, _ = job.run(samples, stop, open_writer(out, Layout(("made",), 3)), batch=4, look_ahead=8)
    assert summary.interrupted
    assert 20 <= summary.answered < 60
    assert stop.ended == "abandoned"
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == []
    again, rows = job.run(samples)
    assert again.from_ledger >= 20
    assert not again.interrupted
    assert len(rows.rows) == 60


def test_memory_holds_no_more_photos_than_asked_for(made: ModuleType, pool: DecodePool, tmp_path: Path) -> None:
    samples = made.make_photos(tmp_path / "photos", 80)
    under_way, most = 0, 0
    lock = threading.Lock()
    submit = pool.submit

    class Counting:
        def submit(self, path: str, wanted: Any) -> Any:
            nonlocal under_way, most
            with lock:
                under_way += 1
                most = max(most, under_way)
            return submit(path, wanted)

    class Taken(Rows):
        def write(self, result: Result) -> None:
            nonlocal under_way
            with lock:
                under_way -= 1

    with Ledger.temporary() as ledger:
        options = Options(batch=4, look_ahead=10)
        counting: Any = Counting()
        tag_photos(samples, [made.MadeTagger()], ledger=ledger, sinks=[Taken()], pool=counting, options=options)
    # Counted until they are written, which may lag behind on a busy machine; far from all 80 at any rate.
    assert most <= 10 + 4 * 4


def test_the_embedding_is_stored_and_written_in_order(job: Job, made: ModuleType, tmp_path: Path) -> None:
    samples = made.make_photos(tmp_path / "photos", 9)
    samples.insert(4, Sample(str(tmp_path / "absent.jpg")))
    for number in (1, 2):
        target = tmp_path / f"out{number}.npy"
        job.run(samples, open_embedding_writer(target, job.tagger.dimension), embedding=True)
        assert job.tagger.asked == (9 if number == 1 else 0)
        array = np.load(target)
        lines = [json.loads(line) for line in target.with_suffix(".jsonl").read_text().splitlines()]
        assert array.shape == (9, 6)
        assert array.dtype == np.float32
        assert [line.get("row") for line in lines] == [0, 1, 2, 3, None, 4, 5, 6, 7, 8]
        assert lines[4]["error"] == "PhotoNotFound"
        assert np.unique(array, axis=0).shape[0] == 9
    assert (tmp_path / "out1.npy").read_bytes() == (tmp_path / "out2.npy").read_bytes()


class Album:
    """A report that keeps thumbnails as the real one does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shown: list[tuple[str, bytes | None, bytes | None]] = []
        self.failures: list[Failure] = []

    def add(self, row: Any, thumbnail: bytes | None = None, overlay: bytes | None = None) -> None:
        self.shown.append((row["path"], thumbnail, overlay))
        if thumbnail is not None:
            place = self.folder / "thumbs" / row["digest"][:2] / f"{row['digest']}.jpg"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(thumbnail)

    def fail(self, failure: Failure) -> None:
        self.failures.append(failure)

    def __exit__(self, *_: object) -> None:
        self.dropped = True


def test_an_interrupted_run_drops_its_report(job: Job, made: ModuleType, tmp_path: Path) -> None:
    samples = made.make_photos(tmp_path / "photos", 3)

    class Stop(Rows):
        def write(self, result: Result) -> None:
            raise KeyboardInterrupt

    album = Album(tmp_path / "report")
    assert job.run(samples, ReportSink(album), Stop())[0].interrupted
    assert album.dropped


def test_a_report_gets_pictures_also_for_what_the_ledger_knows(
    job: Job, made: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = [*made.make_photos(tmp_path / "photos", 6), Sample(str(tmp_path / "absent.jpg"))]
    _, plain = job.run(samples)
    submitted: list[str] = []
    submit = job.pool.submit
    monkeypatch.setattr(job.pool, "submit", lambda path, wanted: submitted.append(path) or submit(path, wanted))

    def report(folder: str) -> tuple[Album, Rows]:
        submitted.clear()
        album = Album(tmp_path / folder)
        sink = ReportSink(album)
        options = {"thumbnail": Thumbnail(16), "heat_maps": True, "kept_thumbnail": sink.kept_thumbnail}
        _, rows = job.run(samples, sink, **options)
        assert job.tagger.asked == 0
        return album, rows

    first, rows = report("one")
    assert rows.rows == plain.rows
    assert len(submitted) == 7
    assert all(thumbnail and thumbnail[:2] == b"\xff\xd8" for _, thumbnail, _ in first.shown)
    assert all(overlay and overlay[:4] == b"RIFF" for _, _, overlay in first.shown)
    assert [failure.path for failure in first.failures] == [str(tmp_path / "absent.jpg")]
    second, _ = report("one")
    assert second.shown == first.shown
    assert submitted == [str(tmp_path / "absent.jpg")]
    kept = next((tmp_path / "one" / "thumbs").rglob("*.jpg"))
    kept.write_bytes(kept.read_bytes()[:-5])
    third, _ = report("one")
    assert third.shown == first.shown
    assert len(submitted) == 2


def test_a_full_disk_under_the_ledger_ends_the_run_with_a_sentence(
    job: Job, made: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = made.make_photos(tmp_path / "photos", 5)

    def full(*_: object) -> None:
        raise LedgerError("the disk is full")

    monkeypatch.setattr(Ledger, "record", full)
    with pytest.raises(LedgerError, match="disk is full"):
        job.run(samples)
