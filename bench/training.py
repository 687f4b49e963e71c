"""How fast a network is fine-tuned: our loop against a plain one of torch and torchvision, in turn.

Each side is a fresh process, for what one asks of the C library would serve the other, too. Both change the photos
(crop, flip, colours) and train all layers of MobileNetV2 on two threads, batches of 64 at 128 pixels.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import models, transforms

from bench.photos import SMALL, made
from bench.report import Report, Table, Verdict
from bench.settings import ROOT, Settings, middle
from veduta.models.threads import available_threads
from veduta.training.loop import Execution, PhotoSet, Schedule, train
from veduta.training.networks import build

_SIDE, _BATCH, _CLASSES = 128, 64, 100
_LEAST = 120.0
# The first steps take memory and choose kernels.
_UNCOUNTED = 3


def run(settings: Settings) -> Report:
    """Photos a second of each side, the median over rounds of each round's median step."""
    report = Report("training")
    photo = made(SMALL, 1, settings.photos)[0]
    found: dict[str, list[float]] = {name: [] for name in SIDES}
    for _ in range(settings.scale.rounds):
        for name, speeds in found.items():
            speeds.append(_in_own_process(name, photo, settings.scale.steps))
    report.figures["photos a second"] = found
    speed = {name: middle(speeds) for name, speeds in found.items()}
    plain = speed["plain torch"]
    rows = [(name, f"{each:.0f}", f"{each / plain:.2f}") for name, each in speed.items()]
    report.tables.append(Table("Fine-tuning MobileNetV2 at 128 pixels", ("loop", "photos/s", "ratio"), rows))
    ours = speed["ours"]
    report.verdicts.append(Verdict("fine-tuning at 128 px, photos/s", "≥ 120", f"{ours:.0f}", ours >= _LEAST))
    return report


def _in_own_process(name: str, photo: Path, steps: int) -> float:
    command = [sys.executable, "-m", "bench.training", name, str(photo.resolve()), str(steps)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def _pixels(photo: Path) -> NDArray[np.uint8]:
    """One photo as 64 of them: what it shows makes no step faster."""
    image = Image.open(photo).convert("RGB").resize((_SIDE, _SIDE))
    return np.repeat(np.asarray(image)[None], _BATCH, 0)


def ours(photo: Path, steps: int, *, frozen_statistics: bool) -> list[float]:
    """When each step of Veduta's loop ended."""
    count = (steps + _UNCOUNTED) * _BATCH
    places = np.arange(count) % _BATCH
    photos = PhotoSet(_pixels(photo), np.arange(_BATCH), indices=places)
    ended: list[float] = []
    schedule = Schedule(side=_SIDE, epochs=1, batch_size=_BATCH, frozen_statistics=frozen_statistics)
    with tempfile.TemporaryDirectory() as folder:
        train(
            build("mobilenet_v2", _CLASSES),
            photos,
            photos.subset(np.arange(_BATCH)),
            schedule,
            Path(folder),
            execution=Execution(threads=available_threads()),
            on_step=lambda _step, _steps, _loss: ended.append(time.perf_counter()),
        )
    return ended


class _Repeated(Dataset[tuple[Tensor, int]]):
    def __init__(self, photo: Path, count: int) -> None:
        self.image, self.count = Image.fromarray(_pixels(photo)[0]), count
        self.change = transforms.Compose(
            [
                transforms.RandomResizedCrop(_SIDE, scale=(0.5, 1.0)),
                transforms.RandomHorizontalFlip(),
                transforms.ColorJitter(0.2, 0.2, 0.2),
                transforms.ToTensor(),
                transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
            ]
        )

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.change(self.image), index % _CLASSES


def plain(photo: Path, steps: int) -> list[float]:
    """When each step of a loop ended as a tutorial writes it, channels last."""
    torch.set_num_threads(available_threads())
    network = models.mobilenet_v2(weights=None, num_classes=_CLASSES).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(network.parameters(), 1e-4)
    loader = DataLoader(_Repeated(photo, (steps + _UNCOUNTED) * _BATCH), _BATCH, num_workers=1)
    ended = []
    for images, targets in loader:
        loss = nn.functional.cross_entropy(network(images.contiguous(memory_format=torch.channels_last)), targets)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        ended.append(time.perf_counter())
    return ended


SIDES: dict[str, Callable[[Path, int], list[float]]] = {
    "ours": lambda photo, steps: ours(photo, steps, frozen_statistics=True),
    "ours, batch-norm statistics learnt": lambda photo, steps: ours(photo, steps, frozen_statistics=False),
    "plain torch": plain,
}


if __name__ == "__main__":
    side, path, number = sys.argv[1:]
    seconds = np.diff(SIDES[side](Path(path), int(number))[_UNCOUNTED - 1 :])
    print(json.dumps(_BATCH / float(np.median(seconds))))
