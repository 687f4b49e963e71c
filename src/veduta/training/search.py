"""Better settings of a training: random draws, short trainings of all, longer ones of the better third.

Random search finds what a grid misses (Bergstra and Bengio 2012, "Random Search for Hyper-Parameter Optimization"),
and most bad settings show early (Jamieson and Talwalkar 2016, "Non-stochastic Best Arm Identification and
Hyperparameter Optimization"). Trial 0 has the settings as they were given, so nothing worse can be chosen by the
measure of the search: the calibrated loss on the held-out photos. Photos for testing are never looked at.

``search.json`` tells all trials, and a search that is begun again goes on from there: each trial is a training in a
folder of its own, which goes on from its checkpoint too.
"""

from __future__ import annotations

import copy
import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from veduta.errors import TrainingDiverged, TrainingError
from veduta.training.calibrated_loss import calibrated_loss
from veduta.training.loop import Callbacks, train_opened
from veduta.training.networks import SceneNetwork
from veduta.training.opening import OpenRun, open_run
from veduta.training.photo_sets import PhotoSet
from veduta.training.progress import Progress
from veduta.training.run_folder import BEST, CHECKPOINT, CONFIG, VERSION, RunFolder
from veduta.training.schedules import Schedule, for_photos
from veduta.training.validation import figures, predict_logits

#: In the run's folder: the trials' own folders, and what they gave.
TRIALS, RECORD, TABLE = "search", "search.json", "search.csv"

#: The settings that are drawn, with their names in a sentence; the warm-up follows from the batch size.
SETTINGS = {
    "learning_rate": "rate",
    "weight_decay": "weight decay",
    "momentum": "momentum",
    "batch_size": "batch size",
    "warm_up_steps": "warm-up",
}

# A tenth to ten times what was given.
_SPAN = math.log(10.0)
_LAGS = math.log(0.01), math.log(0.3)
_BATCHES = (16, 32, 64, 128)
# One of so many goes on to the next round, which has so many times the epochs.
_FACTOR = 3


@dataclass(frozen=True, slots=True)
class Result:
    """What the ``settings`` of a trial gave after ``epochs``: the calibrated ``loss`` of its best epoch, and its other
    ``figures``; ``failed`` says why there are none.
    """

    trial: int
    epochs: int
    settings: dict[str, Any]
    loss: float | None = None
    figures: dict[str, float] = field(default_factory=dict)
    failed: str = ""

    @property
    def order(self) -> tuple[float, int]:
        """Better ones come first."""
        return (math.inf if self.loss is None else self.loss), self.trial


