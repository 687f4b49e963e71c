"""The SUN Attribute database from its own files to a tagger: votes in .mat, DenseNet-201, sigmoids."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="the extra train is not installed")
scipy_io = pytest.importorskip("scipy.io", reason="the extra dataset is not installed")

from veduta.labels.attributes import sun_attributes

COUNT = 12


def veduta(*arguments: object, at: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "VEDUTA_HOME": str(at / "home"),
        "VEDUTA_CACHE": str(at / "cache"),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-c", "from veduta.cli.main import run; run()", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=900)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Twelve photos of two categories, green ones with trees and grey ones with asphalt; of 102 attributes, each by
    three workers. One worker alone is too few.
    """
    names = [label.name for label in sun_attributes()]
    root, random = tmp_path / "SUNAttributeDB", np.random.default_rng(0)
    votes, paths = np.zeros((COUNT, len(names))), []
    for place in range(COUNT):
        green = place % 2 == 0
        path = f"{'f/forest_path' if green else 's/street'}/sun_{place:016x}.jpg"
        (root / "images" / path).parent.mkdir(parents=True, exist_ok=True)
        colour = np.array((40, 160, 50) if green else (110, 110, 115))
        pixels = np.clip(random.normal(0, 20, (48, 64, 3)) + colour, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(root / "images" / path)
        paths.append(path)
        votes[place, names.index("trees" if green else "asphalt")] = 2 / 3
        votes[place, names.index("natural light")] = 1
        votes[place, names.index("fire")] = 1 / 3
    for file, cells in (("images", paths), ("attributes", names)):
        column = np.array(cells, dtype=object).reshape(-1, 1)
        scipy_io.savemat(root / f"{file}.mat", {file: column}, do_compression=True)
    scipy_io.savemat(root / "attributeLabels_continuous.mat", {"labels_cv": votes}, do_compression=True)
    return root


@pytest.mark.slow
def test_the_database_itself_trains_densenet_201_which_then_tags(database: Path, tmp_path: Path) -> None:
    manifest, run = tmp_path / "sun.csv", tmp_path / "run"
    veduta("dataset", "import", database, "--out", manifest, at=tmp_path)
    with manifest.open(encoding="utf-8", newline="") as file:
        labels = [row["labels"].split("|") for row in csv.DictReader(file)]
    assert labels[:2] == [["trees", "natural light"], ["asphalt", "natural light"]]
    options = ("--recipe", "scratch", "--weights", "none", "--size", 32, "--epochs", 1, "--batch-size", 4)
    trained = veduta(
        "train", manifest, "--arch", "densenet201", "--out", run, *options, "--threads", 1, "--precision", "float32",
        at=tmp_path,
    )  # fmt: skip
    assert "epoch 1" in trained.stderr
    described = json.loads((run / "bundle" / "model.json").read_text(encoding="utf-8"))
    assert described["architecture"] == "densenet201"
    (head,) = described["heads"]
    assert head["task"] == "multi_label"
    assert [label["id"] for label in head["labels"]] == ["asphalt", "natural light", "trees"]
    told = tmp_path / "told.jsonl"
    veduta("tag", database / "images", "--model", run / "bundle", "--out", told, "-q", at=tmp_path)
    rows = [json.loads(line) for line in told.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == COUNT
    for row in rows:
        scores = {score["id"]: score["probability"] for score in row["scores"]}
        assert set(scores) == {"asphalt", "natural light", "trees"}
        assert all(0 < probability < 1 for probability in scores.values())
        assert "environment" not in row
    # Sigmoids: those of a photo are not parts of one whole, as a softmax over its labels would be.
    assert any(abs(sum(score["probability"] for score in row["scores"]) - 1) > 0.05 for row in rows)
