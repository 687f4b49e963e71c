"""A run's folder: ``config.json``, ``log.jsonl``, ``checkpoint.pt`` and ``best.pt``, each whole or not there at all."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from veduta.errors import OutputError, TrainingError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

CHECKPOINT, BEST, LOG, CONFIG, CURVES = "checkpoint.pt", "best.pt", "log.jsonl", "config.json", "curves.png"

#: Changes when a checkpoint of before can't be gone on from.
VERSION = 1

#: What a run is begun with beside its schedule, by name: a setting, or the hash of something.
Fact = str | int | float
#: The names of those whose value says nothing to people.
HASHED = ("photos", "labels")

# Keys, sizes and the archive around the tensors, rounded up.
_OVERHEAD = 2**20


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where a training keeps what it has, so that a killed one goes on from there."""

    path: Path

    def make(self) -> None:
        """Create the folder. Raises OutputError."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"the run's folder {self.path} can't be made ({error.strerror}); name another."
            ) from error

    def check_room(self, checkpoint_bytes: int, best_bytes: int) -> None:
        """Raises OutputError where the disk has no room for a new checkpoint beside the one before it."""
        needed = 2 * checkpoint_bytes + 2 * best_bytes + 4 * _OVERHEAD
        for name in (CHECKPOINT, BEST):
            with contextlib.suppress(OSError):
                needed -= (self.path / name).stat().st_size
        free = shutil.disk_usage(self.path).free
        if free < needed:
            raise OutputError(
                f"a training in {self.path} needs {_megabytes(needed)} MB for its checkpoints, and "
                f"{_megabytes(free)} MB are free; make room or name another folder."
            )

    def has(self, name: str) -> bool:
        """Whether the file is there."""
        return (self.path / name).is_file()

    def save(self, name: str, state: Mapping[str, Any]) -> None:
        """Write tensors and plain values. Raises OutputError; what was there before then stays."""
        self._write(name, lambda file: torch.save(dict(state), file))

    def load(self, name: str) -> dict[str, Any]:
        """What ``save`` wrote; nothing but tensors and plain values is ever read.

        Raises TrainingError where the file is not such a one.
        """
        path = self.path / name
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
            raise TrainingError(
                f"{path} is no whole checkpoint of this version; delete it to train from the start, or name another "
                "folder."
            ) from error
        if not isinstance(state, dict):
            raise TrainingError(f"{path} holds something else than a checkpoint; name another folder.")
        return state

    def check_kind(self, saved: Mapping[str, Any], kind: str) -> None:
        """Raises TrainingError where the checkpoint is of a training of another kind: ``network`` or ``generator``."""
        found = saved.get("kind", "network")
        if found != kind:
            raise TrainingError(
                f"the checkpoint in {self.path} is of the training of a {found}, and this trains a {kind}; name "
                "another folder."
            )

    def check_same_run(
        self, saved: Mapping[str, Any], schedule: Mapping[str, Any], begun_with: Mapping[str, Fact]
    ) -> None:
        """A checkpoint of other settings would be gone on from in silence otherwise.

        Raises TrainingError, naming the first setting that differs from ``schedule``, or fact from ``begun_with``.
        """
        if saved.get("version") != VERSION:
            raise TrainingError(f"the checkpoint in {self.path} is of another version; name another folder.")
        # Checkpoints used to tell the labels alone; what one does not tell can't be compared.
        facts = saved.get("begun_with", {"labels": saved.get("photos")})
        both = {name: (facts[name], now) for name, now in begun_with.items() if name in facts}
        settings = {name: (before, schedule.get(name)) for name, before in saved["schedule"].items()}
        for name, (before, now) in sorted(settings.items()) + list(both.items()):
            if before == now:
                continue
            differs = f"{name} {before}, not {now}" if name not in HASHED else f"other {name}"
            raise TrainingError(
                f"the run in {self.path} was begun with {differs}; give the same to go on, or another folder to begin "
                "anew."
            )

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other training out of the folder, which is there, until the end of the context or the process.

        Raises TrainingError where one is at work in it. Windows and some network disks have no such locks.
        """
        if fcntl is None:
            yield
            return
        handle = os.open(self.path, os.O_RDONLY)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise TrainingError(
                    f"another training is at work in {self.path}; wait until it has ended, or name another folder."
                ) from error
            except OSError:
                pass  # a disk without locks
            yield
        finally:
            os.close(handle)

    def write_text(self, name: str, text: str) -> None:
        """Write a whole text file. Raises OutputError."""
        self._write(name, lambda file: file.write(text.encode()))

    def write_bytes(self, name: str, content: bytes) -> None:
        """Write a whole file. Raises OutputError."""
        self._write(name, lambda file: file.write(content))

    def write_config(self, values: Mapping[str, Any]) -> None:
        """What this run is, for people and for whoever repeats it."""
        self.write_text(CONFIG, json.dumps(values, indent=2) + "\n")

    def add_to_config(self, values: Mapping[str, Any]) -> None:
        """Write what became known since the configuration was."""
        self.write_config({**json.loads((self.path / CONFIG).read_text()), **values})

    def write_log(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """A row for each epoch; written anew each time, so that a resumed run's log has no epoch twice."""
        self.write_text(LOG, "".join(json.dumps(row) + "\n" for row in rows))

    def _write(self, name: str, fill: Callable[[IO[bytes]], object]) -> None:
        """Beside, onto the disk, then in place: whoever reads sees the old file or the new one."""
        path, beside = self.path / name, self.path / f".{name}.part"
        try:
            with beside.open("wb") as file:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
            folder = os.open(self.path, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except (OSError, RuntimeError) as error:
            # torch's archive turns what the disk says into an error of its own.
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "the disk took no more"
            raise OutputError(
                f"{path} can't be written ({reason}); make room, then start the same run again: it goes on from its "
                "last checkpoint."
            ) from error


def bytes_of(tensors: Mapping[str, Tensor]) -> int:
    """How many bytes the tensors take on disk."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f}"