def rounds(epochs: int) -> tuple[int, ...]:
    """The epochs of a trial in each round, before a training of ``epochs``: a ninth of them, then a third."""
    return tuple(sorted({max(1, epochs // _FACTOR**2), max(1, epochs // _FACTOR)}))


def draw(schedule: Schedule, trial: int, photos: int) -> Schedule:
    """The schedule of a trial on so many photos; it follows from the schedule's seed and the trial's number.

    Learning rate and weight decay are drawn log-uniformly from a tenth to ten times those of ``schedule``, the batch
    size from 16, 32, 64 and 128, and for SGD one minus the momentum log-uniformly from 0.01 to 0.3. Trial 0 is
    ``schedule`` itself.
    """
    if trial == 0:
        return for_photos(schedule, photos)
    random = np.random.default_rng((schedule.seed, trial))
    rate, weight_decay = np.exp(random.uniform(-_SPAN, _SPAN, 2))
    momentum = 1 - math.exp(random.uniform(*_LAGS))
    drawn = replace(
        schedule,
        learning_rate=_rounded(schedule.learning_rate * rate),
        weight_decay=_rounded(schedule.weight_decay * weight_decay),
        momentum=_rounded(momentum) if schedule.optimizer == "sgd" else schedule.momentum,
        batch_size=int(random.choice(_BATCHES)),
    )
    return for_photos(drawn, photos)


def found_before(run: Path, schedule: Schedule, trials: int) -> Schedule:
    """``schedule`` with what a search of so many trials in the folder of ``run`` chose; as it is where none has ended.

    Raises TrainingError where the record is damaged.
    """
    saved = _read(RunFolder(run)) if trials else None
    if saved is None or saved["chosen"] is None or saved["trials"] != trials:
        return schedule
    return replace(schedule, **saved["chosen"])


def search(
    run: OpenRun,
    network: SceneNetwork,
    training: PhotoSet,
    validation: PhotoSet,
    asked: Schedule,
    trials: int,
    progress: Progress,
) -> Schedule:
    """The schedule of ``run`` with the best settings of so many trials, each of them a training of ``network``.

    ``network`` itself stays as it is. ``asked`` has the settings as they were given, around which others are drawn. A
    trial whose loss diverges has failed, and the search goes on. Raises TrainingError where the folder has the trials
    of another training, or a training with other settings than those that are found, or all trials failed; OutputError,
    and what a training raises.
    """
    before = _settings(run.schedule)
    run = replace(run, schedule=replace(asked, side=run.schedule.side))
    record = _Record.open(run, trials)
    numbers, results = list(range(trials)), list[Result]()
    for epochs in rounds(asked.epochs):
        results = []
        for number in numbers:
            result = record.find(number, epochs)
            if result is None:
                result = _try(run, record, network, training, validation, number, epochs, progress)
                record.add(result)
                progress.note(_words(result, trials))
            _tidy(_folder(run, number, epochs))
            results.append(result)
        results.sort(key=lambda each: each.order)
        # What was given is in every round, to be compared with.
        numbers = sorted({0, *(each.trial for each in results[: math.ceil(len(results) / _FACTOR)])})
    best, given = results[0], next(each for each in results if each.trial == 0)
    if best.loss is None:
        raise TrainingError(
            f"all trials failed; the first: {given.failed} Begin again in another folder, lower --rate."
        )
    record.choose(best)
    progress.note(_choice(best, given))
    if run.goes_on and best.settings != before:
        raise TrainingError(
            f"the run in {run.folder.path} was begun with other settings than those that the search has found by now; "
            "ask for as many trials as before to go on, or name another folder to begin anew."
        )
    return replace(run.schedule, **best.settings)


def _try(
    run: OpenRun,
    record: _Record,
    network: SceneNetwork,
    training: PhotoSet,
    validation: PhotoSet,
    number: int,
    epochs: int,
    progress: Progress,
) -> Result:
    """One trial, from where it was."""
    schedule = replace(draw(run.schedule, number, len(training)), epochs=epochs, patience=0)
    settings = _settings(schedule)
    # Measured once: each trial would measure the same again.
    execution = replace(run.execution, tensorboard=False, precision=record.precision or run.execution.precision)
    folder, own = _folder(run, number, epochs), copy.deepcopy(network)
    progress.start(schedule)
    callbacks = Callbacks(progress.step, lambda _result: None, lambda _words: None)
    with open_run(own, training, validation, schedule, folder, execution, begun_with=run.begun_with) as opened:
        try:
            trained = train_opened(opened, own, training, validation, callbacks)
        except TrainingDiverged as error:
            return Result(number, epochs, settings, failed=str(error).partition(";")[0] + ".")
    record.precision = json.loads((folder / CONFIG).read_text())["run"]["precision"]
    logits = predict_logits(trained, validation)
    return Result(
        number, epochs, settings, calibrated_loss(logits, validation.labels), figures(logits, validation.labels)
    )


@dataclass(slots=True)
class _Record:
    """What a search has found so far, and the files that tell it."""

    folder: RunFolder
    about: dict[str, Any]
    trials: int
    results: list[Result] = field(default_factory=list)
    chosen: dict[str, Any] | None = None
    precision: Any = None

    @classmethod
    def open(cls, run: OpenRun, trials: int) -> _Record:
        schedule = json.loads(json.dumps(asdict(run.schedule)))
        record = cls(run.folder, {"version": VERSION, "schedule": schedule, "begun_with": run.begun_with}, trials)
        saved = _read(run.folder)
        if saved is not None:
            run.folder.check_same_run(saved, schedule, run.begun_with)
            record.results = saved["results"]
            record.precision = saved["precision"]
        return record

    def find(self, number: int, epochs: int) -> Result | None:
        """What a trial gave, where it is known."""
        return next((each for each in self.results if (each.trial, each.epochs) == (number, epochs)), None)

    def add(self, result: Result) -> None:
        self.results.append(result)
        self._write()

    def choose(self, best: Result) -> None:
        self.chosen = best.settings
        self._write()

    def _write(self) -> None:
        """The table first: the record is what the search goes on from."""
        rows = [{**_flat(each), "failed": each.failed} for each in self.results]
        text = io.StringIO()
        table = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        self.folder.write_text(TABLE, text.getvalue())
        told = {**self.about, "trials": self.trials, "precision": self.precision, "chosen": self.chosen}
        content = {**told, "results": [asdict(each) for each in self.results]}
        self.folder.write_text(RECORD, json.dumps(content, indent=2) + "\n")


def _read(folder: RunFolder) -> dict[str, Any] | None:
    """The record with its results; None where there is none."""
    if not folder.has(RECORD):
        return None
    try:
        saved: dict[str, Any] = json.loads((folder.path / RECORD).read_text())
        known = {name: saved[name] for name in ("version", "schedule", "begun_with", "trials", "precision", "chosen")}
        if not set(known["chosen"] or ()) <= SETTINGS.keys():
            raise ValueError("other settings than those that are drawn")
        return {**known, "results": [Result(**row) for row in saved["results"]]}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise TrainingError(
            f"{folder.path / RECORD} is no whole record of a search; delete it to search anew, or name another folder."
        ) from error


def _settings(schedule: Schedule) -> dict[str, Any]:
    """Those that count: AdamW has no use for a momentum."""
    return {name: getattr(schedule, name) for name in SETTINGS if name != "momentum" or schedule.optimizer == "sgd"}


def _folder(run: OpenRun, number: int, epochs: int) -> Path:
    return run.folder.path / TRIALS / f"trial-{number:02}-epochs-{epochs}"


def _tidy(folder: Path) -> None:
    """A finished trial's log and curves stay; its weights are of no more use."""
    for name in (CHECKPOINT, BEST):
        (folder / name).unlink(missing_ok=True)


def _flat(result: Result) -> dict[str, Any]:
    loss = None if result.loss is None else round(result.loss, 6)
    shown = {name: round(value, 6) for name, value in result.figures.items() if name != "loss"}
    return {"trial": result.trial, "epochs": result.epochs, **result.settings, "calibrated_loss": loss, **shown}


def _rounded(value: float) -> float:
    """Three digits are enough, and can be read."""
    return float(f"{value:.3g}")


def _words(result: Result, trials: int) -> str:
    told = f"trial {result.trial} of {trials - 1}, {result.epochs} epoch{'s' * (result.epochs > 1)}: "
    return (
        told + _shown(result.settings) + (f"; {result.failed}" if result.loss is None else f"; loss {result.loss:.4f}")
    )


def _shown(settings: Mapping[str, float]) -> str:
    return ", ".join(f"{SETTINGS[name]} {value:g}" for name, value in settings.items())


def _choice(best: Result, given: Result) -> str:
    if best is given:
        return "the settings as they were given are the best that the search has found"
    against = "which failed" if given.loss is None else f"{given.loss:.4f}"
    return (
        f"the best settings are those of trial {best.trial}: {_shown(best.settings)}; loss on the held-out photos "
        f"{best.loss:.4f}, with the settings as they were given {against}"
    )
