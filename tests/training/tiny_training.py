"""A network that trains in milliseconds, and photos that it can tell apart; as a program, a run of it.

``python tiny_training.py RUN '{"seed": 3}' '{"save_steps": 1}' 0.5 4`` trains with these values of ``Schedule`` and
``Execution``, pauses half a second after each step, and leaves after the fourth (0 is never). It writes
``RUN/weights.pt`` and prints each step as it begins to be kept.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from veduta.training.augment import Augmentation
from veduta.training.loop import Execution, PhotoSet, Schedule, train
from veduta.training.networks import SceneNetwork

SCHEDULE = Schedule(side=32, epochs=2, batch_size=4, learning_rate=0.001, warm_up_steps=2, average_decay=0.5)


def network(classes: int = 2, dropout: float = 0.2) -> SceneNetwork:
    """Two convolutions, each with a batch norm, whose statistics are not those of fresh ones."""
    torch.manual_seed(5)
    features = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU6(inplace=True),
        nn.Conv2d(8, 12, 3, 2, 1),
        nn.BatchNorm2d(12),
        nn.ReLU(inplace=True),
    )
    for module in features:
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return SceneNetwork(features, 12, classes, dropout)


def photos(count: int = 12, side: int = 32) -> PhotoSet:
    """The first half dark, the second bright."""
    random = np.random.default_rng(0)
    targets = np.repeat(np.arange(2), count // 2)
    pixels = random.integers(0, 80, (count, side, side, 3)).astype(np.uint8)
    pixels[targets == 1] += 150
    return PhotoSet(pixels, targets)


def main(run: Path, schedule_values: dict[str, Any], execution_values: dict[str, Any], pause: float, last: int) -> None:
    torch.set_num_threads(1)
    augmentation = Augmentation(**schedule_values.pop("augmentation", {}))
    schedule = replace(SCHEDULE, augmentation=augmentation, **schedule_values)

    def on_step(step: int, _steps: int, _loss: float) -> None:
        print(step, flush=True)
        time.sleep(pause)
        if step == last:
            sys.exit()

    made = network()
    notes: list[str] = []
    execution = Execution(accelerator="cpu", **execution_values)
    all_photos = photos(30)
    train(made, all_photos, all_photos, schedule, run, execution=execution, on_step=on_step, on_note=notes.append)
    if not (run / "weights.pt").exists():
        torch.save({"weights": made.state_dict(), "notes": notes}, run / "weights.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))
