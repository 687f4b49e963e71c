from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from veduta.datasets.folders import LabelledPhotos
from veduta.errors import TrainingError
from veduta.training.loop import EpochResult, Schedule, predict_logits, train
from veduta.training.networks import SceneNetwork, build

SCHEDULE = Schedule(side=32, epochs=2, batch_size=4, learning_rate=0.001, warm_up_steps=2, average_decay=0.5)


@pytest.fixture(scope="module")
def photos() -> LabelledPhotos:
    random = np.random.default_rng(0)
    targets = np.repeat(np.arange(2), 6)
    pixels = random.integers(0, 80, (12, 32, 32, 3)).astype(np.uint8)
    pixels[targets == 1] += 150
    return LabelledPhotos(pixels, targets, tuple(map(str, range(12))))


def _network() -> SceneNetwork:
    torch.manual_seed(5)
    return build("mobilenet_v2", 2)


def _same(one: SceneNetwork, other: SceneNetwork) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return all(torch.equal(mine[key], theirs[key]) for key in mine)


def test_a_killed_run_goes_on_to_the_same_weights(photos: LabelledPhotos, tmp_path: Path) -> None:
    whole = train(_network(), photos, photos, SCHEDULE, tmp_path / "whole")

    class Killed(Exception):
        pass

    def kill_in_the_second_epoch(step: int, _steps: int, _loss: float) -> None:
        if step == 5:
            raise Killed

    with pytest.raises(Killed):
        train(_network(), photos, photos, SCHEDULE, tmp_path / "killed", on_step=kill_in_the_second_epoch)
    epochs: list[EpochResult] = []
    resumed = train(_network(), photos, photos, SCHEDULE, tmp_path / "killed", on_epoch=epochs.append)
    assert [result.epoch for result in epochs] == [2]
    assert _same(whole, resumed)


def test_a_finished_run_returns_its_weights_without_training(photos: LabelledPhotos, tmp_path: Path) -> None:
    first = train(_network(), photos, photos, SCHEDULE, tmp_path)
    steps: list[int] = []
    again = train(_network(), photos, photos, SCHEDULE, tmp_path, on_step=lambda step, *_: steps.append(step))
    assert steps == []
    assert _same(first, again)


def test_the_runs_folder_tells_what_was_done(photos: LabelledPhotos, tmp_path: Path) -> None:
    train(_network(), photos, photos, SCHEDULE, tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["batch_size"] == 4
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [entry["epoch"] for entry in log] == [1, 2]
    assert {"loss", "top1", "top5"} <= log[0].keys()


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_step(photos: LabelledPhotos, tmp_path: Path) -> None:
    network = _network()
    with torch.no_grad():
        network.classifier.bias[0] = float("nan")
    with pytest.raises(TrainingError, match="at step 0"):
        train(network, photos, photos, replace(SCHEDULE, learning_rate=1e9), tmp_path)
    assert not (tmp_path / "checkpoint.pt").exists()


def test_too_few_photos_for_one_batch_are_refused(photos: LabelledPhotos, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="batch"):
        train(_network(), photos, photos, replace(SCHEDULE, batch_size=64), tmp_path)


def test_logits_have_a_row_for_each_photo(photos: LabelledPhotos) -> None:
    assert predict_logits(_network(), photos, batch_size=5).shape == (12, 2)
