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


def veduta(*arguments: object, at: Path, first: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command line in ``at``, after the Python code ``first``."""
    environment = os.environ | {"VEDUTA_HOME": str(at / "home"), "COLUMNS": "200"}
    command = [sys.executable, "-c", f"{first}\nfrom veduta.cli.main import run; run()", *map(str, arguments)]
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
    refused, _, looked_at = done.stderr.partition("worth a look:")
    assert refused.startswith("veduta train would refuse this set:")
    assert "'Trees ' and 'trees' differ by case or space alone" in refused
    assert "'Trees ' has 1 photo" in refused
    assert not looked_at
    with Image.open(tmp_path / "classes.png") as image:
        assert image.format == "PNG"


def test_inspect_tells_what_a_training_alone_would_refuse(photos: Path, tmp_path: Path) -> None:
    (photos / "Trees " / "0.jpg").unlink()
    (photos / "Trees ").rmdir()
    assert "refuse" not in veduta("dataset", "inspect", "photos", at=tmp_path).stderr
    (photos / "sea").rename(photos / "s\u0007a")
    done = veduta("dataset", "inspect", "photos", at=tmp_path)
    assert "veduta train would refuse this set:\n  " in done.stderr
    assert "no model can carry the class name" in done.stderr


def test_a_published_set_becomes_a_manifest_with_its_splits(tmp_path: Path) -> None:
    names = [f"bar/{index}.jpg" for index in range(5)]
    for name in names[:4]:
        (tmp_path / "indoor" / "Images" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "indoor" / "Images" / name).write_bytes(b"")
    (tmp_path / "indoor" / "TrainImages.txt").write_text("\n".join(names[:2]))
    (tmp_path / "indoor" / "TestImages.txt").write_text("\n".join([names[2], names[4]]))
    done = veduta("dataset", "import", "indoor", "--out", "set.csv", at=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        "indoor is laid out as indoor67: 5 photos of 1 label.",
        "train 2, test 1 photos",
        "3 of 5 photos are kept; dropped: split 1; missing 1.",
        "wrote set.csv",
    ]
    assert [entry.split for entry in read_manifest(tmp_path / "set.csv").kept] == ["train", "train", "test"]


def test_a_preview_shows_the_training_part(photos: Path, tmp_path: Path) -> None:
    assert veduta("dataset", "split", "photos", "--out", "set.csv", at=tmp_path).returncode == 0
    done = veduta("dataset", "preview", "set.csv", "--out", "seen.png", "--photos", 2, "--size", 64, at=tmp_path)
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "seen.png") as image:
        assert image.format == "PNG"
        all_changes = image.width
    few = ("--no-flip", "--shear", 0, "--crop", 1, "--photos", 2, "--size", 64)
    assert veduta("dataset", "preview", "set.csv", "--out", "seen.png", *few, at=tmp_path).returncode == 0
    with Image.open(tmp_path / "seen.png") as image:
        assert all_changes - image.width == 3 * (64 + 12)


def test_a_set_of_copies_alone_is_told_when_it_is_cleaned(photos: Path, tmp_path: Path) -> None:
    pytest.importorskip("faiss", reason="the extra dataset is not installed")
    with Image.open(photos / "sea" / "0.jpg") as source:
        for folder in photos.iterdir():
            for path in folder.iterdir():
                source.resize((160 + 4 * int(path.stem), 120 + 3 * int(path.stem))).save(path)
    done = veduta("dataset", "clean", "photos", "--out", "clean.csv", at=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 of 28 photos are kept; dropped: copy 27." in done.stderr
    assert "veduta train would refuse this set:\n  the set has photos of 'trees' alone to learn from" in done.stderr


AT_THE_RENAME = "import pathlib; pathlib.Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)"
AMONG_THE_PHOTOS = """
from veduta.datasets import survey
look, left = survey.look_at, [9]
def look_at(photo):
    left[0] -= 1
    return look(photo) if left[0] else os.kill(os.getpid(), signal.SIGKILL)
survey.look_at = look_at
"""


@pytest.mark.parametrize("killed", [AMONG_THE_PHOTOS, AT_THE_RENAME], ids=["among the photos", "at the rename"])
def test_a_killed_cleaning_leaves_the_manifest_before_and_the_next_one_ends(
    photos: Path, tmp_path: Path, killed: str
) -> None:
    (tmp_path / "set.csv").write_text("path,label\nphotos/sea/0.jpg,sea\n")
    before = (tmp_path / "set.csv").read_bytes()
    options = ("dataset", "clean", "photos", "--out", "set.csv", "--no-copies", "--sheet", "dropped.jpg")
    assert veduta(*options, at=tmp_path, first=f"import os, signal\n{killed}").returncode == -9
    assert (tmp_path / "set.csv").read_bytes() == before
    assert not (tmp_path / "dropped.jpg").exists()
    assert veduta(*options, at=tmp_path).returncode == 0
    assert len(read_manifest(tmp_path / "set.csv")) == 28
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "set.csv", "dropped.jpg"}


def test_a_full_disk_leaves_the_manifest_before_and_is_one_sentence(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "set.csv").write_text("path,label\nphotos/sea/0.jpg,sea\n")
    before = (tmp_path / "set.csv").read_bytes()
    full = "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    full += "resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))"
    for options in (("clean", "photos", "--no-copies"), ("split", "photos"), ("select", "photos")):
        done = veduta("dataset", *options, "--out", "set.csv", at=tmp_path, first=full)
        assert done.returncode == 6
        assert "set.csv: can't be written" in done.stderr
        assert "Traceback" not in done.stderr
        assert (tmp_path / "set.csv").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "set.csv"}


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
        (("clean", "manylabels.csv", "--out", "set.csv", "--balance", "1"), "many labels can't be balanced"),
        (("import", "photos", "--out", "set.csv"), "no published set that is known"),
        (("import", "photos", "--out", "set.csv", "--layout", "imagenet"), "--layout imagenet is unknown; give auto"),
        (("import", "photos", "--out", "set.csv", "--layout", "sun397"), "holds no ClassName.txt"),
        (("import", "gone", "--out", "set.csv"), "gone can't be listed"),
        (("preview", "photos", "--out", "set.csv"), "end its name in .png"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else None,
)
def test_what_can_not_be_meant_is_one_sentence(
    photos: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "manylabels.csv").write_text("path,labels\na.jpg,sea|sky\n")
    done = veduta("dataset", *arguments, at=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "set.csv").exists()
