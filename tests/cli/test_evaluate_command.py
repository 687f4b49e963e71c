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

from veduta.cli.figures import print_table_evaluation
from veduta.evaluation.conditions import Conditions
from veduta.evaluation.evaluate_table import TableEvaluation
from veduta.evaluation.label_figures import judge_labels
from veduta.records import Label

pytest.importorskip("sklearn", reason="the extra evaluate is not installed")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    (tmp_path / "thumbed" / "thumbs").mkdir(parents=True)
    (tmp_path / "labels.csv").write_text("file,kitchen\nset/kitchen/a.jpg,1\n")
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


def test_figures_come_as_a_table_a_file_and_a_page(data: Path, tmp_path: Path) -> None:
    done = veduta("places100", data, "--json", tmp_path / "figures.json", "--report", tmp_path / "page")
    assert done.returncode == 0, done.stderr
    for words in ("top-1 accuracy", "95 % interval", "perfectly calibrated", "garage"):
        assert words in done.stdout
    figures = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert figures["model"] == "places100"
    assert figures["photos"] == 4
    assert figures["folders_left_out"] == ["garage"]
    assert {each["name"] for each in figures["figures"]} >= {"top1", "top5", "expected_calibration_error"}
    assert (tmp_path / "page" / "index.html").is_file()


def test_figures_are_told_and_written_before_a_report_that_fails(data: Path, tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "index.html").write_text('<meta name="generator" content="Veduta mistakes">')
    (tmp_path / "report" / "thumbs").write_text("a file where a folder must be")
    done = veduta("places100", data, "--json", tmp_path / "figures.json", "--report", tmp_path / "report")
    assert done.returncode == 6, done.stderr
    assert "top-1 accuracy" in done.stdout
    assert json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))["photos"] == 4
    assert f"wrote {tmp_path / 'figures.json'}" in done.stderr.replace("\n", "")
    assert "thumbs" in done.stderr


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
    print_table_evaluation(
        TableEvaluation(
            Conditions("mine", "0123", 96, 128, calibrated=False),
            judge_labels(labels, said, present, "album"),
            left_out=("fog",),
            failures=(),
        )
    )
    told = capsys.readouterr().out
    for words in ("mine at 96 pixels on album", "mean average precision", "100.0%", "[red]trees"):
        assert words in told
    for words in ("no photo has them: desert", "their name: fog", "not calibrated"):
        assert words in told


def test_json_on_standard_output_is_nothing_else_and_a_broken_photo_is_told(data: Path) -> None:
    (data / "kitchen" / "c.jpg").write_bytes(b"<html>not found</html>")
    done = veduta("places100", data, "--coarse", "--same", "garage=storage", "--json", "-")
    assert done.returncode == 1
    figures = json.loads(done.stdout)
    assert [each["error"] for each in figures["failures"]] == ["UnsupportedFormat"]
    assert "c.jpg" in done.stderr
    assert figures["absent_from_model"] == {"garage": "storage"}
    assert {each["folder"] for each in figures["folders"]} == {"kitchen", "church-outdoor"}


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["places999", "DATA"], 3, "places100"),
        (["places100", "none"], 2, "none"),
        (["places100", "DATA", "--same", "garage=storage"], 2, "--coarse"),
        (["places100", "DATA", "--coarse", "--same", "garage"], 2, "ice_skating=ice_rink"),
        (["places100", "DATA/kitchen"], 2, "class folders"),
        (["places100", "DATA", "--json", "no/such/folder/x.json"], 2, "no such folder"),
        (["places100", "DATA", "--json", "DATA"], 6, "no plain file"),
        (["places100", "DATA/../labels.csv"], 2, "one label for each photo"),
        (["places100", "DATA/../labels.csv", "--report", "page"], 2, "--report"),
        (["places100", "DATA", "--size", "7"], 2, "32 to 1024"),
        (["places100", "DATA", "--report", "DATA/kitchen/a.jpg"], 2, "is a file"),
        (["places100", "DATA", "--report", "DATA/../thumbed"], 2, "did not write"),
    ],
)
def test_what_cannot_be_meant_gets_one_sentence_and_its_code(
    data: Path, arguments: list[str], code: int, told: str
) -> None:
    done = veduta(*(argument.replace("DATA", str(data)) for argument in arguments))
    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert done.stderr.startswith("veduta: ")
