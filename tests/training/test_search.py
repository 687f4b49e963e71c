"""A search for better settings, killed, damaged and out of luck."""

from __future__ import annotations

import csv
import errno
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from veduta.errors import OutputError, TrainingDiverged, TrainingError
from veduta.training import search as room
from veduta.training.execution import Execution
from veduta.training.networks import SceneNetwork
from veduta.training.opening import OpenRun, open_run
from veduta.training.photo_sets import PhotoSet
from veduta.training.progress import Progress
from veduta.training.schedules import Schedule, for_photos
from veduta.training.search import RECORD, TABLE, TRIALS, draw, found_before, rounds, search

TRIED = 4


@pytest.fixture(scope="module")
def photos(tiny: ModuleType) -> PhotoSet:
    found: PhotoSet = tiny.photos(48)
    return found


@pytest.fixture(scope="module")
def whole(tiny: ModuleType, photos: PhotoSet, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Schedule]:
    """The folder of a search that nothing stopped, and what it found."""
    folder = tmp_path_factory.mktemp("search") / "whole"
    return folder, _searched(tiny, photos, folder)


def _opened(tiny: ModuleType, photos: PhotoSet, run: Path, schedule: Schedule | None = None) -> OpenRun:
    schedule = schedule or replace(tiny.SCHEDULE, epochs=6)
    with open_run(tiny.network(), photos, photos, schedule, run, Execution(), begun_with={"size": 32}) as opened:
        return opened


def _searched(tiny: ModuleType, photos: PhotoSet, run: Path, progress: Progress | None = None) -> Schedule:
    run_of_it = _opened(tiny, photos, run)
    return search(run_of_it, tiny.network(), photos, photos, run_of_it.schedule, TRIED, progress or Progress())


def test_the_rounds_are_short_trainings_and_then_longer_ones() -> None:
    assert rounds(10) == (1, 3)
    assert rounds(60) == (6, 20)
    assert rounds(2) == (1,)
    assert rounds(1) == (1,)


def test_draws_follow_from_the_seed_and_the_number_and_lie_in_their_ranges() -> None:
    schedule = Schedule(optimizer="sgd", learning_rate=0.01, weight_decay=1e-4, momentum=0.9, batch_size=64, epochs=4)
    drawn = [draw(schedule, number, 1000) for number in range(200)]
    assert drawn[0] == for_photos(schedule, 1000)
    assert drawn == [draw(schedule, number, 1000) for number in range(200)]
    assert draw(replace(schedule, seed=1), 3, 1000) != drawn[3]
    for name, low, high in (("learning_rate", 0.001, 0.1), ("weight_decay", 1e-5, 1e-3), ("momentum", 0.7, 0.99)):
        values = [getattr(each, name) for each in drawn]
        assert low * 0.99 <= min(values)
        assert max(values) <= high * 1.01
        assert min(values) < low * 1.3, "the whole range is drawn from"
    rates = np.log([each.learning_rate for each in drawn])
    assert abs(rates.mean() - math.log(0.01)) < 0.2, "as often below what was given as above"
    assert {each.batch_size for each in drawn} == {16, 32, 64, 128}
    adam = [draw(Schedule(momentum=0.9), number, 1000) for number in range(9)]
    assert {each.momentum for each in adam} == {0.9}, "AdamW has no use for it"
    assert max(draw(schedule, number, 50).batch_size for number in range(20)) == 12, "few photos have small batches"


def test_the_best_settings_of_all_trials_are_chosen_and_all_are_told(
    tiny: ModuleType, photos: PhotoSet, tmp_path: Path
) -> None:
    network = tiny.network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    notes: list[str] = []
    run = _opened(tiny, photos, tmp_path)
    found = search(run, network, photos, photos, run.schedule, TRIED, Progress(note=notes.append))
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    record = json.loads((tmp_path / RECORD).read_text())
    assert [row["epochs"] for row in record["results"][:TRIED]] == [1] * TRIED
    last = [row for row in record["results"] if row["epochs"] == 2]
    assert 0 in {row["trial"] for row in last}, "what was given is compared with to the end"
    assert len(last) in (2, 3)
    best = min(last, key=lambda row: row["loss"])
    assert record["chosen"] == best["settings"]
    assert found == replace(run.schedule, **best["settings"])
    assert found.epochs == 6
    assert record["precision"] == "float32"
    assert found_before(tmp_path, run.schedule, TRIED) == found
    assert found_before(tmp_path, run.schedule, TRIED + 1) == run.schedule, "more trials may find others"
    assert found_before(tmp_path, run.schedule, 0) == run.schedule
    with (tmp_path / TABLE).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(record["results"])
    assert {"trial", "learning_rate", "batch_size", "calibrated_loss", "top1", "failed"} <= rows[0].keys()
    assert sum(note.startswith("trial ") for note in notes) == len(rows)
    kept = {path.name for path in (tmp_path / TRIALS / "trial-00-epochs-1").iterdir()}
    assert {"log.jsonl", "config.json"} <= kept
    assert not {"checkpoint.pt", "best.pt"} & kept, "finished trials need no weights"


