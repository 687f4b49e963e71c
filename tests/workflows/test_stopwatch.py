from __future__ import annotations

import json
from pathlib import Path

import pytest

from veduta.workflows import stopwatch as room
from veduta.workflows.stopwatch import Stopwatch


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of both clocks, to be set."""
    now = [100.0]
    monkeypatch.setattr(room.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(room.time, "process_time", lambda: 2 * now[0])
    return now


def test_what_a_killed_run_took_is_added_to_the_next(tmp_path: Path, clock: list[float]) -> None:
    file = tmp_path / "time.json"
    first = Stopwatch.of(file, "here")
    clock[0] += 5
    first.tick()
    clock[0] += 1  # killed before the next time is kept
    second = Stopwatch.of(file, "here")
    clock[0] += 10
    second.stop()
    assert (second.seconds, second.processor_seconds, second.runs) == (15, 30, 2)
    third = Stopwatch.of(file, "elsewhere")
    assert (third.seconds, third.runs, third.finished, third.conditions) == (15, 2, True, "here")


def test_a_run_that_was_killed_at_once_counts_too(tmp_path: Path, clock: list[float]) -> None:
    Stopwatch.of(tmp_path / "time.json", "here").start()
    assert Stopwatch.of(tmp_path / "time.json", "here").runs == 2


def test_it_writes_now_and_then_alone(tmp_path: Path, clock: list[float]) -> None:
    watch = Stopwatch.of(tmp_path / "time.json", "here")
    clock[0] += 1
    watch.tick()
    assert not (tmp_path / "time.json").exists()
    clock[0] += 1
    watch.tick()
    assert json.loads((tmp_path / "time.json").read_text())["seconds"] == 2


def test_another_machine_is_told_beside_the_first(tmp_path: Path, clock: list[float]) -> None:
    for place in ("here", "there", "there"):
        watch = Stopwatch.of(tmp_path / "time.json", place)
        clock[0] += 3
        watch.tick()
    assert (watch.conditions, watch.runs) == ("here; then there", 3)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"seconds": "x"}', '{"seconds": NaN}', "\0" * 80])
def test_a_damaged_file_counts_as_none(tmp_path: Path, damage: str) -> None:
    (tmp_path / "time.json").write_text(damage)
    watch = Stopwatch.of(tmp_path / "time.json", "here")
    assert (watch.seconds, watch.runs, watch.finished) == (0, 1, False)
