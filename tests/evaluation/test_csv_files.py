from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from veduta.errors import OutputError
from veduta.evaluation.csv_files import check_tables, write_tables
from veduta.evaluation.evaluate import evaluate
from veduta.evaluation.evaluate_classes import evaluate_classes
from veduta.images.pool import DecodePool
from veduta.recognition.tagger import Tagger

Model = Callable[..., Tagger]
Folders = Callable[[str, dict[str, list[str]]], Path]


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodePool]:
    with DecodePool(1) as made:
        yield made


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as open_file:
        return list(csv.DictReader(open_file))


def test_each_photo_class_threshold_and_confusion_is_a_row(
    made_model: Model, colour_folders: Folders, pool: DecodePool, tmp_path: Path
) -> None:
    data = colour_folders("set", {"kitchen": ["blue", "red"], "ocean": ["blue"]})
    found = evaluate_classes(made_model(), data, pool)
    written = write_tables(tmp_path / "new" / "tables", found)
    assert [path.name for path in written] == ["photos.csv", "classes.csv", "confusions.csv", "thresholds.csv"]
    photos, classes, confusions, thresholds = map(rows, written)
    assert [(each["truth"], each["said"], each["right"]) for each in photos] == [
        ("kitchen", "ocean", "false"),
        ("kitchen", "kitchen", "true"),
        ("ocean", "ocean", "true"),
    ]
    assert float(photos[0]["probability"]) > 0.9
    assert photos[0]["truth_place"] in ("2", "3")
    assert [(each["class"], each["photos"], each["recall"], each["precision"]) for each in classes] == [
        ("kitchen", "2", "0.5", "1"),
        ("ocean", "1", "1", "0.5"),
    ]
    assert confusions[0] == {"class": "kitchen", "kitchen": "1", "forest_path": "0", "ocean": "1"}
    assert (thresholds[0]["above"], thresholds[0]["above_wrong"]) == ("3", "1")


def test_a_path_that_a_spreadsheet_would_take_for_a_formula_is_text(
    made_model: Model, colour_folders: Folders, pool: DecodePool, tmp_path: Path
) -> None:
    found = evaluate_classes(made_model(), colour_folders("set", {"kitchen": ["red"], "ocean": ["blue"]}), pool)
    found = replace(found, paths=("=set/0.png", "photos/\udcff.png"))
    photos = rows(write_tables(tmp_path / "tables", found)[0])
    assert [each["path"] for each in photos] == ["'=set/0.png", "photos/\\udcff.png"]


def test_photos_of_many_labels_have_a_probability_for_each(
    made_model: Model, colour_folders: Folders, pool: DecodePool, tmp_path: Path
) -> None:
    colour_folders("set", {"images": ["red", "blue"]})
    (tmp_path / "set.csv").write_text("path,labels\nset/images/0.png,kitchen\nset/images/1.png,kitchen|ocean\n")
    found = evaluate(made_model(task="multi_label"), tmp_path / "set.csv", pool)
    photos, labels = map(rows, write_tables(tmp_path / "tables", found))
    assert [(each["truth"], each["right"]) for each in photos] == [("kitchen", "false"), ("kitchen|ocean", "true")]
    assert float(photos[1]["ocean"]) > 0.9
    assert {each["label"] for each in labels} == {"kitchen", "ocean"}


def test_a_place_that_can_not_be_written_to_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file"):
        check_tables(tmp_path / "file")
    (tmp_path / "tables" / "photos.csv").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"photos.csv: is no plain file"):
        check_tables(tmp_path / "tables")
    check_tables(tmp_path / "new")
