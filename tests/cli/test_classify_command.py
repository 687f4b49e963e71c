"""``veduta classify`` and ``veduta dataset forget`` as a user types them, in processes of their own, on folders."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("cleanlab", reason="the extra classify is not installed")

COLOURS = {"red": (200, 60, 60), "blue": (60, 60, 200)}
Veduta = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def veduta(tmp_path: Path) -> Veduta:
    """Runs the command line in ``tmp_path`` with its caches there."""
    environment = os.environ | {
        "VEDUTA_CACHE": str(tmp_path / "cache"),
        "VEDUTA_HOME": str(tmp_path / "home"),
        "COLUMNS": "200",
    }

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from veduta.cli.main import run; run()", *map(str, arguments)]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, timeout=300, cwd=tmp_path
        )

    return run


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """``found/<colour>`` with photos to learn from, and ``mine`` with some to sort."""
    for colour in COLOURS:
        (tmp_path / "found" / colour).mkdir(parents=True)
        for number in range(14):
            _photo(colour, number).save(tmp_path / "found" / colour / f"{number}.jpg")
    (tmp_path / "mine").mkdir()
    for colour in COLOURS:
        _photo(colour, 900).save(tmp_path / "mine" / f"{colour}.jpg")
    return tmp_path


def _photo(colour: str, number: int) -> Image.Image:
    draw = np.random.default_rng((number, *colour.encode()))
    coarse = np.clip(draw.normal(0, 40, (9, 12, 3)) + COLOURS[colour], 0, 255).astype(np.uint8)
    return Image.fromarray(coarse).resize((240, 180), Image.Resampling.BICUBIC)


def test_names_and_photos_are_all_that_it_takes_and_the_second_time_the_model_is_there(
    veduta: Veduta, photos: Path
) -> None:
    options = ("-p", "mine", "-t", "0.5", "--out", "results", "--provider", "found", "--arch", "none")
    done = veduta("classify", "-c", "red, blue", *options)
    assert done.returncode == 0, done.stderr
    assert "no model of these classes is there" in done.stderr
    assert "2 photos" in done.stderr
    with (photos / "results" / "results.csv").open(encoding="utf-8", newline="") as file:
        assert [(Path(row["path"]).name, row["class"]) for row in csv.DictReader(file)] == [
            ("blue.jpg", "blue"),
            ("red.jpg", "red"),
        ]
    assert (photos / "results" / "red" / "red.jpg").is_symlink()
    assert (photos / "results" / "red" / "red.heatmap.jpg").is_file()
    assert (photos / "results" / "red" / "red.segmentation.jpg").is_file()
    assert (photos / "results" / "report" / "index.html").is_file()
    again = veduta("classify", "--classes", "Blues,RED", "--prediction_path", "mine", "--threshold", "0.5", "--copy")
    assert again.returncode == 0, again.stderr
    assert "there is a model of these classes: blue-red" in again.stderr
    assert not (photos / "results" / "red" / "red.jpg").is_symlink()


def test_results_train_a_student_and_compare_sets_it_beside_its_teacher(veduta: Veduta, photos: Path) -> None:
    sorting = ("-p", "found", "-t", "0.5", "--no-pictures")
    made = veduta("classify", "-c", "red,blue", *sorting, "--provider", "found", "--arch", "none")
    assert made.returncode == 0, made.stderr
    student = veduta("train", "results", "--out", "student", "--recipe", "transfer", "--views", "0")
    assert student.returncode == 0, student.stderr
    models = ("--model", "blue-red", "--model", "student/bundle")
    compared = veduta("compare", *models, "--test", "found", "--out", "compared", "--quiet")
    assert compared.returncode == 0, compared.stderr
    assert "blue-red" in compared.stdout


def test_a_file_of_the_users_own_can_be_forgotten_too(veduta: Veduta, photos: Path) -> None:
    veduta("classify", "-c", "red,blue", "--provider", "found", "--arch", "none")
    done = veduta("dataset", "forget", photos / "found" / "red" / "3.jpg")
    assert done.returncode == 0, done.stderr
    assert "removed 1 photo; none will be fetched again" in done.stderr
    assert "the model blue-red learnt from them" in done.stderr
    assert "learnt from 1 photo to be forgotten" in " ".join(veduta("models", "list").stdout.split())
    assert (photos / "found" / "red" / "3.jpg").exists(), "only what was fetched goes"


def test_ctrl_c_is_told_once_and_the_same_command_goes_on(veduta: Veduta, photos: Path) -> None:
    options = ("classify", "-c", "red,blue", "--provider", "found", "--arch", "none")
    # A job that a shell started in the background ignores Ctrl-C, and so would the program.
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    command = [sys.executable, "-c", f"{heard}from veduta.cli.main import run; run()", *options]
    environment = os.environ | {"VEDUTA_CACHE": str(photos / "cache"), "VEDUTA_HOME": str(photos / "home")}
    with subprocess.Popen(command, cwd=photos, env=environment, stderr=subprocess.PIPE, text=True) as program:
        assert program.stderr is not None
        for line in program.stderr:
            if line.startswith("looking at the photos"):
                program.send_signal(signal.SIGINT)
                break
        rest = program.stderr.read()
    assert program.returncode == 130, rest
    assert rest.count("interrupted. What was done is kept") == 1
    done = veduta(*options)
    assert done.returncode == 0, done.stderr
    assert "finding photos" not in done.stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("-c", "red"), "fewer than two"),
        (("-c", "red,Red"), "are the same"),
        (("-c", "red,../x"), "can't be a folder's name"),
        (("-c", "red,blue", "-t", "1.5"), "--threshold 1.5 is no probability"),
        (("-c", "red,blue", "-t", "nan"), "is no probability"),
        (("-c", "red,blue", "--precision", "2"), "--precision 2 is no probability"),
        (("-c", "red,blue", "-t", "0.9", "--precision", "0.9"), "give one of them"),
        (("-c", "red,blue", "-p", "nowhere/*.jpg"), "Nothing matches"),
        (("-c", "red,blue", "-p", "empty"), "holds no photo"),
        (("-c", "red,blue", "--provider", "nobody"), "--provider nobody is unknown"),
        (("-c", "red,blue", "--provider", "flickr"), "flickr needs a key"),
        (("-c", "red,blue", "--licence", "mine"), "mine"),
        (("-c", "red,blue", "--query", "green=grass"), "'green', which is no class"),
        (("-c", "red,blue", "--query", "red"), "can't be meant"),
        (("-c", "red,blue", "--rate", "0", "--provider", "found"), "--rate 0 can't be meant"),
        (("-c", "red,blue", "--weights", "hub", "--arch", "none"), "--weights are those of a network"),
        (("-c", "red,green", "--provider", "found", "--arch", "none"), "too few photos are found: 0 of green"),
        (("-c", "red,blue", "-p", "mine", "--out", "found"), "is no result; name a new folder"),
        (("-c", "red,blue", "--balance", "2", "--any-balance"), "can't both be meant"),
    ],
)
def test_what_can_not_be_meant_gets_a_sentence_and_the_code_two(
    veduta: Veduta, photos: Path, options: tuple[str, ...], sentence: str
) -> None:
    (photos / "empty").mkdir()
    done = veduta("classify", *options)
    assert sentence in " ".join(done.stderr.split()), done.stderr
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="this user may read everything")
def test_a_folder_that_may_not_be_read_is_told_before_anything_is_fetched(veduta: Veduta, photos: Path) -> None:
    (photos / "mine").chmod(0)
    done = veduta("classify", "-c", "red,blue", "-p", "mine", "--provider", "found", "--arch", "none")
    (photos / "mine").chmod(0o755)
    assert done.returncode == 2
    assert "can't be read" in done.stderr
    assert not (photos / "home").exists()


@pytest.mark.parametrize("package", ["sklearn", "onnx", "cleanlab", "faiss"])
def test_without_its_extra_it_says_what_to_install_before_anything_is_fetched(photos: Path, package: str) -> None:
    program = f"""
