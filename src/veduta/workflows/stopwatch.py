"""Seconds that a training takes, summed over the runs of a process that may be killed at any moment."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

from veduta.whole_file import write_whole

# Seconds between two times that are kept; a killed run loses what came after the last.
_EVERY = 2.0


@dataclass(slots=True)
class Stopwatch:
    """Runs from its making; ``file`` keeps what it showed, and what was kept there goes on.

    ``seconds`` by the clock and ``processor_seconds`` of all threads are those of earlier runs, ``runs`` counts them
    with this one. ``conditions`` are what holds for it in words, such as the machine. ``finished`` says that what it
    measures was done by then, so that nothing is to be added.
    """

    file: Path
    conditions: str
    seconds: float = 0.0
    processor_seconds: float = 0.0
    runs: int = 1
    finished: bool = False
    _clock: float = field(default_factory=lambda: time.perf_counter())
    _processor: float = field(default_factory=lambda: time.process_time())
    _kept: float = field(default_factory=lambda: time.perf_counter())

    @classmethod
    def of(cls, file: Path, conditions: str) -> Stopwatch:
        """One that goes on from ``file`` where that holds what another kept; a damaged file counts as none."""
        try:
            told = json.loads(file.read_text(encoding="utf-8"))
            seconds, processor, runs = float(told["seconds"]), float(told["processor_seconds"]), int(told["runs"])
            finished, before = bool(told["finished"]), str(told["conditions"])
        except (OSError, ValueError, KeyError, TypeError):
            return cls(file, conditions)
        if not (math.isfinite(seconds) and math.isfinite(processor)):
            return cls(file, conditions)
        if not finished:
            runs += 1
            before = before if before.endswith(conditions) else f"{before}; then {conditions}"
        return cls(file, before, seconds, processor, runs, finished)

    def start(self) -> None:
        """Keep that this run has begun. Raises OutputError."""
        self._keep()

    def tick(self) -> None:
        """Keep what it shows, now and then. Raises OutputError."""
        if time.perf_counter() - self._kept >= _EVERY:
            self._keep()

    def stop(self) -> None:
        """Keep what it shows in the end. Raises OutputError."""
        self.finished = True
        self._keep()

    def _keep(self) -> None:
        now, processor = time.perf_counter(), time.process_time()
        self.seconds += now - self._clock
        self.processor_seconds += processor - self._processor
        self._clock, self._processor, self._kept = now, processor, now
        told = {
            "seconds": round(self.seconds, 3),
            "processor_seconds": round(self.processor_seconds, 3),
            "runs": self.runs,
            "conditions": self.conditions,
            "finished": self.finished,
        }
        write_whole(self.file, (json.dumps(told) + "\n").encode())
