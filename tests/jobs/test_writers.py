"""Files appear whole or not at all, and say the same in every format."""

from __future__ import annotations

import csv
import errno
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veduta.errors import MissingExtra, OutputError, UsageError
from veduta.jobs.embeddings import open_embedding_writer
from veduta.jobs.output import OutputFile
from veduta.jobs.rows import Layout, Result, Row, failure_row, json_line
from veduta.jobs.writers import csv_cells, csv_columns, neutral, open_writer
from veduta.records import Failure

ONE = Layout(("made",), 2)
TWO = Layout(("made", "=other"), 2)

SCORES = [{"id": "bar", "name": "=bar()", "probability": 0.75}, {"id": "pub", "name": "pub", "probability": 0.125}]
ANSWER = {
    "crop": [0.0, 1.5, 10.0, 11.5],
    "scores": SCORES,
    "coarse": [{"id": "restaurant", "name": "restaurant", "probability": 0.875, "ancestors": ["indoors"]}],
    "environment": {"kind": "indoor", "outdoor_probability": 0.1, "outdoor_vote": 0.0, "margin": 0.8},
    "evidence": {"value": 2.5, "threshold": 1.0, "fits": True},
    "model": "made",
    "bundle_id": "b1",
    "precision": "float32",
    "calibrated": True,
}
FACTS = {"format": "JPEG", "width": 10, "height": 20, "position": [-33.5, 151.25], "marks": ["cut off"]}


def row(path: str = "a.jpg") -> Row:
    return {"schema_version": 1, "path": path, "digest": "0" * 32, "facts": FACTS, **ANSWER}


def row_of_two(path: str = "a.jpg") -> Row:
    models = {"made": ANSWER, "=other": {key: ANSWER[key] for key in ("scores", "model")}}
    combined = {"basis": "coarse", "coarse": ANSWER["coarse"]}
    return {
        "schema_version": 1,
        "path": path,
        "digest": "0" * 32,
        "facts": FACTS,
        "models": models,
        "combined": combined,
    }


FAILURE = failure_row(Failure("b\n.jpg", "CorruptPhoto", "b\\n.jpg can't be decoded."))


def write(target: Path, layout: Layout, *rows: Row) -> Path:
    writer = open_writer(target, layout)
    for each in rows:
        writer.write(Result(each))
    writer.finish()
    return target


def test_json_lines_holds_the_rows_as_they_are(tmp_path: Path) -> None:
    rows = [row(), FAILURE, row_of_two("写真 ü.jpg")]
    text = write(tmp_path / "out.jsonl", ONE, *rows).read_text("utf-8")
    assert [json.loads(line) for line in text.splitlines()] == rows
    assert "写真 ü" in text


@given(st.text(st.characters(codec=None, categories=None, exclude_characters=""), max_size=20))
def test_any_path_makes_one_line_that_reads_back(path: str) -> None:
    line = json_line({"path": path})
    assert json.loads(line)["path"] == path
    assert len(line.decode("utf-8").splitlines()) == 1


def test_half_surrogates_come_back_as_the_bytes_of_the_name() -> None:
    name = b"caf\xe9\x80.jpg"
    line = json_line({"path": os.fsdecode(name)})
    assert b"\\udce9\\udc80" in line
    assert os.fsencode(json.loads(line)["path"]) == name