import sys
from importlib import util
found = util.find_spec
util.find_spec = lambda name, *rest: None if name == {package!r} else found(name, *rest)
sys.modules[{package!r}] = None
from veduta.cli.main import run
run()
"""
    options = ("classify", "-c", "red,blue", "--provider", "found", "--arch", "none")
    done = subprocess.run(
        [sys.executable, "-c", program, *options],
        capture_output=True,
        text=True,
        check=False,
        cwd=photos,
        env=os.environ | {"VEDUTA_HOME": str(photos / "home")},
    )
    assert done.returncode == 7, done.stderr
    assert "pip install" in done.stderr
    assert package.removesuffix("learn")[:5] in done.stderr
    assert not (photos / "home").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="the system limits no file's size")
@pytest.mark.parametrize(("kilobytes", "least"), [(2, 0), (150, 1), (900, 28)])
def test_a_full_disk_has_its_sentence_and_what_was_fetched_stays(photos: Path, kilobytes: int, least: int) -> None:
    program = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({kilobytes} * 1024, {kilobytes} * 1024))
from veduta.cli.main import run
run()
"""
    options = ("classify", "-c", "red,blue", "-p", "mine", "--provider", "found", "--arch", "none")
    done = subprocess.run(
        [sys.executable, "-c", program, *options],
        capture_output=True,
        text=True,
        check=False,
        cwd=photos,
        env=os.environ | {"VEDUTA_HOME": str(photos / "home"), "VEDUTA_CACHE": str(photos / "cache")},
        timeout=300,
    )
    assert done.returncode in (5, 6), done.stderr
    assert "Traceback" not in done.stderr
    fetched = [file for file in (photos / "home").glob("collections/*/photos/*/*.jpg") if file.stat().st_size]
    assert len(fetched) >= least
