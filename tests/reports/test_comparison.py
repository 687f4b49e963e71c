from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="the extra evaluate is not installed")

from veduta.errors import UsageError
from veduta.evaluation.comparison import Comparison, Effort, Figure, Missing, Outcome, Row
from veduta.evaluation.speed import Speed
from veduta.reports.comparison import (
    check_folder,
    claim_folder,
    comparison_csv,
    comparison_markdown,
    comparison_values,
    write_comparison,
)
from veduta.reports.comparison_table import comparison_table, duration, remarks

HOSTILE = "<script>|**x**$\x1b[31m"


def made_row(
    model: str = "small_cnn", size: int = 32, recipe: str = "scratch", data: str = "set", top1: float = 0.5
) -> Row:
    speed = Speed(9e3 / size, 8e3 / size, 1e4 / size, size, size, 2, "float32", "openvino", "a machine", 5)
    outcome = Outcome(
        name=f"{model}-{size}-{recipe}",
        data=data,
        task="single_label",
        model=model,
        size=size,
        recipe=recipe,
        classes=42,
        unknown=(),
        failures=0,
        effort=Effort(187.4, 300.0, 1, "a machine, 2 threads") if recipe else None,
        graph=speed,
        whole_way=speed,
        parameters=2_345_678,
        disk_bytes=9_876_543,
        bundle="cells/a/run/bundle",
        bundle_id="0123",
    )
    figures = {"top1": Figure(top1, (top1 - 0.05, top1 + 0.05)), "top5": Figure(0.9, (0.85, 0.94))}
    return Row(outcome, 1680, figures, "best", Figure(-0.1, (-0.12, -0.08)))


@pytest.fixture
def comparison() -> Comparison:
    best = replace(made_row(size=224, top1=0.6), difference=None)
    return Comparison(
        "single_label", (made_row(), best), (Missing("vgg16-16-scratch", "set", "too small."),), 4, ("a note.",)
    )


def test_the_table_has_a_row_for_each_and_columns_that_say_something(comparison: Comparison) -> None:
    table = comparison_table(comparison)
    assert table.head[:5] == ("model", "pixels", "recipe", "top-1", "95 % interval")
    assert "judged on" not in table.head
    assert len(table.align) == len(table.head)
    first, second = (dict(zip(table.head[3:], row[3:], strict=True)) for row in table.rows)
    assert (first["top-1"], first["difference"], first["training"]) == ("50.0%", "-10.0", "3 min 07 s")
    assert (first["parameters"], first["on disk"]) == ("2.35 M", "9.9 MB")
    assert second["difference"] == "reference"
    models = Comparison("single_label", (made_row(recipe=""), made_row(recipe="", data="other")), (), 2)
    head = comparison_table(models).head
    assert {"judged on", "difference"} <= set(head)
    assert "difference" not in comparison_table(replace(comparison, rows=comparison.rows[1:])).head
    assert not {"recipe", "training"} & set(head)


def test_a_narrow_table_goes_without_what_a_reader_needs_least(comparison: Comparison) -> None:
    table = comparison_table(comparison)
    assert table.within(400) == table
    narrow = table.within(80)
    widths = [max(map(len, column)) for column in zip(narrow.head, *narrow.rows, strict=True)]
    assert sum(widths) + 2 * (len(widths) - 1) <= 80
    assert len(narrow.align) == len(narrow.head) == len(narrow.rows[0])
    assert {"model", "pixels", "recipe", "top-1", "difference", "training"} <= set(narrow.head)
    assert not {"on disk", "parameters", "from files, photos/s"} & set(narrow.head)
    assert table.within(1).head == ("model", "pixels", "recipe", "top-1")


