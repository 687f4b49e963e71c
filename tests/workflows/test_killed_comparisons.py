"""A comparison as a program, killed where it hurts, and started again; its trainings are real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="the extra train is not installed")
pytest.importorskip("sklearn", reason="the extra learn is not installed")

# Trainings that take no time but the export's, and a line for each thing that is told.
PROGRAM = """
import sys
from pathlib import Path
import torch
from veduta.workflows.compare import Watch, compare_trainings
from veduta.workflows.grid import Grid, Settings
from veduta.workflows.outcomes import Measuring

torch.set_num_threads(1)
grid = Grid(
    ("small_cnn", "mobilenet_v2_128"),
    (32,),
    ("transfer",),
    {"small_cnn": ("scratch",)},
    {"mobilenet_v2_128": "places100"},
)
compare_trainings(
    Path(sys.argv[1]),
    Path(sys.argv[2]),
    grid,
    Settings(scratch_epochs=3, batch_size=4, views=1, threads=1),
    measuring=Measuring(rounds=1, seconds=0.001, photos=4),
    watch=Watch(
        within=lambda words, done, total: print(words.partition(",")[0], done, flush=True),
        outcome=lambda outcome: print("outcome", outcome.name, flush=True),
        missing=lambda missing: print("missing", missing.reason, flush=True),
    ),
)
"""


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for name, level in (("day", 160), ("night", 0)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(12):
            pixels = (random.integers(0, 90, (40, 44, 3)) + level).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


def _run(photos: Path, out: Path, kill_at: str | None = None) -> list[str]:
    """The lines of a run, which is killed when one begins with ``kill_at``."""
    told = []
    command = [sys.executable, "-c", PROGRAM, str(photos), str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}) as run:
        assert run.stdout is not None
        for line in run.stdout:
            told.append(line.strip())
            if kill_at is not None and line.startswith(kill_at):
                run.send_signal(signal.SIGKILL)
                kill_at = None
    return told


def _without_times(out: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((out / "comparison.json").read_text())["rows"]
    for row in rows:
        for name in ("training", "graph_speed", "whole_way_speed"):
            del row[name]
    return rows


@pytest.mark.slow
def test_killed_within_cells_and_gone_on_with_the_table_is_that_of_an_uninterrupted_run(
    photos: Path, tmp_path: Path
) -> None:
    whole = _run(photos, tmp_path / "whole")
    assert not [line for line in whole if line.startswith("missing")], whole
    out = tmp_path / "killed"
    steps = [line for line in whole if line.startswith("training")]
    # In the second epoch of the first cell, while its model is judged, and while the second cell embeds.
    told = _run(photos, out, kill_at=steps[len(steps) // 2])
    assert "outcome small_cnn-32-scratch" not in told
    told = _run(photos, out, kill_at="judging on photos")
    assert steps[0] not in told, "the first epoch was not done again"
    assert steps[-1] in told
    told = _run(photos, out, kill_at="embedding photos")
    assert not [line for line in told if line.startswith("training")], "a finished training is not done again"
    assert "outcome small_cnn-32-scratch" in told
    told = _run(photos, out)
    assert "outcome small_cnn-32-scratch" not in told
    assert "outcome mobilenet_v2_128-32-transfer" in told
    assert _without_times(out) == _without_times(tmp_path / "whole")
    effort = json.loads((out / "comparison.json").read_text())["rows"][0]["training"]
    assert effort["runs"] == 2
    assert not [file for file in out.rglob("*") if file.name.endswith(".part")]