@given(st.text(max_size=12))
def test_no_cell_is_a_formula_and_each_can_be_read_back(text: str) -> None:
    cell = neutral(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"))
    taken_off = cell[1:] if cell.startswith("'") and cell[1:].lstrip("'")[:1] in set("=+-@\t\r\n＝＋－＠") else cell
    assert taken_off == text


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_any_path_is_one_csv_cell(path: str) -> None:
    import io

    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerow(csv_cells(row(path), ONE))
    (cells,) = csv.reader(io.StringIO(text.getvalue(), newline=""), strict=True)
    assert cells[0] == neutral(path)


def test_csv_has_fixed_columns_whatever_a_row_lacks(tmp_path: Path) -> None:
    poor = {**row("c.jpg"), "scores": SCORES[:1]}
    poor.pop("coarse")
    poor.pop("environment")
    target = write(tmp_path / "out.csv", ONE, row("=a.jpg"), FAILURE, poor)
    with target.open(encoding="utf-8", newline="") as file:
        first, failure, last = csv.DictReader(file)
    assert first["path"] == "'=a.jpg"
    assert first["top1_name"] == "'=bar()"
    assert first["top1_id"] == "bar"
    assert float(first["latitude"]) == -33.5
    assert first["marks"] == "cut off"
    assert first["coarse_id"] == "restaurant"
    assert first["fits"] == "true"
    assert first["calibrated"] == "true"
    assert failure["path"] == "b\n.jpg"
    assert failure["error"] == "CorruptPhoto"
    assert failure["top1_id"] == ""
    assert last["top2_id"] == last["coarse_id"] == last["environment"] == ""
    assert None not in last


def test_csv_of_several_models_has_their_columns_side_by_side(tmp_path: Path) -> None:
    target = write(tmp_path / "out.csv", TWO, row_of_two(), FAILURE)
    with target.open(encoding="utf-8", newline="") as file:
        first, failure = csv.DictReader(file)
    assert first["made.top1_id"] == first["'=other.top1_id"] == "bar"
    assert first["combined.coarse_id"] == "restaurant"
    assert first["combined.top1_id"] == ""
    assert failure["error"] == "CorruptPhoto"
    assert len(csv_columns(TWO)) == len(csv_cells(FAILURE, TWO))


def test_parquet_holds_the_same_nested(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    target = write(tmp_path / "out.parquet", ONE, row(), FAILURE, row(os.fsdecode(b"caf\xe9.jpg")))
    first, failure, odd = parquet.read_table(target).to_pylist()
    assert first["path"] == "a.jpg"
    assert first["scores"] == SCORES
    assert first["facts"]["position"] == [-33.5, 151.25]
    assert first["coarse"] == ANSWER["coarse"]
    assert first["error"] is None
    assert failure["message"] == FAILURE["message"]
    assert failure["scores"] is None
    assert odd["path"] == "caf\\udce9.jpg"
    both = parquet.read_table(write(tmp_path / "two.parquet", TWO, row_of_two(), FAILURE)).to_pylist()
    assert both[0]["models"]["=other"]["scores"] == SCORES
    assert both[0]["combined"]["basis"] == "coarse"
    assert parquet.read_table(write(tmp_path / "none.parquet", ONE)).num_rows == 0


ATTRIBUTES = [
    {"id": "trees", "name": "=trees", "probability": 0.75, "source": "photo"},
    {"id": "farming", "name": "farming", "probability": 0.25, "source": "scene"},
]


def test_csv_tells_each_attribute_with_its_source_where_they_were_asked_for(tmp_path: Path) -> None:
    asked = Layout(("made",), 2, attributes=True)
    told = {**row(), "attributes": ATTRIBUTES}
    target = write(tmp_path / "out.csv", asked, told, row(), FAILURE)
    with target.open(encoding="utf-8", newline="") as file:
        first, without, failure = csv.DictReader(file)
    assert first["attributes"] == "'=trees; farming"
    assert [first[f"attribute1_{part}"] for part in ("id", "name", "probability", "source")] == [
        "trees", "'=trees", "0.75", "photo"
    ]  # fmt: skip
    assert (first["attribute2_source"], first["attribute10_id"]) == ("scene", "")
    assert (without["attribute1_id"], failure["attribute1_id"], failure["error"]) == ("", "", "CorruptPhoto")
    assert not [name for name in csv_columns(ONE) if name.startswith("attribute1")]


def test_parquet_tells_the_source_of_attributes_where_they_were_asked_for(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra parquet is not installed")
    asked = Layout(("made",), 2, attributes=True)
    target = write(tmp_path / "out.parquet", asked, {**row(), "attributes": ATTRIBUTES}, row())
    first, second = parquet.read_table(target).to_pylist()
    assert first["attributes"] == ATTRIBUTES
    assert second["attributes"] is None
    plain = parquet.read_schema(write(tmp_path / "plain.parquet", ONE, row()))
    assert "source" not in str(plain.field("attributes").type)


def test_parquet_is_written_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("veduta.jobs.writers._ROWS_A_GROUP", 3)
    target = write(tmp_path / "out.parquet", ONE, *(row(f"{n}.jpg") for n in range(8)))
    assert parquet.ParquetFile(target).num_row_groups == 3
    assert [each["path"] for each in parquet.read_table(target).to_pylist()] == [f"{n}.jpg" for n in range(8)]


@pytest.mark.parametrize("open_one", [lambda t: open_writer(t, ONE), lambda t: open_embedding_writer(t, 2)])
def test_parquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_one: Callable[[Path], Any]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r'pip install "veduta\[parquet\]"'):
        open_one(tmp_path / "out.parquet")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out.xlsx", "out", "out.jsonl.gz"])
def test_an_unknown_suffix_names_the_three(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"\.jsonl.*\.csv.*\.parquet"):
        open_writer(tmp_path / name, ONE)
    with pytest.raises(UsageError, match=r"\.npy.*\.parquet"):
        open_embedding_writer(tmp_path / name, 2)


def test_suffixes_may_be_written_large(tmp_path: Path) -> None:
    assert write(tmp_path / "OUT.JSONL", ONE, row()).exists()


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_the_target_stays_as_it_was_until_the_end(tmp_path: Path, suffix: str) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    target = tmp_path / f"out.{suffix}"
    target.write_bytes(b"earlier")
    writer = open_writer(target, ONE)
    writer.write(Result(row()))
    assert target.read_bytes() == b"earlier"
    writer.abandon()
    assert target.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [target]
    again = open_writer(target, ONE)
    again.finish()
    again.abandon()
    assert target.read_bytes() != b"earlier"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_equal_rows_are_equal_bytes(tmp_path: Path, suffix: str) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    one = write(tmp_path / f"one.{suffix}", ONE, row(), FAILURE)
    two = write(tmp_path / f"two.{suffix}", ONE, row(), FAILURE)
    assert one.read_bytes() == two.read_bytes()


def test_targets_that_can_not_be_written_are_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "file").write_text("")
    for target, reason in [
        (tmp_path / "folder.jsonl", "is a folder"),
        (tmp_path / "absent" / "out.jsonl", "folder does not exist"),
        (tmp_path / "file" / "out.jsonl", "folder does not exist"),
    ]:
        with pytest.raises(OutputError, match=reason):
            open_writer(target, ONE)


def test_what_is_no_plain_file_is_not_replaced(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(OutputError, match="no plain file"):
        open_writer(tmp_path / "pipe.jsonl", ONE)


def test_two_runs_do_not_write_the_same_target(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    first = open_writer(tmp_path / "out.jsonl", ONE)
    with pytest.raises(OutputError, match="another run"):
        open_writer(tmp_path / "out.jsonl", ONE)
    first.write(Result(row()))
    first.finish()
    assert (tmp_path / "out.jsonl").read_bytes() == json_line(row())


def test_a_partial_file_of_a_killed_run_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / ".out.jsonl.partial").write_text("left over\n" * 1000)
    assert write(tmp_path / "out.jsonl", ONE, row()).read_bytes() == json_line(row())
    assert len(list(tmp_path.iterdir())) == 1


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "out.jsonl"
    try:
        link.symlink_to(tmp_path / "real" / "out.jsonl")
    except OSError:
        pytest.skip("links can't be made here")
    write(link, ONE, row())
    assert link.is_symlink()
    assert (tmp_path / "real" / "out.jsonl").read_bytes() == json_line(row())


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_an_error_of_the_system_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    output = OutputFile(tmp_path / "out.jsonl")

    def fail(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    output.write(b"x")
    with pytest.raises(OutputError, match=r"out\.jsonl can't be written") as caught:
        output.finish()
    assert ("disk is full" in str(caught.value)) == (code == errno.ENOSPC)
    output.abandon()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_a_limit_on_the_size_of_files_is_told_and_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    program = f"""
import resource, signal, sys
from pathlib import Path
from veduta.errors import OutputError
from veduta.jobs.rows import Layout, Result
from veduta.jobs.writers import open_writer
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writer = open_writer(Path(sys.argv[1]), Layout(("made",), 2))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    for n in range(100_000):
        writer.write(Result({{**{row()!r}, "path": str(n) * 50, "digest": str(hash(str(n)))}}))
    writer.finish()
except OutputError as error:
    writer.abandon()
    print(error)
"""
    assert resource.RLIMIT_FSIZE
    found = subprocess.run(
        [sys.executable, "-c", program, tmp_path / f"out.{suffix}"], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    assert "disk is full" in found.stdout
    assert list(tmp_path.iterdir()) == []


def test_embeddings_as_parquet_keep_place_and_failures(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    writer = open_embedding_writer(tmp_path / "out.parquet", 2)
    writer.write(Result(row(), np.array([1.5, -2.0], "<f4").tobytes()))
    writer.write(Result(FAILURE))
    writer.finish()
    first, failure = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert first["embedding"] == [1.5, -2.0]
    assert failure["embedding"] is None
    assert failure["error"] == "CorruptPhoto"


def test_no_embeddings_are_an_empty_array(tmp_path: Path) -> None:
    open_embedding_writer(tmp_path / "out.npy", 1280).finish()
    assert np.load(tmp_path / "out.npy").shape == (0, 1280)
    assert (tmp_path / "out.jsonl").read_bytes() == b""


def test_an_abandoned_embedding_leaves_nothing(tmp_path: Path) -> None:
    writer = open_embedding_writer(tmp_path / "out.npy", 2)
    writer.write(Result(row(), bytes(8)))
    writer.abandon()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "out.jsonl").mkdir()
    with pytest.raises(OutputError):
        open_embedding_writer(tmp_path / "out.npy", 2)
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]
