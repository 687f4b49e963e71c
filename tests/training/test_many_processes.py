"""Runs of real processes: one killed in the middle of an epoch, and two that share each batch."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

PROGRAM = Path(__file__).with_name("tiny_training.py")
MIXED: dict[str, Any] = {"augmentation": {"mixup": 0.3, "cutmix": 1.0}, "batch_size": 8, "epochs": 3}


def _command(run: Path, schedule: dict[str, Any], execution: dict[str, Any], pause: float = 0.0) -> list[str]:
    return [sys.executable, str(PROGRAM), str(run), json.dumps(schedule), json.dumps(execution), str(pause)]


def _environment(**more: str) -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""} | more


def _train(run: Path, schedule: dict[str, Any], execution: dict[str, Any] | None = None) -> str:
    command = _command(run, schedule, execution or {})
    done = subprocess.run(command, capture_output=True, text=True, env=_environment(), timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _weights(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(run / "weights.pt", weights_only=True)
    return found


def test_a_run_killed_in_the_middle_of_an_epoch_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    _train(tmp_path / "whole", MIXED)
    execution = {"save_steps": 2}
    with subprocess.Popen(
        _command(tmp_path / "killed", MIXED, execution, pause=0.3),
        stdout=subprocess.PIPE,
        text=True,
        env=_environment(),
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if line.strip() == "6":  # the third of the second epoch's three steps; the last checkpoint is step 4
                running.send_signal(signal.SIGKILL)
                break
    assert running.returncode == -signal.SIGKILL
    steps = _train(tmp_path / "killed", MIXED, execution).split()
    assert steps[0] in ("5", "6", "7")
    assert steps[-1] == "9"
    whole, resumed = (_weights(tmp_path / run)["weights"] for run in ("whole", "killed"))
    for key, tensor in whole.items():
        assert torch.equal(tensor, resumed[key]), key


def _train_by_two(run: Path, schedule: dict[str, Any]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    together = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    processes = [
        subprocess.Popen(
            _command(run, schedule, {}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            # What torchrun sets.
            env=_environment(
                RANK=str(rank),
                LOCAL_RANK=str(rank),
                GROUP_RANK="0",
                TORCHELASTIC_RUN_ID="test",
                **together,
            ),
        )
        for rank in range(2)
    ]
    try:
        for process in processes:
            _, said = process.communicate(timeout=300)
            assert process.returncode == 0, said
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@pytest.mark.parametrize(
    "decay",
    [
        {},
        pytest.param({"optimizer": "sgd", "learning_rate": 0.01, "class_weights": "balanced"}, marks=pytest.mark.slow),
    ],
    ids=["adamw", "sgd"],
)
def test_two_processes_come_to_the_weights_of_one(tmp_path: Path, decay: dict[str, Any]) -> None:
    schedule = MIXED | decay
    _train(tmp_path / "one", schedule)
    _train_by_two(tmp_path / "two", schedule)
    one, two = (_weights(tmp_path / run) for run in ("one", "two"))
    assert two["notes"] == []
    for key, tensor in one["weights"].items():
        torch.testing.assert_close(
            two["weights"][key], tensor, atol=2e-5, rtol=1e-4, msg=lambda m, key=key: f"{key}: {m}"
        )
    logs = [
        [json.loads(line) for line in (tmp_path / run / "log.jsonl").read_text().splitlines()] for run in ("one", "two")
    ]
    assert [row["training"]["top1"] for row in logs[0]] == [row["training"]["top1"] for row in logs[1]]
    assert [row["validation"]["loss"] for row in logs[1]] == pytest.approx(
        [row["validation"]["loss"] for row in logs[0]], rel=1e-4
    )
    assert json.loads((tmp_path / "two" / "config.json").read_text())["run"]["processes"] == 2


@pytest.mark.slow
def test_two_processes_with_statistics_of_their_own_are_told_so(tmp_path: Path) -> None:
    _train_by_two(tmp_path, MIXED | {"frozen_statistics": False})
    (note,) = _weights(tmp_path)["notes"]
    assert "with frozen batch-norm statistics" in note


@pytest.mark.parametrize(("size", "said"), [(5, "multiple of 2"), (6, "in pairs")])
def test_a_batch_that_can_not_be_shared_is_refused(size: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    from veduta.errors import TrainingError
    from veduta.training.augment import Augmentation
    from veduta.training.batches import Share, check_batches
    from veduta.training.loop import PhotoSet, Schedule

    photos = PhotoSet(np.zeros((9, 4, 4, 3), np.uint8), np.zeros(9, np.int64))
    schedule = Schedule(batch_size=size, augmentation=Augmentation(mixup=0.0 if size == 5 else 0.2))
    with pytest.raises(TrainingError, match=said):
        check_batches(photos, schedule, Share(0, 2))
