"""The batches of an epoch: which photos, in which order, changed and made while the step before is computed.

Everything here follows from (seed, epoch, step, index), so an epoch can begin at any of its steps, and a process among
several makes its part of each batch and no more. The photos are made by threads: Pillow lets go of the interpreter
while it works, and threads share the photos' memory, which processes would copy.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veduta.errors import TrainingError
from veduta.training.augment import Mixture, augment, draw_mixture
from veduta.training.losses import soften
from veduta.training.photo_sets import PhotoSet
from veduta.training.schedules import Schedule

# Batches that wait; more would only take memory.
_AHEAD = 3


@dataclass(frozen=True, slots=True)
class Batch:
    """``images`` uint8 ``[n, side, side, 3]``; ``targets`` and ``teacher`` probabilities ``[n, c]``; not mixed yet."""

    images: Tensor
    targets: Tensor
    teacher: Tensor | None
    mixture: Mixture | None


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of each batch is this process's: the ``rank``-th of ``processes`` equal ones."""

    rank: int = 0
    processes: int = 1

    def of(self, batch_size: int) -> tuple[int, int]:
        """The first place in a batch, and the one after the last."""
        size = batch_size // self.processes
        return self.rank * size, (self.rank + 1) * size


def check_batches(photos: PhotoSet, schedule: Schedule, share: Share) -> None:
    """Raises TrainingError where no batch can be filled, or the processes can't share one."""
    size, processes = schedule.batch_size, share.processes
    if len(photos) < size:
        raise TrainingError(
            f"{len(photos)} photos do not fill one batch of {size}; add photos or lower the batch size."
        )
    mixes = schedule.augmentation.mixup or schedule.augmentation.cutmix
    unit = processes * (2 if mixes and processes > 1 else 1)
    if size % unit:
        pairs = ", in pairs as mixup and CutMix need them" if unit > processes else ""
        raise TrainingError(
            f"a batch of {size} photos can't be shared by {processes} processes{pairs}; give a multiple of {unit}."
        )


def epoch_order(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """The photos ``[count]`` in the order of an epoch."""
    return np.random.default_rng((seed, epoch)).permutation(count)


def epoch_batches(
    photos: PhotoSet,
    classes: int,
    schedule: Schedule,
    epoch: int,
    *,
    first: int = 0,
    share: Share = Share(),
    workers: int = 1,
) -> Iterator[Batch]:
    """This process's part of each whole batch of ``epoch``, from its ``first`` step on.

    Raises PhotoError where a photo's file can't be decoded.
    """
    order = epoch_order(len(photos), schedule.seed, epoch)
    steps = len(photos) // schedule.batch_size

    def make(step: int) -> Batch:
        start = step * schedule.batch_size
        low, high = share.of(schedule.batch_size)
        return _make(photos, order[start + low : start + high], classes, schedule, epoch, step, share)

    with ThreadPoolExecutor(workers, thread_name_prefix="batches") as pool:
        waiting: deque[Future[Batch]] = deque()
        try:
            for step in range(first, steps):
                waiting.append(pool.submit(make, step))
                if len(waiting) >= _AHEAD + workers - 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _make(
    photos: PhotoSet,
    chosen: NDArray[np.int64],
    classes: int,
    schedule: Schedule,
    epoch: int,
    step: int,
    share: Share,
) -> Batch:
    side, how, seed = schedule.side, schedule.augmentation, schedule.seed
    images = np.empty((len(chosen), side, side, 3), np.uint8)
    for place, index in enumerate(chosen):
        images[place] = augment(photos.photo(int(index)), side, how, (seed, epoch, int(index)), photos.people)
    places = photos.chosen[chosen]
    mixture = draw_mixture(how, schedule.batch_size, side, (seed, epoch, step))
    teacher = None
    if photos.teacher is not None:
        teacher = soften(torch.from_numpy(photos.teacher[places]), schedule.teacher_temperature, photos.task)
    return Batch(
        torch.from_numpy(images),
        as_probabilities(photos.targets[places], classes),
        teacher,
        None if mixture is None else mixture.part(*share.of(schedule.batch_size)),
    )


def as_probabilities(targets: NDArray[np.int64] | NDArray[np.float32], classes: int) -> Tensor:
    """Float32 ``[n, c]`` of class numbers ``[n]`` or rows of 0 and 1 ``[n, c]``."""
    if targets.ndim == 2:
        return torch.from_numpy(targets.astype(np.float32))
    return torch.nn.functional.one_hot(torch.from_numpy(targets.astype(np.int64)), classes).float()
