"""A run is opened: all that can be known before the work is checked, and its folder is held.

Reading the photos and fitting a classifier take minutes, so nothing that is told here may be found out after them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from veduta.training.batches import Share, check_batches
from veduta.training.execution import Execution, event_writer, share_of_this_process
from veduta.training.fingerprints import fingerprints
from veduta.training.freezing import check_train_last
from veduta.training.networks import SceneNetwork
from veduta.training.photo_sets import PhotoSet, check_photos
from veduta.training.run_folder import CHECKPOINT, Fact, RunFolder, bytes_of
from veduta.training.schedules import Schedule, with_side
from veduta.training.validation import BEST_BY, check_figure


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run whose folder this process holds.

    ``schedule`` has the side of its crops. ``begun_with`` is what a checkpoint must have been begun with too, ``told``
    what else the configuration tells people. ``goes_on`` says that there is a checkpoint to go on from.
    """

    folder: RunFolder
    schedule: Schedule
    execution: Execution
    share: Share
    best_by: str
    begun_with: dict[str, Fact]
    told: dict[str, Any] = field(default_factory=dict)
    goes_on: bool = False


@contextmanager
def open_run(
    network: SceneNetwork,
    training: PhotoSet,
    validation: PhotoSet,
    schedule: Schedule,
    run: Path,
    execution: Execution,
    *,
    begun_with: Mapping[str, Fact] | None = None,
    told: Mapping[str, Any] | None = None,
) -> Iterator[OpenRun]:
    """Check what can be known of a training before it, and hold its folder until the context ends.

    Photos that are files are not decoded. ``begun_with`` adds what else the run must not change between two of its
    processes: the weights that it started from.

    Raises TrainingError where the photos, the schedule or the checkpoint do not fit each other or another training is
    at work in the folder, OutputError where there is no room for checkpoints, MissingExtra without TensorBoard where
    it is asked for.
    """
    share, folder, task = share_of_this_process(), RunFolder(run), training.task
    schedule = with_side(schedule, training.side, network.enlarge)
    best_by = schedule.best_by or BEST_BY[task]
    check_enough(training, validation, network, schedule, share)
    check_figure(best_by, task, network.classifier.out_features)
    check_train_last(network, schedule.train_last)
    if execution.tensorboard:
        event_writer(run)
    facts = {**(begun_with or {}), **fingerprints(training, validation)}
    folder.make()
    with nullcontext() if share.rank else folder.locked():
        saved = folder.load(CHECKPOINT) if folder.has(CHECKPOINT) else None
        if saved is not None:
            folder.check_kind(saved, "network")
            # A setting that the checkpoint is too old to know was as it is where nobody asks for it.
            usual, begun = asdict(Schedule()), saved["schedule"]
            changes = {**usual["augmentation"], **begun["augmentation"]}
            before = {**saved, "schedule": {**usual, **begun, "augmentation": changes}}
            folder.check_same_run(before, asdict(schedule), facts)
        if saved is None or not finished(saved["history"], schedule):
            state, slots = bytes_of(network.state_dict()), 2 if schedule.optimizer == "adamw" else 1
            folder.check_room(checkpoint_bytes=(2 + slots) * state, best_bytes=state)
        yield OpenRun(folder, schedule, execution, share, best_by, facts, dict(told or {}), saved is not None)


def check_enough(
    training: PhotoSet, validation: PhotoSet, network: SceneNetwork, schedule: Schedule, share: Share
) -> None:
    """Raises TrainingError where the photos do not fit the network, or do not fill a batch of all processes."""
    check_photos(training, validation, network.classifier.out_features)
    check_batches(training, schedule, share)


def finished(history: list[dict[str, Any]], schedule: Schedule) -> bool:
    """Whether all epochs are done, or the last few brought nothing."""
    best = max((row["epoch"] for row in history if row["best"]), default=0)
    out_of_patience = 0 < schedule.patience <= len(history) - best
    return len(history) >= schedule.epochs or out_of_patience
