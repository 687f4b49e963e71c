"""What the command line says when the world around it is broken: streams, names, places, files of other kinds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

RUN = [sys.executable, "-c", "from veduta.cli.main import run; run()"]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.new("RGB", (80, 60), (90, 120, 60)).save(tmp_path / "a.jpg")
    return tmp_path / "a.jpg"


def surroundings(at: Path, **more: str) -> dict[str, str]:
    return os.environ | {"VEDUTA_CACHE": str(at / "cache"), "VEDUTA_HOME": str(at / "home")} | more


def veduta(*arguments: object, at: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [*RUN, *map(os.fsencode, map(str, arguments))]
    env = surroundings(at, **environment)
    return subprocess.run(command, capture_output=True, check=False, cwd=at, env=env, timeout=120)


def test_a_terminal_without_the_letters_gets_escapes(photo: Path, tmp_path: Path) -> None:
    done = veduta("tag", photo, "--language", "zh", at=tmp_path, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert b"\\u" in done.stdout
    assert veduta("models", "info", "places100", at=tmp_path, PYTHONIOENCODING="ascii").returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["--out", "o\udcff\x1b[31m.xls"],
        ["--out", "o\udcff\x1b[31m.jsonl"],
        ["--precision", "\x1b[31m"],
        ["--model", "./\x1b[31m"],
        ["--ledger", "/proc/\x1b[31m"],
        ["--report", "r\udcff\x1b[31m"],
    ],
)
def test_no_message_steers_the_terminal(photo: Path, tmp_path: Path, arguments: list[str]) -> None:
    done = veduta("tag", photo, *arguments, at=tmp_path)
    assert b"\x1b" not in done.stderr
    assert b"31m" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("out", [[], ["--out", "-"]])
def test_a_full_disk_behind_standard_output_is_a_result_that_cannot_be_written(
    photo: Path, tmp_path: Path, out: list[str]
) -> None:
    with Path("/dev/full").open("wb") as full:
        command = [*RUN, "tag", str(photo), *out]
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, check=False, env=surroundings(tmp_path), timeout=120
        )
    assert done.returncode == 6, done.stderr
    assert done.stderr.startswith(b"veduta: ")
    assert b"Traceback" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="closes a stream as POSIX shells do")
def test_a_closed_standard_output_is_a_result_that_cannot_be_written(photo: Path, tmp_path: Path) -> None:
    command = f'exec "{sys.executable}" -c "from veduta.cli.main import run; run()" tag "{photo}" --out - >&-'
    done = subprocess.run(
        ["sh", "-c", command], stderr=subprocess.PIPE, check=False, env=surroundings(tmp_path), timeout=120
    )
    assert done.returncode == 6, done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="pipes as POSIX has them")
@pytest.mark.parametrize("arguments", [["tag", "PHOTO", "--out", "-"], ["tag", "PHOTO"], ["models", "list"]])
def test_a_reader_that_has_gone_is_no_fault(photo: Path, tmp_path: Path, arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        command = [*RUN, *(argument.replace("PHOTO", str(photo)) for argument in arguments)]
        done = subprocess.run(
            command, stdout=pipe, stderr=subprocess.PIPE, check=False, env=surroundings(tmp_path), timeout=120
        )
    assert done.returncode == 0, done.stderr
    assert b"Error" not in done.stderr


def test_an_unforeseen_fault_has_its_own_code(tmp_path: Path) -> None:
    made = "import veduta.cli.main as m; m.app.command('fault')(lambda: 1 / 0); m.run()"
    done = subprocess.run(
        [sys.executable, "-c", made, "fault"], capture_output=True, check=False, env=surroundings(tmp_path), timeout=60
    )
    assert done.returncode == 70
    assert b"ZeroDivisionError" in done.stderr
    assert b"veduta: " in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_before_the_job_has_begun_is_told_as_well(tmp_path: Path) -> None:
    wait = "lambda: (print('.', flush=True), time.sleep(60))"
    waiting = f"import time, veduta.cli.main as m; m.app.command('wait')({wait}); m.run()"
    process = subprocess.Popen(
        [sys.executable, "-c", waiting, "wait"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=surroundings(tmp_path),
    )
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert told.startswith(b"veduta: interrupted")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["tag", ""], 2),
        (["tag", "PHOTO", "--report", ""], 2),
        (["tag", "PHOTO", "--out", ""], 2),
        (["tag", "PHOTO", "--ledger", ""], 2),
        (["explain", "PHOTO", "--out", ""], 2),
    ],
)
def test_an_empty_variable_of_the_shell_is_no_path(
    photo: Path, tmp_path: Path, arguments: list[str], code: int
) -> None:
    before = sorted(tmp_path.iterdir())
    done = veduta(*(argument.replace("PHOTO", str(photo)) for argument in arguments), at=tmp_path)
    assert done.returncode == code, done.stderr
    assert b"empty" in done.stderr
    assert sorted(set(tmp_path.iterdir()) - {tmp_path / "cache"}) == before


def test_a_file_of_another_kind_is_not_taken_for_a_damaged_ledger(photo: Path, tmp_path: Path) -> None:
    content = photo.read_bytes()
    done = veduta("tag", photo, "--ledger", photo, at=tmp_path)
    assert done.returncode == 5
    assert b"a.jpg" in done.stderr
    assert photo.read_bytes() == content
    assert not photo.with_name("a.jpg.damaged-1").exists()


def test_sentences_are_not_broken_where_nobody_has_a_terminal(photo: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "a-folder-with-a-long-name-so-that-the-sentence-does-not-fit" / "ledger.sqlite3"
    ledger.parent.mkdir()
    ledger.touch()
    done = veduta("tag", photo, "--ledger", ledger, at=tmp_path, COLUMNS="80")
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == 2
    assert str(ledger).encode() in done.stderr


def test_help_shows_the_shape_of_an_embedding(tmp_path: Path) -> None:
    told = veduta("embed", "--help", at=tmp_path, COLUMNS="120").stdout
    assert b"float32 [photos, size]" in told


def test_explain_replaces_its_own_pictures_and_no_photo(photo: Path, tmp_path: Path) -> None:
    for _ in range(2):
        done = veduta("explain", photo, "--out", tmp_path, at=tmp_path)
        assert done.returncode == 0, done.stderr
    mine = tmp_path / "a-original.jpg"
    Image.new("RGB", (8, 8)).save(mine)
    content = mine.read_bytes()
    done = veduta("explain", photo, "--out", tmp_path, at=tmp_path)
    assert done.returncode == 6
    assert b"a-original.jpg" in done.stderr
    assert mine.read_bytes() == content


@pytest.mark.parametrize(("threads", "decoders"), [(None, 4), (1, 1), (1000, 4)])
def test_no_more_decoders_are_started_than_there_are_cores(
    monkeypatch: pytest.MonkeyPatch, threads: int | None, decoders: int
) -> None:
    from veduta.cli.options import decoders_for
    from veduta.models import threads as cores

    monkeypatch.setattr(cores, "available_threads", lambda: 4)
    assert decoders_for(threads) == decoders
