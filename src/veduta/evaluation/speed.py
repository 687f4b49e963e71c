"""How fast a model answers on this machine, warm, with the conditions that the figure holds under."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from veduta.errors import UsageError
from veduta.evaluation.answers import ask
from veduta.images.pool import DecodePool
from veduta.models.session import Session
from veduta.recognition.tagger import Tagger
from veduta.records import Sample


@dataclass(frozen=True, slots=True)
class Speed:
    """Photos a second: the median of ``rounds``, the slowest and the fastest."""

    photos_per_second: float
    slowest: float
    fastest: float
    height: int
    width: int
    threads: int
    precision: str
    runtime: str
    machine: str
    rounds: int

    @property
    def conditions(self) -> str:
        """A sentence's part: what the figure was measured with."""
        threads = f"{self.threads} thread{'s' * (self.threads != 1)}"
        return f"{self.machine}, {threads}, {self.runtime}, {self.precision}, median of {self.rounds} rounds"


def measure_speed(
    session: Session,
    size: tuple[int, int],
    outputs: Sequence[str],
    *,
    seconds: float = 1.0,
    rounds: int = 7,
    seed: int = 0,
) -> Speed:
    """Run made photos of ``size`` (height, width) through a session for about ``seconds`` in each of ``rounds``.

    No photo is decoded. Compiling and a first run come before the clock. Other work on the machine shows as a distance
    between slowest and fastest; where that is wide, measure again. Raises UsageError for less than one round, and as
    ``Session.run``.
    """
    if rounds < 1 or not seconds > 0:
        raise UsageError(f"{rounds} rounds of {seconds} s measure nothing; give at least one, of more than 0 s.")
    height, width = size
    photos = np.random.default_rng(seed).integers(0, 256, (8 * session.threads, height, width, 3), np.uint8)
    session.prepare(height, width, outputs)
    session.run(photos, outputs)
    speeds = []
    for _ in range(rounds):
        done, started = 0, time.perf_counter()
        while (passed := time.perf_counter() - started) < seconds or not done:
            session.run(photos, outputs)
            done += len(photos)
        speeds.append(done / passed)
    return _told(speeds, session, size)


def measure_whole_way(tagger: Tagger, photos: Sequence[Sample], pool: DecodePool, *, rounds: int = 3) -> Speed:
    """Photos a second from files to answers, decoded by ``pool``: all of ``photos`` in each of ``rounds``.

    The first photos come before the clock, for processes and graph to be ready. Raises UsageError for nothing to
    measure.
    """
    if rounds < 1 or not photos:
        raise UsageError(f"{rounds} rounds of {len(photos)} photos measure nothing; give at least one of each.")
    ask(tagger, photos[: 2 * tagger.session.threads], pool)
    speeds = []
    for _ in range(rounds):
        started = time.perf_counter()
        ask(tagger, photos, pool)
        speeds.append(len(photos) / (time.perf_counter() - started))
    return _told(speeds, tagger.session, tagger.preprocessing.sizes[0])


def _told(speeds: Sequence[float], session: Session, size: tuple[int, int]) -> Speed:
    return Speed(
        photos_per_second=float(np.median(speeds)),
        slowest=min(speeds),
        fastest=max(speeds),
        height=size[0],
        width=size[1],
        threads=session.threads,
        precision=session.precision,
        runtime=session.runtime,
        machine=processor_name(),
        rounds=len(speeds),
    )


def processor_name(info: Path = Path("/proc/cpuinfo")) -> str:
    """The processor as the system calls it, else the machine's kind."""
    try:
        lines = info.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, names), platform.processor() or platform.machine())
