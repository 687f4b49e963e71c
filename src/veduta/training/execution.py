"""How a training is carried out on a machine: processes, arithmetic, threads, and what is written on the way."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.loggers.tensorboard import TensorBoardLogger
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from torch import Tensor, nn

from veduta.errors import MissingExtra, TrainingError, VedutaError
from veduta.training.batches import Share

Precision = Literal["auto", "float32", "bfloat16"]

# Mixed precision rounds; it must bring this much.
_WORTH = 0.85
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Execution:
    """What changes how fast a schedule is done and what is written, and next to nothing of what comes out.

    ``precision``: ``float32``, ``bfloat16`` (mixed: the weights stay float32), or ``auto``, which measures both for a
    few steps. ``threads`` compute (None leaves torch's choice), ``workers`` make batches. ``save_steps`` and
    ``save_minutes`` ask for checkpoints within an epoch, 0 for none. ``tensorboard`` writes events into the run's
    folder. ``accelerator`` is Fabric's: ``cpu``, ``cuda`` or ``auto``.
    """

    precision: Precision = "float32"
    threads: int | None = None
    workers: int = 1
    save_steps: int = 0
    save_minutes: float = 0.0
    tensorboard: bool = False
    accelerator: str = "auto"

    def __post_init__(self) -> None:
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise TrainingError(f"the precision {self.precision!r} is not known; give auto, float32 or bfloat16.")
        if self.workers < 1 or (self.threads is not None and self.threads < 1):
            raise TrainingError(f"{self.workers} workers and {self.threads} threads: there must be at least 1 of each.")


def share_of_this_process() -> Share:
    """This process's place among those that torchrun started; the one of one without it."""
    if not TorchElasticEnvironment.detect():
        return Share()
    return Share(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))


def launch(
    execution: Execution,
    share: Share,
    network: nn.Module,
    images: Tensor,
    precision: str | None,
    run: Path,
    on_note: Callable[[str], None],
) -> tuple[Fabric, str]:
    """Fabric for this machine, and the arithmetic that it uses.

    ``precision`` is what a run was begun with; where it is None and the choice is the machine's, ``network`` is tried
    on ``images`` float ``[n, 3, h, w]``. Raises MissingExtra without TensorBoard where it is asked for.
    """
    if execution.threads is not None:
        torch.set_num_threads(execution.threads)
    chosen = precision or execution.precision
    if chosen == "auto":
        if share.processes > 1:
            # Each would measure something else.
            chosen, why = "float32", "several processes"
        else:
            chosen, why = choose_precision(network, images, _fabric(execution, share).device)
        on_note(f"{chosen}: {why}")
    fabric = _fabric(execution, share, chosen, [event_writer(run)] if execution.tensorboard else [])
    fabric.launch()
    return fabric, chosen


def first_alone(execution: Execution, share: Share, work: Callable[[], object]) -> None:
    """Let the first process of each machine do ``work``, such as a download, while the others wait for its end.

    Raises what ``work`` raises there, and TrainingError in the processes that waited for nothing.
    """
    if share.processes == 1:
        work()
        return
    fabric = _fabric(execution, share)
    fabric.launch()
    failure = None
    if fabric.local_rank == 0:
        try:
            work()
        except VedutaError as error:
            failure = error
    failures = fabric.all_reduce(torch.tensor(float(failure is not None), device=fabric.device), reduce_op="sum")
    if failure is not None:
        raise failure
    if failures:
        raise TrainingError("the first process could not go on; what it says tells why.")


def _fabric(
    execution: Execution, share: Share, precision: str = "float32", loggers: Sequence[TensorBoardLogger] = ()
) -> Fabric:
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if share.processes > 1 else 1
    return Fabric(
        accelerator=execution.accelerator,
        strategy="ddp" if share.processes > 1 else "auto",
        devices=local,
        num_nodes=share.processes // local,
        precision="bf16-mixed" if precision == "bfloat16" else "32-true",
        # Named, so that a job of a cluster's queue is not taken for one that wants processes.
        plugins=[TorchElasticEnvironment() if share.processes > 1 else LightningEnvironment()],
        loggers=list(loggers),
    )


def choose_precision(
    network: nn.Module, images: Tensor, device: torch.device
) -> tuple[Literal["float32", "bfloat16"], str]:
    """The faster arithmetic on ``device`` for steps on ``images`` float ``[n, 3, h, w]``, and the figures behind it.

    The network moves to ``device``. The trial's gradients are thrown away and the buffers put back; the weights keep
    their values.
    """
    network.to(device)
    images = images.to(device).contiguous(memory_format=torch.channels_last)
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    seconds = {"float32": float("inf"), "bfloat16": float("inf")}
    # In turn, and the best of each: what else the machine does meets both.
    for _ in range(_ROUNDS):
        for name, best in seconds.items():
            seconds[name] = min(best, _seconds_of_a_step(network, images, name == "bfloat16"))
    with torch.no_grad():
        for name, buffer in network.named_buffers():
            buffer.copy_(buffers[name])
    network.zero_grad(set_to_none=True)
    plain, mixed = seconds["float32"], seconds["bfloat16"]
    why = f"a step of {len(images)} photos takes {plain:.2f} s, in bfloat16 {mixed:.2f} s"
    return ("bfloat16" if mixed < _WORTH * plain else "float32"), why


def _seconds_of_a_step(network: nn.Module, images: Tensor, mixed: bool) -> float:
    start = time.perf_counter()
    with torch.autocast(images.device.type, torch.bfloat16, enabled=mixed):
        answer: Tensor = network(images)
    answer.float().square().mean().backward()  # type: ignore[no-untyped-call]
    if images.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def event_writer(run: Path) -> TensorBoardLogger:
    """Writes events into a run's folder, from the first event on. Raises MissingExtra without TensorBoard."""
    try:
        return TensorBoardLogger(run, name="tensorboard", version="")
    except ModuleNotFoundError as error:
        raise MissingExtra('TensorBoard is not installed; install it with: pip install "veduta[train]"') from error
