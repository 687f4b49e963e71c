"""``veduta evaluate`` as a user types it, with the bundled model and made photos."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veduta.cli.figures import print_evaluation
from veduta.evaluation.conditions import Conditions
from veduta.evaluation.evaluate_labels import LabelEvaluation
from veduta.evaluation.label_figures import judge_labels
from veduta.evaluation.thresholds import Promise
from veduta.records import Label

pytest.importorskip("sklearn", reason="the extra evaluate is not installed")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    (tmp_path / "album" / "pictures").mkdir(parents=True)
    (tmp_path / "labels.csv").write_text("file,kitchen\nset/kitchen/a.jpg,1\n")
    (tmp_path / "kichen.csv").write_text("class,wider class\nkichen,inside\n")
    for folder in ("kitchen", "church-outdoor", "garage"):
        (tmp_path / "set" / folder).mkdir(parents=True)
        for name in ("a", "b"):
            pixels = random.integers(0, 256, (90, 120, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / folder / f"{name}.jpg")
    return tmp_path / "set"


def veduta(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from veduta.cli.main import run; run()", "evaluate", *map(str, arguments)]
    environment = os.environ | {"COLUMNS": "200", "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)


def test_figures_come_as_tables_files_and_a_page(data: Path, tmp_path: Path) -> None:
    (data.parent / "map.csv").write_text("class,wider class\nkitchen,inside\nchurch/outdoor,outside\n")
    asked = ("--wild", data, "--map", data.parent / "map.csv", "--precision-target", "0.8")
    written = ("--json", tmp_path / "figures.json", "--csv", tmp_path / "tables", "--report", tmp_path / "page")
    done = veduta("places100", data, *asked, *written)
    assert done.returncode == 0, done.stderr
    for words in ("top-1 accuracy", "95 % interval", "perfectly calibrated", "garage", "your wider classes",
                  "everyday labels", "80 % right: Too few photos to promise this", "drop in points"):  # fmt: skip
        assert words in done.stdout, words
    figures = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert (figures["schema_version"], figures["model"], figures["photos"]) == (2, "places100", 4)
    assert list(figures["not_judged"]) == ["garage"]
    assert [each["labels"] for each in figures["levels"]] == ["map", "coarse"]
    assert {each["name"] for each in figures["figures"]} >= {"top1", "top5", "top1_error", "log_loss", "brier_score"}
    assert [each["precision"] for each in figures["promises"]] == [0.8]
    assert [each["drop"] for each in figures["drops"]] == [0.0, 0.0]
    assert (tmp_path / "page" / "index.html").is_file()
    assert len((tmp_path / "tables" / "photos.csv").read_text().splitlines()) == 5


def test_figures_are_told_and_written_before_a_report_that_fails(data: Path, tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "index.html").write_text('<meta name="generator" content="Veduta evaluation">')
    (tmp_path / "report" / "pictures").write_text("a file where a folder must be")
    done = veduta("places100", data, "--json", tmp_path / "figures.json", "--report", tmp_path / "report")
    assert done.returncode == 6, done.stderr
    assert "top-1 accuracy" in done.stdout
    assert json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))["photos"] == 4
    assert f"wrote {tmp_path / 'figures.json'}" in done.stderr.replace("\n", "")
    assert "pictures" in done.stderr


def test_another_size_is_told_in_the_table_the_file_and_the_page(data: Path, tmp_path: Path) -> None:
    done = veduta("places100", data, "--size", "64", "--json", tmp_path / "figures.json", "--report", tmp_path / "page")
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert (figures["size"], figures["model_size"], figures["calibrated"]) == (64, 128, False)
    assert "at 64 pixels" in done.stdout
    for text in (done.stdout, (tmp_path / "page" / "index.html").read_text(encoding="utf-8")):
        assert "64 pixels" in text
        assert "not calibrated" in text


def test_a_model_of_many_labels_is_told_label_by_label(capsys: pytest.CaptureFixture[str]) -> None:
    present = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]], bool)
    said = np.array([[0.9, 0.1, 0.1], [0.2, 0.8, 0.1], [0.7, 0.9, 0.2], [0.1, 0.1, 0.1]], np.float32)
    labels = [Label(name, name) for name in ("sea", "[red]trees", "desert")]
    print_evaluation(
        LabelEvaluation(
            Conditions("mine", "0123", 96, 128, calibrated=False),
            judge_labels(labels, said, present, "album"),
            left_out={"fog": ("frog",)},
            paths=("a", "b", "c", "d"),
            promises={
                "sea": (Promise(0.9, 0.95, 4, 29, 0.875, 2, 2, 0.22),),
                "[red]trees": (Promise(0.9, 0.95, 4, 29),),
            },
            examples=(),
            places=(0, 1),
            failures=(),
        )
    )
    told = capsys.readouterr().out
    for words in (
        "mine at 96 pixels on album",
        "mean average precision",
        "100.0%",
        "[red]trees",
        "from, for 90 %",
        "0.875",
    ):
        assert words in told, words
    for words in ("no photo has them: 'desert'", "their name: fog (frog?)", "not calibrated"):
        assert words in told, words


def test_json_on_standard_output_is_nothing_else_and_a_broken_photo_is_told(data: Path) -> None:
    (data / "kitchen" / "c.jpg").write_bytes(b"<html>not found</html>")
    done = veduta("places100", data, "--coarse", "--same", "garage=storage", "--json", "-")
    assert done.returncode == 1
    figures = json.loads(done.stdout)
    assert [each["error"] for each in figures["failures"]] == ["UnsupportedFormat"]
    assert "c.jpg" in done.stderr
    assert figures["absent_from_model"] == {"garage": "storage"}
    assert {each["folder"] for each in figures["folders"]} == {"kitchen", "church-outdoor"}


def test_a_map_of_labels_and_a_split_of_a_manifest_are_taken(data: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("folder,label\ngarage,parking_lot\n")
    rows = ("set/garage/a.jpg,garage,train", "set/garage/b.jpg,garage,test", "set/kitchen/a.jpg,kitchen,test")
    (tmp_path / "set.csv").write_text("\n".join(("path,label,split", *rows)))
    done = veduta("places100", tmp_path / "set.csv", "--labels", tmp_path / "labels.csv", "--json", "-")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert (figures["data"], figures["photos"], figures["not_judged"]) == ("set, test", 2, {})
    assert {each["folder"]: each["label"] for each in figures["folders"]} == {
        "garage": "parking_lot",
        "kitchen": "kitchen",
    }
    done = veduta("places100", tmp_path / "set.csv", "--split", "train", "--same", "garage=parking_lot", "--json", "-")
    assert json.loads(done.stdout)["data"] == "set, train"


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["places999", "DATA"], 3, "places100"),
        (["places100", "none"], 2, "none"),
        (["places100", "DATA", "--same", "garage=storage"], 2, "no label that is judged"),
        (["places100", "DATA", "--labels", "DATA/../labels.csv"], 2, "its first line is folder,label"),
        (["places100", "DATA", "--map", "DATA/../kichen.csv"], 2, "did you mean 'kitchen'"),
        (["places100", "DATA", "--precision-target", "99"], 2, "between 0 and 1"),
        (["places100", "DATA", "--csv", "DATA/kitchen/a.jpg"], 6, "is a file"),
        (["places100", "DATA", "--coarse", "--same", "garage"], 2, "ice_skating=ice_skating_rink/outdoor"),
        (["places100", "DATA/kitchen"], 2, "class folders"),
        (["places100", "DATA", "--json", "no/such/folder/x.json"], 2, "no such folder"),
        (["places100", "DATA", "--json", "DATA"], 6, "no plain file"),
        (["places100", "DATA/../labels.csv"], 2, "one label for each photo"),
        (["places100", "DATA", "--size", "7"], 2, "32 to 1024"),
        (["places100", "DATA", "--report", "DATA/kitchen/a.jpg"], 2, "is a file"),
        (["places100", "DATA", "--report", "DATA/../album"], 2, "did not write"),
    ],
)
def test_what_cannot_be_meant_gets_one_sentence_and_its_code(
    data: Path, arguments: list[str], code: int, told: str
) -> None:
    done = veduta(*(argument.replace("DATA", str(data)) for argument in arguments))
    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert done.stderr.startswith("veduta: ")
