"""``veduta train`` as a user types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="the extra train is not installed")


def veduta(*arguments: object, at: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"VEDUTA_HOME": str(at / "home"), "COLUMNS": "200", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", "from veduta.cli.main import run; run()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=300)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for place, level in (("day", 190), ("night", 0)):
        (tmp_path / "data" / place).mkdir(parents=True)
        for index in range(8):
            pixels = (random.integers(0, 60, (40, 48, 3)) + level).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / place / f"{index}.jpg")
    return tmp_path / "data"


def test_photos_become_a_model_and_the_same_command_again_trains_no_more(photos: Path, tmp_path: Path) -> None:
    command = ("train", photos, "--out", tmp_path / "run", "--weights", "none", "--arch", "squeezenet1_1")
    options = ("--size", 32, "--epochs", 1, "--batch-size", 4, "--precision", "float32", "--threads", 1)
    done = veduta(*command, *options, at=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "epoch 1: training loss" in done.stderr
    assert "best so far" in done.stderr
    assert f"--model {tmp_path / 'run' / 'bundle'}" in done.stderr
    assert (tmp_path / "run" / "bundle" / "model.onnx").is_file()
    again = veduta(*command, *options, at=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "epoch 1" not in again.stderr
    refused = veduta(*command, *options, "--no-resume", at=tmp_path)
    assert refused.returncode == 2
    assert "has a run already" in refused.stderr
    other = veduta(*command, *options, "--seed", 3, at=tmp_path)
    assert other.returncode == 8
    assert len(other.stderr.strip().splitlines()[-1]) < 400


@pytest.mark.parametrize(
    ("option", "code", "said"),
    [
        (("--optimizer", "adam"), 2, "adamw or sgd"),
        (("--recipe", "transfer", "--epochs", "5"), 2, "--recipe transfer has no use for --epochs: leave it out, or"),
        (("--preset", "momentum"), 2, "those for it are adam and head-first"),
        (("--train-last", "40"), 8, "mobilenet_v2_128 has 19; give 0 (the classifier alone) to 19"),
        (("--side", "20"), 8, "sees crops from 32 pixels on; 20 are too few"),
        (("--rate", "0"), 8, "learning_rate is 0; it must be above 0"),
        (("--weights", "hub:places365-resnet5"), 2, "did you mean"),
        (("--architecture", "lenet"), 8, "there is no architecture 'lenet'"),
        (("--weights", "gone.safetensors"), None, "gone.safetensors"),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, tuple) else None,
)
def test_what_can_not_be_meant_is_one_sentence(
    photos: Path, tmp_path: Path, option: tuple[str, ...], code: int | None, said: str
) -> None:
    done = veduta("train", photos, "--out", tmp_path / "run", "--size", 32, *option, at=tmp_path)
    assert done.returncode == code if code is not None else done.returncode not in (0, 70)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_two_processes_by_torchrun_make_one_model_and_tell_of_it_once(photos: Path, tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python"]
    program = [sys.executable, "-c", "from veduta.cli.main import run; run()"]
    options = ("--weights", "none", "--architecture", "squeezenet1_1", "--size", "32", "--epochs", "1")
    command = [*torchrun, *program, "train", str(photos), "--out", str(tmp_path / "run"), *options]
    command += ["--batch-size", "4", "--threads", "1"]
    environment = os.environ | {"VEDUTA_HOME": str(tmp_path / "home"), "COLUMNS": "200", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env=environment | {"OMP_NUM_THREADS": "1"},
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("epoch 1: training loss") == 1
    assert done.stderr.count("wrote ") == 1
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["run"]["processes"] == 2
    assert config["run"]["precision"] == "float32"
    assert (tmp_path / "run" / "bundle" / "model.onnx").is_file()
