"""Photos sorted into folders of classes: names, links, what an earlier run left, and who else's things lie there."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veduta.datasets.manifest import read_data
from veduta.errors import OutputError, UsageError
from veduta.jobs.filing import RESERVED, UNSURE, Filing, FilingSink, check_results_folder, folder_name
from veduta.jobs.rows import Result
from veduta.recognition.tagger import Tagger
from veduta.records import Label

TAGGER = cast(Tagger, SimpleNamespace(labels=(Label("cat", "cat"), Label("dog", "dog"))))


def row(path: Path, label: str = "cat", probability: float = 0.9) -> dict[str, Any]:
    other = "dog" if label == "cat" else "cat"
    scores = [(label, probability), (other, 1 - probability)]
    return {
        "schema_version": 1,
        "path": str(path),
        "digest": path.name,
        "bundle_id": "b",
        "scores": [{"id": name, "name": name, "probability": value} for name, value in scores],
    }


def sort(folder: Path, rows: list[dict[str, Any]], threshold: float = 0.5, copy: bool = False) -> FilingSink:
    sink = FilingSink(folder, TAGGER, Filing(threshold, copy=copy, pictures=False))
    for each in rows:
        sink.write(Result(each))
    sink.finish()
    return sink


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    (tmp_path / "a.jpg").write_bytes(b"photo")
    return tmp_path / "a.jpg"


def files(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.glob("*/*"))


def test_a_photo_lies_with_its_class_or_with_the_unsure(tmp_path: Path, photo: Path) -> None:
    sink = sort(tmp_path / "out", [row(photo), row(photo, probability=0.4), row(photo, "dog", 0.5)])
    assert files(tmp_path / "out") == ["cat/a.jpg", "dog/a.jpg", "unsure/a.jpg"]
    assert sink.counts == {"cat": 1, "dog": 1, UNSURE: 1}
    assert (tmp_path / "out" / "cat" / "a.jpg").resolve() == photo
    assert (tmp_path / "out" / "cat" / "a.jpg").read_bytes() == b"photo"


def test_copies_are_files_of_their_own(tmp_path: Path, photo: Path) -> None:
    sort(tmp_path / "out", [row(photo)], copy=True)
    assert not (tmp_path / "out" / "cat" / "a.jpg").is_symlink()
    assert (tmp_path / "out" / "cat" / "a.jpg").read_bytes() == b"photo"


def test_photos_of_one_name_from_several_folders_all_have_a_place(tmp_path: Path) -> None:
    rows = []
    for place, name in enumerate(("one/a.jpg", "two/A.JPG", "three/a.png", "three/a-2.jpg")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(bytes([place]))
        rows.append(row(tmp_path / name))
    sort(tmp_path / "out", rows)
    assert len(files(tmp_path / "out")) == 4
    assert len({name.rpartition(".")[0].casefold() for name in files(tmp_path / "out")}) == 4


def test_what_an_earlier_run_sorted_elsewhere_goes_and_nothing_else(tmp_path: Path, photo: Path) -> None:
    sort(tmp_path / "out", [row(photo)])
    (tmp_path / "out" / "cat" / "note.txt").write_text("mine")
    sort(tmp_path / "out", [row(photo)], threshold=0.95)
    assert files(tmp_path / "out") == ["cat/note.txt", "unsure/a.jpg"]


def test_a_second_run_puts_nothing_anew(tmp_path: Path, photo: Path) -> None:
    sort(tmp_path / "out", [row(photo)], copy=True)
    made = (tmp_path / "out" / "cat" / "a.jpg").stat().st_mtime_ns
    sort(tmp_path / "out", [row(photo)], copy=True)
    assert (tmp_path / "out" / "cat" / "a.jpg").stat().st_mtime_ns == made


def test_a_run_that_was_stopped_leaves_what_it_did_and_the_next_one_knows_whose_it_is(
    tmp_path: Path, photo: Path
) -> None:
    sink = FilingSink(tmp_path / "out", TAGGER, Filing(0.5, pictures=False))
    sink.write(Result(row(photo)))
    sink.abandon()
    sort(tmp_path / "out", [row(photo)], threshold=0.95)
    assert files(tmp_path / "out") == ["unsure/a.jpg"]


def test_a_line_that_a_kill_cut_off_is_passed_over(tmp_path: Path, photo: Path) -> None:
    sort(tmp_path / "out", [row(photo)])
    with (tmp_path / "out" / ".veduta-results").open("ab") as journal:
        journal.write(b'["cat/b.j')
    sort(tmp_path / "out", [row(photo)])
    assert files(tmp_path / "out") == ["cat/a.jpg"]


def test_a_photo_that_failed_is_a_row_with_its_reason(tmp_path: Path, photo: Path) -> None:
    failed = {"schema_version": 1, "path": "x.jpg", "error": "CorruptPhoto", "message": "x.jpg is broken"}
    sort(tmp_path / "out", [failed, row(photo)])
    lines = (tmp_path / "out" / "results.csv").read_text(encoding="utf-8").splitlines()
    assert lines[1] == "x.jpg,,,,,,,,,x.jpg is broken"
    told = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert [each.get("class") for each in told] == [None, "cat"]


def test_the_sure_ones_are_a_set_and_the_unsure_say_why_not(tmp_path: Path, photo: Path) -> None:
    sort(tmp_path / "out", [row(photo), row(photo, probability=0.4)])
    manifest = read_data(tmp_path / "out")
    assert [(entry.labels, entry.dropped) for entry in manifest.entries] == [
        (("cat",), ""),
        (("cat",), "unsure: cat at 0.400"),
    ]


def test_somebody_elses_folder_is_refused_and_so_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "a.jpg").write_bytes(b"")
    with pytest.raises(UsageError, match=r"holds a\.jpg already, which is no result"):
        check_results_folder(tmp_path / "holiday")
    with pytest.raises(UsageError, match="is a file"):
        check_results_folder(tmp_path / "holiday" / "a.jpg")
    check_results_folder(tmp_path / "new")


def test_a_photo_that_has_gone_since_stays_a_row(tmp_path: Path) -> None:
    sink = sort(tmp_path / "out", [row(tmp_path / "gone.jpg")], copy=True)
    assert sink.counts["cat"] == 1
    assert files(tmp_path / "out") == []


def test_a_place_that_can_not_be_written_ends_the_job_with_its_sentence(tmp_path: Path, photo: Path) -> None:
    sink = FilingSink(tmp_path / "out", TAGGER, Filing(0.5, copy=True, pictures=False))
    (tmp_path / "out" / "cat").write_text("a file in place of the folder")
    sink.write(Result(row(photo)))
    with pytest.raises(OutputError, match=r"a\.jpg: can't be written"):
        sink.finish()
    sink.abandon()


@given(st.text(min_size=1, max_size=30))
def test_a_folder_of_any_label_lies_within_and_has_no_name_of_ours(label: str) -> None:
    name = folder_name(label)
    assert name
    assert "/" not in name
    assert "\\" not in name
    assert not name.startswith(".")
    assert name.casefold() not in RESERVED
