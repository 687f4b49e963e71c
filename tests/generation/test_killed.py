"""A killed training, a killed sample, a full disk: what is there is whole, and the same call goes on."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from veduta import whole_file
from veduta.datasets.manifest import read_data
from veduta.errors import OutputError, UsageError, VedutaError
from veduta.training.run_folder import RunFolder
from veduta.workflows.sample import write_sample

from .tiny import train

_PROGRAM = "from veduta.cli.main import run; run()"
_TINY = ("--preset", "dense", "--size", "32", "--filters", "8", "--batch-size", "8", "--precision", "float32")


def _command(photos: Path, out: Path, steps: int) -> list[str]:
    given = ["--steps", str(steps), "--look-steps", "2", "--threads", "1"]
    return [sys.executable, "-c", _PROGRAM, "generate", "train", str(photos), "--out", str(out), *_TINY, *given]


@pytest.mark.slow
def test_a_training_that_is_killed_anywhere_ends_with_the_weights_of_one_that_was_not(
    photos: Path, tmp_path: Path
) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(_command(photos, tmp_path / "whole", 12), check=True, capture_output=True, env=environment)
    killed = 0
    for _ in range(20):
        with subprocess.Popen(
            _command(photos, tmp_path / "killed", 12), stderr=subprocess.PIPE, text=True, env=environment
        ) as running:
            assert running.stderr is not None
            for line in running.stderr:
                if line.startswith("step ") and killed < 2:
                    # Somewhere after a look: between its files, or in the steps that follow.
                    running.send_signal(signal.SIGKILL)
                    killed += 1
                    break
            running.stderr.read()
        if running.returncode == 0:
            break
        assert running.returncode == -signal.SIGKILL
    assert killed == 2
    whole, gone_on = (RunFolder(tmp_path / name).load("checkpoint.pt") for name in ("whole", "killed"))
    for name in ("generator", "discriminator", "averaged"):
        assert all(torch.equal(value, gone_on[name][key]) for key, value in whole[name].items()), name
    steps = [json.loads(line)["step"] for line in (tmp_path / "killed" / "log.jsonl").read_text().splitlines()]
    assert steps == [2, 4, 6, 8, 10, 12]
    graphs = [(tmp_path / name / "bundle" / "model.onnx").read_bytes() for name in ("whole", "killed")]
    assert graphs[0] == graphs[1]


def test_a_sample_that_is_stopped_is_marked_as_generated_already(
    generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = whole_file.write_whole, []

    def stopping(path: Path, *given: Any, **options: Any) -> None:
        if path.suffix == ".png":
            written.append(path)
            if len(written) == 4:
                raise KeyboardInterrupt
        write(path, *given, **options)

    monkeypatch.setattr("veduta.workflows.sample.write_whole", stopping)
    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path / "made", generator, count=10)
    assert len(list((tmp_path / "made").rglob("*.png"))) == 3
    found = read_data(tmp_path / "made")
    assert all(entry.synthetic for entry in found.entries)
    assert found.photos == ()
    monkeypatch.undo()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "made").rglob("*.png")}
    empty = sorted(before)[0]
    empty.write_bytes(b"")
    write_sample(tmp_path / "made", generator, count=10)
    write_sample(tmp_path / "whole", generator, count=10)
    gone_on, whole = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.png")}
        for name in ("made", "whole")
    )
    assert gone_on == whole
    with pytest.raises(UsageError, match="not empty"):
        write_sample(tmp_path / "made", generator, count=11)
    with pytest.raises(UsageError, match="not empty"):
        write_sample(tmp_path / "made", generator, count=10, seed=1)


def test_a_full_disk_at_a_look_keeps_the_checkpoint_before_and_says_how_to_go_on(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(photos, tmp_path, 2)
    before = (tmp_path / "checkpoint.pt").read_bytes()

    def full(*_given: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(OutputError, match=r"No space left.*start the same run again"):
            train(photos, tmp_path, 4)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    train(photos, tmp_path, 4)


def test_a_folder_that_cannot_be_made_is_told_before_any_work(photos: Path, generator: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(VedutaError, match="file"):
        train(photos, tmp_path / "file" / "run", 2)
    with pytest.raises(VedutaError, match="file"):
        write_sample(tmp_path / "file" / "made", generator, count=2)
