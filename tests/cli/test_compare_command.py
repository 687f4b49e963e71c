"""``veduta compare`` as a user types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("sklearn", reason="the extra evaluate is not installed")
pytest.importorskip("matplotlib", reason="the extra evaluate is not installed")

from veduta.cli.compare import _grid
from veduta.errors import UsageError
from veduta.workflows.grid import Grid


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for name in ("kitchen", "church-outdoor"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(3):
            pixels = random.integers(0, 256, (90, 120, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.jpg")
    return tmp_path / "photos"


def veduta(*arguments: object, at: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"VEDUTA_CACHE": str(at / "cache"), "VEDUTA_HOME": str(at / "home"), "COLUMNS": "220"}
    command = [sys.executable, "-c", "from veduta.cli.main import run; run()", "compare", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=300)


def test_finished_models_are_compared_and_a_photo_that_fails_is_told(photos: Path, tmp_path: Path) -> None:
    (photos / "kitchen" / "0.jpg").write_bytes(b"<html>not found</html>")
    done = veduta("--model", "places100", "--test", photos, "--out", tmp_path / "out", "--threads", 1, at=tmp_path)
    assert done.returncode == 1, done.stderr
    for words in ("top-1", "Judged on 5 photos of photos", "places100", "5 of 6 photos count", "1 can't be read"):
        assert words in done.stdout, done.stdout
    assert "places100: top-1" in done.stderr
    assert "index.html" in done.stderr
    (row,) = json.loads((tmp_path / "out" / "comparison.json").read_text())["rows"]
    assert row["photos"] == 5
    assert set(row["figures"]) == {"top1", "top5"}


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--out", "OUT"], 2, "with --arch, or finished models with --model"),
        (["PHOTOS", "--out", "OUT", "--model", "places100", "--test", "PHOTOS"], 2, "give DATA to train on"),
        (["--out", "OUT", "--model", "places100"], 2, "with --test"),
        (["PHOTOS", "--out", "OUT", "--test", "PHOTOS", "--test", "OUT"], 2, "give --test once"),
        (["--out", "OUT", "--model", "places999", "--test", "PHOTOS"], 3, "places100"),
        (["--out", "OUT", "--model", "places100", "--test", "PHOTOS/kitchen"], 2, "class folders"),
        (["--out", "OUT", "--model", "places100", "--test", "PHOTOS", "--epochs", "3"], 2, "are not trained"),
        (["PHOTOS", "--out", "OUT", "--arch", "resnet18", "--recipe", "scrach"], 2, "scratch, transfer, finetune"),
    ],
)
def test_what_cannot_be_meant_gets_one_sentence_and_its_code(
    photos: Path, tmp_path: Path, arguments: list[str], code: int, told: str
) -> None:
    places = {"PHOTOS": str(photos), "OUT": str(tmp_path / "out")}
    done = veduta(*(_placed(argument, places) for argument in arguments), at=tmp_path)
    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert done.stderr.startswith("veduta: ")
    assert not (tmp_path / "out").exists()


def _placed(argument: str, places: dict[str, str]) -> str:
    for name, path in places.items():
        argument = argument.replace(name, path)
    return argument


def test_commas_and_equals_signs_make_a_grid() -> None:
    found = _grid(["a, b", "c"], "50,128", ["transfer", "c=scratch,finetune"], ["hub", "b=x=y.pth"])
    assert found == Grid(
        ("a", "b", "c"),
        (50, 128),
        ("transfer",),
        {"c": ("scratch", "finetune")},
        {"a": "hub", "b": "x=y.pth", "c": "hub"},
    )
    assert _grid(["a"], "64", [], []).recipes == ("transfer", "finetune")


@pytest.mark.parametrize(
    ("size", "weights", "said"),
    [
        ("5x", [], "--size 5x can't be meant"),
        ("64", ["x.pth"], "--weights x.pth can't"),
        ("64", ["a="], "--weights a="),
    ],
)
def test_a_grid_that_can_not_be_read_is_refused(size: str, weights: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        _grid(["a"], size, [], weights)
