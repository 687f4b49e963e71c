"""Whole jobs with a real model on real photos."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from veduta.images.decode import Limits, Thumbnail
from veduta.images.pool import DecodePool
from veduta.images.preprocess import Preprocessing
from veduta.images.sources import expand
from veduta.jobs.ledger import Ledger
from veduta.jobs.pages import ReportSink
from veduta.jobs.pipeline import Options, Summary, tag_photos
from veduta.jobs.plan import layout_of
from veduta.jobs.writers import open_writer
from veduta.models.importing import import_onnx
from veduta.recognition.tagger import Tagger, load
from veduta.records import Sample
from veduta.reports.tags import TagReport


@pytest.fixture(scope="module")
def pool():  # type: ignore[no-untyped-def]
    with DecodePool(2, Limits()) as pool:
        yield pool


@pytest.fixture(scope="module")
def taggers(shared_data: Path, shared_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Tagger]:
    """One network as two models, which see the photos at different sizes."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VEDUTA_HOME", str(tmp_path_factory.mktemp("home")))
        for name, side in (("small", 128), ("large", 224)):
            import_onnx(
                shared_weights / "places365_squeezenet.onnx",
                shared_data / "labels" / "places365.csv",
                name=name,
                preprocessing=Preprocessing("crop", ((side, side),), "bicubic", side),
            )
            found.append(load(name, threads=1))
    return found


@pytest.fixture(scope="module")
def photos(shared_data: Path) -> list[Sample]:
    """One photo of each of the 27 categories of SUN."""
    folders = sorted((shared_data / "sun27").iterdir())
    return [next(expand([str(folder)])) for folder in folders if folder.is_dir()]


def run(
    samples: list[Sample],
    taggers: list[Tagger],
    ledger: Path,
    out: Path,
    pool: DecodePool,
    sinks: tuple[Any, ...] = (),
    **options: Any,
) -> Summary:
    chosen = Options(**options)
    writer = open_writer(out, layout_of(taggers))
    with Ledger.open(ledger) as opened:
        return tag_photos(samples, taggers, ledger=opened, sinks=[writer, *sinks], pool=pool, options=chosen)


def test_batches_and_order_of_decoding_change_no_byte(
    photos: list[Sample], taggers: list[Tagger], pool: DecodePool, tmp_path: Path
) -> None:
    for name, batch in (("one", 1), ("two", 5), ("three", 32)):
        summary = run(photos, taggers[:1], tmp_path / f"{name}.sqlite3", tmp_path / f"{name}.jsonl", pool, batch=batch)
        assert (summary.answered, summary.from_ledger) == (27, 0)
    again = run(photos, taggers[:1], tmp_path / "one.sqlite3", tmp_path / "again.jsonl", pool)
    assert again.from_ledger == 27
    one = (tmp_path / "one.jsonl").read_bytes()
    assert all((tmp_path / f"{name}.jsonl").read_bytes() == one for name in ("two", "three", "again"))


def test_two_models_answer_side_by_side_and_together(
    photos: list[Sample], taggers: list[Tagger], pool: DecodePool, tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow")
    ledger = tmp_path / "ledger.sqlite3"
    run(photos, taggers, ledger, tmp_path / "out.jsonl", pool, language="de")
    summary = run(photos, taggers, ledger, tmp_path / "out.csv", pool, language="de")
    assert summary.from_ledger == 27
    run(photos, taggers, ledger, tmp_path / "out.parquet", pool)
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        cells = list(csv.DictReader(file))
    for row, cell in zip(rows, cells, strict=True):
        assert list(row["models"]) == ["small", "large"]
        assert row["combined"]["basis"] == "labels"
        assert cell["large.top1_id"] == row["models"]["large"]["scores"][0]["id"]
        assert cell["combined.top1_name"] == row["combined"]["scores"][0]["name"]
    assert any(row["combined"]["scores"] != row["models"]["small"]["scores"] for row in rows)


def test_every_malformed_file_is_an_answer_or_a_failure_and_stays_the_same(
    shared_data: Path, taggers: list[Tagger], pool: DecodePool, tmp_path: Path
) -> None:
    samples = [Sample(str(path)) for path in sorted((shared_data / "malformed").rglob("*")) if path.is_file()]
    ledger = tmp_path / "ledger.sqlite3"
    first = run(samples, taggers[:1], ledger, tmp_path / "one.jsonl", pool)
    second = run(samples, taggers[:1], ledger, tmp_path / "two.jsonl", pool)
    print(f"{first.answered} answered, {first.failed} failed, {second.from_ledger} known the second time")
    assert first.answered + first.failed == len(samples)
    assert (second.answered, second.failed) == (first.answered, first.failed)
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()
    for line in (tmp_path / "one.jsonl").read_text().splitlines():
        row = json.loads(line)
        assert row["message"].endswith(".") if "error" in row else row["scores"]


def test_a_report_of_known_photos_is_that_of_new_ones(
    photos: list[Sample], taggers: list[Tagger], pool: DecodePool, tmp_path: Path
) -> None:
    seen = []
    for folder in ("one", "one", "two"):
        with TagReport(tmp_path / folder, title="SUN", model="small") as report:
            sink = ReportSink(report)
            run(
                photos[:9],
                taggers[:1],
                tmp_path / "ledger.sqlite3",
                tmp_path / "out.jsonl",
                pool,
                sinks=(sink,),
                thumbnail=Thumbnail(120),
                heat_maps=True,
                kept_thumbnail=sink.kept_thumbnail,
            )
            report.close({"photos": 9})
        pictures = sorted((tmp_path / folder).rglob("*/??/*.*"))
        seen.append([(path.name, path.read_bytes()) for path in pictures])
    assert len(seen[0]) == 18
    assert seen[0] == seen[1] == seen[2]
