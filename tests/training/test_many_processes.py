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


def _command(
    run: Path, schedule: dict[str, Any], execution: dict[str, Any], pause: float = 0.0, last: int = 0
) -> list[str]:
    values = [json.dumps(schedule), json.dumps(execution), str(pause), str(last)]
    return [sys.executable, str(PROGRAM), str(run), *values]


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


def _train_by_two(run: Path, schedule: dict[str, Any], execution: dict[str, Any] | None = None, last: int = 0) -> None:
    _by_two(_command(run, schedule, execution or {}, last=last))


def _by_two(command: list[str]) -> list[list[str]]:
    """What each of two processes printed, word by word."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    together = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    processes = [
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
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
    printed = []
    try:
        for process in processes:
            out, said = process.communicate(timeout=300)
            assert process.returncode == 0, said
            printed.append(out.split())
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    return printed


@pytest.mark.parametrize(
    "decay",
    [
        {},
        pytest.param({"optimizer": "sgd", "learning_rate": 0.01, "class_weights": "balanced"}, marks=pytest.mark.slow),
        pytest.param({"train_last": 1, "best_by": "calibrated_loss"}, marks=pytest.mark.slow),
    ],
    ids=["adamw", "sgd", "last-block"],
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
@pytest.mark.parametrize("saving", [{"save_steps": 2}, {"save_minutes": 1e-9}], ids=["by-steps", "by-the-clock"])
def test_two_processes_that_go_on_tell_the_training_figures_of_whole_epochs(
    tmp_path: Path, saving: dict[str, float]
) -> None:
    _train_by_two(tmp_path / "whole", MIXED)
    # Three steps an epoch: the fifth is in the middle of the second, after a checkpoint within it.
    _train_by_two(tmp_path / "cut", MIXED, saving, last=5)
    right, _, missed = torch.load(tmp_path / "cut" / "checkpoint.pt", weights_only=True)["tally"]
    assert int((right + missed).sum()) == 8, "one batch, the photos of both processes"
    _train_by_two(tmp_path / "cut", MIXED, saving)
    whole, cut = (
        [
            json.loads(line) | {"photos_per_second": 0}
            for line in (tmp_path / run / "log.jsonl").read_text().splitlines()
        ]
        for run in ("whole", "cut")
    )
    assert cut == whole
    for key, tensor in _weights(tmp_path / "whole")["weights"].items():
        assert torch.equal(tensor, _weights(tmp_path / "cut")["weights"][key]), key


@pytest.mark.slow
def test_two_processes_with_statistics_of_their_own_are_told_so(tmp_path: Path) -> None:
    _train_by_two(tmp_path, MIXED | {"frozen_statistics": False})
    (note,) = _weights(tmp_path)["notes"]
    assert "with frozen batch-norm statistics" in note


WAITING = """
import sys
from veduta.errors import TrainingError, UsageError
from veduta.training.batches import Share
from veduta.training.execution import Execution, first_alone, share_of_this_process

def work():
    print("worked", flush=True)
    if sys.argv[1] == "fails":
        raise UsageError("no such weights")

try:
    first_alone(Execution(accelerator="cpu"), share_of_this_process(), work)
except (UsageError, TrainingError) as error:
    print(type(error).__name__, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "first", "other"),
    [("works", ["worked"], []), ("fails", ["worked", "UsageError"], ["TrainingError"])],
)
def test_one_process_works_while_the_other_waits(how: str, first: list[str], other: list[str]) -> None:
    assert _by_two([sys.executable, "-c", WAITING, how]) == [first, other]


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
