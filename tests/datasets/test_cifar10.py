from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veduta.datasets.cifar10 import RECORD, unpack_cifar10
from veduta.datasets.published import find_layout, read_published
from veduta.errors import UsageError

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
BATCHES = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Six files of four pictures each."""
    random = np.random.default_rng(0)
    (tmp_path / "cifar-10-batches-bin").mkdir()
    for name in BATCHES:
        records = random.integers(0, 256, (4, RECORD), np.uint8)
        records[:, 0] = random.integers(0, 10, 4)
        records.tofile(tmp_path / "cifar-10-batches-bin" / name)
    (tmp_path / "cifar-10-batches-bin" / "batches.meta.txt").write_text("\n".join(NAMES) + "\n\n")
    return tmp_path / "cifar-10-batches-bin"


def test_each_record_is_a_picture_of_its_class_in_its_split(root: Path, tmp_path: Path) -> None:
    assert find_layout(root) == "cifar10"
    assert find_layout(tmp_path) == "cifar10", "in a folder of it, too"
    told: list[tuple[int, int, int]] = []
    found = unpack_cifar10(root, tmp_path / "png", progress=lambda *counts: told.append(counts))
    assert [entry.split for entry in found.entries] == ["train"] * 20 + ["test"] * 4
    assert told[-1] == (24, 0, 24)
    for place, entry in enumerate(found.entries):
        record = np.fromfile(root / BATCHES[place // 4], np.uint8).reshape(-1, RECORD)[place % 4]
        assert entry.labels == (NAMES[record[0]],)
        with Image.open(entry.path) as image:
            pixels = np.asarray(image)
        for channel in range(3):
            assert (pixels[..., channel].ravel() == record[1 + 1024 * channel :][:1024]).all()


def test_pictures_that_are_there_stay_and_damaged_ones_are_written_again(root: Path, tmp_path: Path) -> None:
    paths = [Path(entry.path) for entry in unpack_cifar10(root, tmp_path / "png").entries]
    content = [path.read_bytes() for path in paths]
    paths[1].write_bytes(content[1][:100])
    paths[2].write_bytes(bytes(len(content[2])))
    paths[3].unlink()
    before = [path.stat().st_ino for path in paths[4:]]
    unpack_cifar10(root, tmp_path / "png")
    assert [path.read_bytes() for path in paths] == content
    assert [path.stat().st_ino for path in paths[4:]] == before


KILLED = """
import os, signal, sys
from pathlib import Path
from veduta.datasets import cifar10
written = cifar10.write_whole
left = 7
def write(path, content, **how):
    global left
    left -= 1
    if not left:
        path.with_name(f".{path.name}.part").write_bytes(content[:50])
        os.kill(os.getpid(), signal.SIGKILL)
    written(path, content, **how)
cifar10.write_whole = write
cifar10.unpack_cifar10(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_a_killed_unpacking_goes_on_and_ends_as_one_that_was_not(root: Path, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, root, tmp_path / "png"], check=False, timeout=120)
    assert done.returncode == -9
    first = {path: path.stat().st_ino for path in (tmp_path / "png").rglob("*.png") if path.name[0] != "."}
    assert len(first) == 6
    unpack_cifar10(root, tmp_path / "png")
    unpack_cifar10(root, tmp_path / "whole")
    files = {path.relative_to(tmp_path / "png"): path.read_bytes() for path in (tmp_path / "png").rglob("*.*")}
    assert files == {
        path.relative_to(tmp_path / "whole"): path.read_bytes() for path in (tmp_path / "whole").rglob("*.*")
    }
    assert all(path.stat().st_ino == inode for path, inode in first.items())


FULL = """
import resource, signal, sys
from pathlib import Path
from veduta.datasets.cifar10 import unpack_cifar10
from veduta.errors import OutputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    unpack_cifar10(Path(sys.argv[1]), Path(sys.argv[2]))
except OutputError as error:
    print(error)
"""


def test_a_full_disk_is_one_sentence_and_leaves_no_part_of_a_picture(root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL, root, tmp_path / "png"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert "can't be written" in done.stdout, done.stderr
    assert not [path for path in (tmp_path / "png").rglob("*") if path.is_file()]


def test_the_pickled_version_is_refused_and_the_binary_one_named(tmp_path: Path) -> None:
    for name in ("data_batch_1", "batches.meta"):
        (tmp_path / name).write_bytes(pickle.dumps({"data": 1}))
    assert find_layout(tmp_path) == "cifar10"
    with pytest.raises(UsageError, match=r"Python pickles.*cifar-10-binary\.tar\.gz"):
        read_published(tmp_path, "cifar10", photos=tmp_path / "png")
    with pytest.raises(UsageError, match="name a folder to unpack its pictures to with --photos"):
        read_published(tmp_path, "cifar10")


def damage(root: Path, how: str) -> None:
    last = root / "test_batch.bin"
    content = bytearray(last.read_bytes())
    match how:
        case "cut off":
            last.write_bytes(content[:-1])
        case "empty":
            last.write_bytes(b"")
        case "class":
            content[2 * RECORD] = 10
            last.write_bytes(content)
        case "gone":
            last.unlink()
        case "nine":
            (root / "batches.meta.txt").write_text("\n".join(NAMES[:9]))
        case "outside":
            (root / "batches.meta.txt").write_text("\n".join(["../../home", *NAMES[1:]]))
        case "hidden":
            (root / "batches.meta.txt").write_text("\n".join(["..", *NAMES[1:]]))


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("cut off", r"test_batch\.bin has 12,291 bytes, expected 3,073 for each picture"),
        ("empty", "has 0 bytes"),
        ("class", r"picture 3 of .*test_batch\.bin has the class 10, expected 0 to 9"),
        ("gone", r"holds no test_batch\.bin"),
        ("nine", r"batches\.meta\.txt must name 10 classes as folders can be called"),
        ("outside", "as folders can be called"),
        ("hidden", "as folders can be called"),
    ],
)
def test_what_can_not_be_meant_is_refused_before_a_picture_is_written(
    root: Path, tmp_path: Path, how: str, said: str
) -> None:
    damage(root, how)
    with pytest.raises(UsageError, match=said):
        unpack_cifar10(root, tmp_path / "png")
    assert not (tmp_path / "png").exists()