@pytest.mark.parametrize("stop_at", [4, 50])
def test_a_stopped_search_goes_on_to_the_same_record(
    tiny: ModuleType, photos: PhotoSet, tmp_path: Path, stop_at: int, whole: tuple[Path, Schedule]
) -> None:
    folder, found = whole
    steps: list[int] = []

    def stop(step: int, _steps: int, _loss: float) -> None:
        steps.append(step)
        if len(steps) == stop_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _searched(tiny, photos, tmp_path / "cut", Progress(step=stop))
    assert found_before(tmp_path / "cut", tiny.SCHEDULE, TRIED) == tiny.SCHEDULE
    assert _searched(tiny, photos, tmp_path / "cut") == found
    for name in (RECORD, TABLE):
        assert (tmp_path / "cut" / name).read_bytes() == (folder / name).read_bytes()
    again: list[int] = []
    assert _searched(tiny, photos, tmp_path / "cut", Progress(step=lambda step, *_: again.append(step))) == found
    assert again == [], "a search that has ended is not made again"


PROGRAM = """
import sys
from pathlib import Path
import tiny_training as tiny
from dataclasses import replace
from veduta.training.execution import Execution
from veduta.training.opening import open_run
from veduta.training.progress import Progress
from veduta.training.search import search
photos = tiny.photos(48)
with open_run(tiny.network(), photos, photos, replace(tiny.SCHEDULE, epochs=6), Path(sys.argv[1]),
              Execution(accelerator="cpu"), begun_with={"size": 32}) as run:
    progress = Progress(step=lambda step, *_: print(step, flush=True))
    search(run, tiny.network(), photos, photos, run.schedule, 4, progress)
"""


def test_a_killed_search_goes_on(
    tiny: ModuleType, photos: PhotoSet, tmp_path: Path, whole: tuple[Path, Schedule]
) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "killed")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as running:
        assert running.stdout is not None
        for seen, _line in enumerate(running.stdout):
            if seen == 20:
                running.send_signal(signal.SIGKILL)
                break
    assert running.returncode == -signal.SIGKILL
    assert (tmp_path / "killed" / RECORD).is_file()
    folder, found = whole
    assert _searched(tiny, photos, tmp_path / "killed") == found
    assert (tmp_path / "killed" / RECORD).read_bytes() == (folder / RECORD).read_bytes()


def test_a_trial_whose_loss_diverges_has_failed_and_the_search_goes_on(
    tiny: ModuleType, photos: PhotoSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fail(monkeypatch, {1, 2})
    found = _searched(tiny, photos, tmp_path)
    results = json.loads((tmp_path / RECORD).read_text())["results"]
    failed = [row for row in results if row["failed"]]
    assert {row["trial"] for row in failed} == {1, 2}
    assert all(row["loss"] is None and row["failed"] == "the loss is nan at step 3." for row in failed)
    assert found.learning_rate not in {row["settings"]["learning_rate"] for row in failed}


def test_a_search_in_which_all_fail_says_so(
    tiny: ModuleType, photos: PhotoSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fail(monkeypatch, set(range(TRIED)))
    with pytest.raises(TrainingError, match=r"all trials failed; the first: the loss is nan at step 3\."):
        _searched(tiny, photos, tmp_path)


def _fail(monkeypatch: pytest.MonkeyPatch, trials: set[int]) -> None:
    trained = room.train_opened

    def failing(run: OpenRun, *given: object) -> SceneNetwork:
        if int(run.folder.path.name.split("-")[1]) in trials:
            raise TrainingDiverged("the loss is nan at step 3; start again.")
        return trained(run, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(room, "train_opened", failing)


def test_trials_of_another_training_are_refused(
    tiny: ModuleType, photos: PhotoSet, tmp_path: Path, whole: tuple[Path, Schedule]
) -> None:
    shutil.copytree(whole[0], tmp_path, dirs_exist_ok=True)
    other = _opened(tiny, photos, tmp_path, tiny.SCHEDULE)
    with pytest.raises(TrainingError, match="begun with epochs 6, not 2"):
        search(other, tiny.network(), photos, photos, other.schedule, TRIED, Progress())
    some = photos.subset(np.arange(48) % 2 == 0)
    with pytest.raises(TrainingError, match=r"other (photos|labels)"):
        _searched(tiny, some, tmp_path)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"version": 1}', "\x00\x00"])
def test_a_damaged_record_is_refused_and_named(tiny: ModuleType, photos: PhotoSet, tmp_path: Path, damage: str) -> None:
    (tmp_path / RECORD).write_text(damage)
    with pytest.raises(TrainingError, match=r"search\.json is no whole record of a search; delete it"):
        found_before(tmp_path, tiny.SCHEDULE, TRIED)
    with pytest.raises(TrainingError, match=r"search\.json is no whole record of a search; delete it"):
        _searched(tiny, photos, tmp_path)


def test_more_trials_can_be_asked_for_later(
    tiny: ModuleType, photos: PhotoSet, tmp_path: Path, whole: tuple[Path, Schedule]
) -> None:
    shutil.copytree(whole[0], tmp_path, dirs_exist_ok=True)
    first = json.loads((tmp_path / RECORD).read_text())["results"]
    run = _opened(tiny, photos, tmp_path)
    search(run, tiny.network(), photos, photos, run.schedule, TRIED + 2, Progress())
    results = json.loads((tmp_path / RECORD).read_text())["results"]
    assert results[: len(first)] == first
    assert {row["trial"] for row in results} == set(range(TRIED + 2))


def test_a_full_disk_ends_it_with_a_sentence_and_it_goes_on_from_there(
    tiny: ModuleType,
    photos: PhotoSet,
    tmp_path: Path,
    whole: tuple[Path, Schedule],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[str] = []
    fsync = os.fsync

    def full(handle: int) -> None:
        written.append("")
        if len(written) > 40:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(
            OutputError, match=r"can't be written \(No space left on device\).*start the same run again"
        ):
            _searched(tiny, photos, tmp_path / "full")
    assert _searched(tiny, photos, tmp_path / "full") == whole[1]
