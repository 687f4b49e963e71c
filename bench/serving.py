"""The web server: one photo at a time, 64 clients at once, and what a photo costs against ``veduta tag``."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.load_client import Connection, Outcome, hammer, photo_request, share
from bench.memory import distinct_photos
from bench.photos import SMALL, made
from bench.report import Report, Table, Verdict
from bench.served import Served, Taken, served
from bench.settings import ROOT, Settings

CLIENTS, QUEUE = 64, 32
_ORIGINALS = 64
#: How one photo is asked about at a time.
_WAYS = {"one photo": "?attributes=false", "with attributes": "", "with heat map": "?heatmap=true"}
#: Requests before anything is counted: the model is compiled, the decoders are warm, allocators have their pools.
_WARM_UP = 600
#: ``veduta tag`` takes a second to start, which the server has behind it; so its own cost is a slope over photos.
_TAGGED = (200, 1200)


@dataclass(frozen=True, slots=True)
class Load:
    """A load, and what the server took before and after it."""

    outcome: Outcome
    before: Taken
    after: Taken

    @property
    def cpu_per_photo(self) -> float:
        """Milliseconds of all processes of the server."""
        return 1000 * (self.after.cpu - self.before.cpu) / max(1, len(self.outcome.accepted))

    @property
    def growth(self) -> float:
        return self.after.pss / self.before.pss - 1


def run(settings: Settings) -> Report:
    """Measure the server as ``veduta serve`` starts it."""
    report = Report("serving")
    photos = [path.read_bytes() for path in made(SMALL, min(_ORIGINALS, settings.scale.small), settings.photos)]
    home = settings.out / "serving-home"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    tiny = settings.scale.name == "tiny"
    try:
        with served(home, queue=QUEUE) as server:
            alone = {
                what: asyncio.run(one_after_another(server.port, photos, query, 20 if tiny else 300))
                for what, query in _WAYS.items()
            }
            seconds = {"tiny": 2.0, "quick": 60.0}.get(settings.scale.name, 600.0)
            load = under_load(server, photos, seconds, "?attributes=false", 20 if tiny else _WARM_UP)
        tag = tag_cpu_per_photo(settings, (10, 30) if tiny else _TAGGED)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    _add(report, alone, load, tag)
    return report


async def one_after_another(port: int, photos: list[bytes], query: str, count: int) -> list[float]:
    """Seconds of each of so many requests, one at a time on one connection, after some that are not counted."""
    requests, connection, took = [photo_request(photo, query) for photo in photos], Connection(port), []
    for number in range(count + 20):
        started = time.perf_counter()
        answer = await connection.ask(requests[number % len(requests)])
        if answer.status != 200:
            raise SystemExit(f"the server answered {answer.status}: {answer.body[:300]!r}")
        if number >= 20:
            took.append(time.perf_counter() - started)
    connection.close()
    return took


def under_load(server: Served, photos: list[bytes], seconds: float, query: str = "", warm_up: int = _WARM_UP) -> Load:
    """64 clients for so many seconds, after the server is warm."""
    requests = [photo_request(photo, query) for photo in photos]
    asyncio.run(hammer(server.port, requests, clients=CLIENTS, count=warm_up))
    before = server.taken()
    outcome = asyncio.run(hammer(server.port, requests, clients=CLIENTS, seconds=seconds))
    return Load(outcome, before, server.taken())


def tag_cpu_per_photo(settings: Settings, counts: tuple[int, int]) -> float:
    """Milliseconds of CPU that ``veduta tag`` takes for one photo more, all its processes together."""
    originals = made(SMALL, min(_ORIGINALS, settings.scale.small), settings.photos)
    taken = []
    for count in counts:
        folder = settings.out / "serving-photos"
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        distinct_photos(originals, folder, count)
        command = [str(Path(sys.executable).with_name("veduta")), "tag", str(folder), "--no-ledger", "--quiet"]
        command += ["--out", str(folder / "tags.jsonl")]
        before = os.times()
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        after = os.times()
        taken.append(after.children_user + after.children_system - before.children_user - before.children_system)
        shutil.rmtree(folder)
    return 1000 * (taken[1] - taken[0]) / (counts[1] - counts[0])


def _add(report: Report, alone: dict[str, list[float]], load: Load, tag: float) -> None:
    outcome = load.outcome
    report.figures = {
        "alone_ms": {what: [round(1000 * each, 2) for each in took] for what, took in alone.items()},
        "statuses": {str(status): count for status, count in sorted(outcome.statuses.items())},
        "faults": dict(outcome.faults),
        "seconds": outcome.seconds,
        "accepted_per_second": len(outcome.accepted) / outcome.seconds,
        "cpu_ms_per_photo": load.cpu_per_photo,
        "tag_cpu_ms_per_photo": tag,
        "pss": [load.before.pss, load.after.pss],
    }
    rows = [(what, *(f"{1000 * share(took, part):.1f}" for part in (0.5, 0.9, 0.99))) for what, took in alone.items()]
    report.tables.append(Table("One photo of 640×480 at a time, milliseconds", ("", "p50", "p90", "p99"), rows))
    cells = (
        f"{len(outcome.accepted) / outcome.seconds:.0f}",
        *(f"{1000 * share(outcome.accepted, part):.0f}" for part in (0.5, 0.9, 0.99)),
        *(f"{1000 * share(outcome.refused, part):.1f}" for part in (0.5, 0.99)),
        json.dumps(report.figures["statuses"]),
        f"{load.cpu_per_photo:.1f}",
        f"{tag:.1f}",
    )
    columns = ("photos/s", "p50", "p90", "p99", "503 p50", "503 p99", "statuses", "CPU ms a photo", "of veduta tag")
    title = f"{CLIENTS} clients, queue {QUEUE}, {outcome.seconds:.0f} s, milliseconds"
    report.tables.append(Table(title, columns, [cells]))
    plain, mapped = share(alone["one photo"], 0.5), share(alone["with heat map"], 0.5)
    wrong = outcome.faults.total()
    wrong += sum(count for status, count in outcome.statuses.items() if status >= 500 and status != 503)
    late, ratio = share(outcome.accepted, 0.99), load.cpu_per_photo / tag
    report.verdicts += [
        Verdict("server, one photo of 640×480, p50", "≤ 40 ms", f"{1000 * plain:.1f} ms", plain <= 0.040),
        Verdict("the same with heat map", "≤ 80 ms", f"{1000 * mapped:.1f} ms", mapped <= 0.080),
        Verdict("64 clients: 5xx but the queue's 503, and no answer", "0", f"{wrong}", not wrong),
        Verdict("64 clients: accepted, p99", "≤ 5 s", f"{late:.2f} s", late <= 5),
        Verdict("64 clients: CPU a photo, times that of tag", "≤ 1.3", f"{ratio:.2f}", ratio <= 1.3),
        Verdict("64 clients: memory after the warm-up", "within 10 %", f"{load.growth:+.1%}", load.growth <= 0.10),
    ]
