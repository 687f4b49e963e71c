"""``veduta dataset`` as a user types it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veduta.datasets.manifest import read_manifest


def veduta(*arguments: object, at: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"VEDUTA_HOME": str(at / "home"), "COLUMNS": "200"}
    command = [sys.executable, "-c", "from veduta.cli.main import run; run()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120, cwd=at)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for name, count in (("sea", 12), ("trees", 15), ("Trees ", 1)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(count):
            pixels = random.integers(0, 255, (9, 12, 3)).astype(np.uint8)
            image = Image.fromarray(pixels).resize((160, 120), Image.Resampling.NEAREST)
            image.save(tmp_path / "photos" / name / f"{index}.jpg")
    return tmp_path / "photos"


def test_inspect_tells_classes_and_what_is_wrong(photos: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra evaluate is not installed")
    done = veduta("dataset", "inspect", "photos", "--plot", "classes.png", at=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "28 photos of 3 classes" in done.stdout
    assert "'Trees ' and 'trees' differ by case, space or marks" in done.stderr
    assert "'Trees ' has 1 photo" in done.stderr
    with Image.open(tmp_path / "classes.png") as image:
        assert image.format == "PNG"


def test_a_set_goes_from_folders_to_a_split_step_by_step(photos: Path, tmp_path: Path) -> None:
    pytest.importorskip("faiss", reason="the extra dataset is not installed")
    (photos / "sea" / "copy.jpg").write_bytes((photos / "sea" / "3.jpg").read_bytes())
    (photos / "sea" / "broken.jpg").write_text("no photo")
    done = veduta("dataset", "clean", "photos", "--out", "clean.csv", "--sheet", "dropped.jpg", at=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "28 of 30 photos are kept; dropped: unreadable 1; copy 1." in done.stderr
    with Image.open(tmp_path / "dropped.jpg") as image:
        assert image.format == "JPEG"

    done = veduta("dataset", "select", "clean.csv", "--min-per-class", 5, "--out", "chosen.csv", at=tmp_path)
    assert "27 of 30 photos are kept" in done.stderr
    done = veduta("dataset", "split", "chosen.csv", "--shares", "60/20/20", "--out", "set.csv", at=tmp_path)
    assert done.returncode == 0, done.stderr
    found = read_manifest(tmp_path / "set.csv")
    assert found.counts() == {"Trees ": 0, "sea": 12, "trees": 15} or found.counts() == {
        "Trees": 0,
        "sea": 12,
        "trees": 15,
    }
    assert {entry.split for entry in found.kept} == {"train", "validation", "test"}
    assert len(list(photos.rglob("*.jpg"))) == 30


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("inspect", "gone"), "gone is not there"),
        (("clean", "photos", "--out", "set.txt"), "a .csv or a .parquet file"),
        (("clean", "photos", "--out", "photos"), "a .csv or a .parquet file"),
        (("select", "photos", "--out", "set.csv", "--drop", "gone.txt"), "gone.txt can't be read"),
        (("split", "photos", "--out", "set.csv", "--shares", "70/20"), "add up to 100"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else None,
)
def test_what_can_not_be_meant_is_one_sentence(
    photos: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = veduta("dataset", *arguments, at=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "set.csv").exists()