def test_what_the_figures_hold_under_is_told(comparison: Comparison) -> None:
    told = " ".join(remarks(comparison))
    for words in ("same 1,680 photos of set", "to best", "a machine, 2 threads", "3 of 4 are done", "a note."):
        assert words in told
    effort = Effort(5.0, 5.0, 3, "here; then there")
    again = replace(comparison.rows[0], outcome=replace(comparison.rows[0].outcome, effort=effort))
    assert "gone on with: small_cnn-32-scratch" in " ".join(remarks(replace(comparison, rows=(again,))))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.26, "0.3 s"), (58.6, "59 s"), (59.8, "1 min 00 s"), (185, "3 min 05 s"), (7620, "2 h 07 min")],
)
def test_times_are_told_as_people_say_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_csv_has_every_column_and_what_is_missing(comparison: Comparison) -> None:
    rows = list(csv.DictReader(io.StringIO(comparison_csv(comparison))))
    assert [row["name"] for row in rows] == ["small_cnn-32-scratch", "small_cnn-224-scratch", "vgg16-16-scratch"]
    assert (rows[0]["top1"], rows[0]["top1_low"], rows[0]["difference"]) == ("0.5", "0.45", "-0.1")
    assert rows[0]["training_seconds"] == "187.4"
    assert (rows[1]["difference"], rows[2]["missing"]) == ("", "too small.")


def test_no_cell_is_a_formula_for_a_spreadsheet() -> None:
    row = made_row(data="=1+1")
    (found,) = csv.DictReader(io.StringIO(comparison_csv(Comparison("single_label", (row,), (), 1))))
    assert found["data"] == "'=1+1"


def test_json_can_be_read_and_tells_conditions(comparison: Comparison) -> None:
    values = json.loads(json.dumps(comparison_values(comparison), allow_nan=False))
    assert values["ranked_by"] == "top1"
    row = values["rows"][0]
    assert row["figures"]["top1"] == {"value": 0.5, "interval": [0.45, 0.55]}
    assert row["training"]["conditions"] == "a machine, 2 threads"
    assert row["graph_speed"]["threads"] == 2
    assert values["missing"] == [{"name": "vgg16-16-scratch", "data": "set", "reason": "too small."}]


def test_markdown_is_one_table_whatever_names_hold(comparison: Comparison) -> None:
    hostile = replace(comparison, rows=(made_row(HOSTILE),))
    lines = comparison_markdown(hostile).splitlines()
    assert lines[0].count("|") == lines[1].count("|")
    assert lines[2].replace("\\|", "").count("|") == lines[0].count("|")
    assert "\\<script>" in lines[2]
    assert "\x1b" not in lines[2]


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, _attributes: object) -> None:
        self.tags.append(tag)


def test_the_page_holds_the_table_and_runs_nothing(comparison: Comparison, tmp_path: Path) -> None:
    claim_folder(tmp_path / "out")
    assert "not finished" in (tmp_path / "out" / "index.html").read_text()
    hostile = Missing(HOSTILE, HOSTILE, HOSTILE)
    page = write_comparison(
        tmp_path / "out", replace(comparison, rows=(*comparison.rows, made_row(HOSTILE)), missing=(hostile,))
    )
    text = page.read_text()
    tags = _Page(text).tags
    assert tags.count("tr") == 4
    assert tags.count("img") == 1
    assert "script" not in tags
    assert "\x1b" not in text
    for name in ("comparison.svg", "comparison.png", "assets/comparison.css", "assets/report.css"):
        assert (tmp_path / "out" / name).is_file()
    again = {file: file.read_bytes() for file in (tmp_path / "out").glob("comparison.*")}
    write_comparison(
        tmp_path / "out", replace(comparison, rows=(*comparison.rows, made_row(HOSTILE)), missing=(hostile,))
    )
    assert {file: file.read_bytes() for file in (tmp_path / "out").glob("comparison.*")} == again


def test_a_comparison_of_nothing_yet_is_a_page_all_the_same(tmp_path: Path) -> None:
    claim_folder(tmp_path / "out")
    page = write_comparison(tmp_path / "out", Comparison("single_label", (), (), 3))
    assert "0 of 3 done" in page.read_text()
    assert not (tmp_path / "out" / "comparison.png").exists()


@pytest.mark.parametrize("name", ["index.html", "data", "cells", "comparison.csv"])
def test_a_folder_with_somebodys_files_of_these_names_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match=name):
        check_folder(tmp_path)
    claim_folder(tmp_path / "free")
    check_folder(tmp_path / "free")
