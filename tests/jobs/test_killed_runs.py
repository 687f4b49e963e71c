"""Killed at any moment and started again, a job ends with the file that an uninterrupted one writes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest


class Job:
    """A job in a process of its own, which can be killed."""

    def __init__(self, place: Path, photos: Path, pause: float) -> None:
        place.mkdir()
        self.out = place / "out.jsonl"
        self.ledger = place / "ledger.sqlite3"
        program = Path(__file__).with_name("made_tagger.py")
        self.command = [sys.executable, program, photos, self.out, self.ledger, str(pause)]

    def finish(self) -> tuple[list[int], str]:
        """Run to the end; the counts (total, answered, failed, from ledger, asked) and what was recovered."""
        found = subprocess.run(self.command, capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stderr
        counts, recovered = found.stdout.splitlines()
        return [int(count) for count in counts.split()], recovered

    def kill(self, path: Path, size: int, seconds: float) -> bool:
        """Run until ``path`` has more than ``size`` bytes, and so long again; then kill. False if it ended before."""
        process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and not (path.exists() and path.stat().st_size > size):
            time.sleep(0.005)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return True
        return False


def _killed_and_resumed(made: ModuleType, place: Path, photos: int, pause: float, longest: float) -> None:
    made.make_photos(place / "photos", photos)
    for number, name in enumerate(("notes.jpg", "empty.jpg", "=1+1.jpg")):
        (place / "photos" / name).write_bytes(b"no photo" * number)
    whole = Job(place / "whole", place / "photos", 0.0)
    counts, _ = whole.finish()
    assert counts == [photos + 3, photos, 3, 0, photos]
    job = Job(place / "killed", place / "photos", pause)
    chance = random.Random(photos)
    kills = 0
    assert job.kill(Path(f"{job.ledger}-wal"), 5_000, 0.0)
    for _ in range(9):
        kills += job.kill(job.out.with_name(".out.jsonl.partial"), -1, chance.uniform(0.0, longest))
        assert not job.out.exists() or job.out.read_bytes() == whole.out.read_bytes()
    counts, recovered = job.finish()
    print(f"{kills + 1} kills; the last run took {counts[3]} of {counts[0]} from the ledger")
    assert recovered == ""
    assert counts[3] > 0
    assert job.out.read_bytes() == whole.out.read_bytes()
    assert not list(job.out.parent.glob(".*"))


def test_ten_kills_change_nothing(made: ModuleType, tmp_path: Path) -> None:
    _killed_and_resumed(made, tmp_path, photos=150, pause=0.25, longest=1.2)


@pytest.mark.slow
def test_ten_kills_of_two_thousand_photos_change_nothing(made: ModuleType, tmp_path: Path) -> None:
    _killed_and_resumed(made, tmp_path, photos=2000, pause=0.3, longest=5.0)


@pytest.mark.parametrize("harm", ["cut", "zeroed"])
def test_a_run_over_a_damaged_ledger_says_so_and_ends_with_the_same_file(
    made: ModuleType, tmp_path: Path, harm: str
) -> None:
    made.make_photos(tmp_path / "photos", 60)
    job = Job(tmp_path / "job", tmp_path / "photos", 0.0)
    job.finish()
    whole = job.out.read_bytes()
    job.out.unlink()
    content = job.ledger.read_bytes()
    kept = len(content) * 2 // 3
    job.ledger.write_bytes(content[:kept] + (bytes(len(content) - kept) if harm == "zeroed" else b""))
    counts, recovered = job.finish()
    assert "was damaged" in recovered
    assert counts[1] == 60
    assert job.out.read_bytes() == whole
    assert Path(f"{job.ledger}.damaged-1").exists()
    assert job.finish()[1] == ""


def test_a_run_over_a_damaged_log_ends_with_the_same_file(made: ModuleType, tmp_path: Path) -> None:
    made.make_photos(tmp_path / "photos", 60)
    whole = Job(tmp_path / "whole", tmp_path / "photos", 0.0)
    whole.finish()
    job = Job(tmp_path / "killed", tmp_path / "photos", 1.0)
    log = Path(f"{job.ledger}-wal")
    assert job.kill(log, 10_000, 0.0)
    content = log.read_bytes()
    log.write_bytes(content[: len(content) * 2 // 3] + bytes(500))
    job.finish()
    assert job.out.read_bytes() == whole.out.read_bytes()


def test_ctrl_c_ends_in_order_and_the_next_run_goes_on(made: ModuleType, tmp_path: Path) -> None:
    made.make_photos(tmp_path / "photos", 60)
    whole = Job(tmp_path / "whole", tmp_path / "photos", 0.0)
    whole.finish()
    job = Job(tmp_path / "stopped", tmp_path / "photos", 0.4)
    # A terminal sends the signal to all processes of the job, those that decode included.
    process = subprocess.Popen(
        job.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while process.poll() is None and not Path(f"{job.ledger}-wal").exists():
        time.sleep(0.01)
    time.sleep(0.9)
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert errors == ""
    total, answered, *_ = (int(count) for count in output.split()[:5])
    assert total == 60
    assert answered < 60
    assert [path.name for path in job.out.parent.iterdir()] == ["ledger.sqlite3"]
    counts, _ = job.finish()
    assert counts[3] == answered
    assert job.out.read_bytes() == whole.out.read_bytes()
