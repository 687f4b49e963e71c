"""The memory of a long run: the PSS of ``veduta tag`` and of all its processes, each second."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from bench.default_model import default_model
from bench.photos import SMALL, made
from bench.report import Report, Table, Verdict
from bench.settings import ROOT, Settings

_ORIGINALS = 100
#: The state after so many photos is what the rest is compared with.
_SETTLED = 1_000
_MOST_MEGABYTES, _MOST_GROWTH = 600, 0.10
_COMMENT = b"\xff\xfe"


@dataclass(frozen=True, slots=True)
class Sample:
    """``pss`` is the proportional set size in bytes: what processes share counts once."""

    seconds: float
    photos: int
    pss: int
    processes: int


def run(settings: Settings) -> Report:
    """Tag many photos of distinct content in a fresh process, and watch it."""
    report = Report("memory")
    work = settings.out / "load"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        count = settings.scale.load
        distinct_photos(made(SMALL, min(_ORIGINALS, count), settings.photos), work / "photos", count)
        ledger, out = work / "ledger.sqlite3", work / "tags.jsonl"
        command = [str(Path(sys.executable).with_name("veduta")), "tag", str(work / "photos"), "--out", str(out)]
        command += ["--ledger", str(ledger), "--model", str(default_model(settings))]
        samples = _watch(command, ledger)
        rows = sum(1 for _ in out.open("rb"))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    _add(report, samples, rows)
    return report


def distinct_photos(originals: list[Path], folder: Path, count: int) -> None:
    """So many files of distinct content: the originals, each time with another comment after the first marker."""
    folder.mkdir()
    contents = [path.read_bytes() for path in originals]
    for number in range(count):
        content = contents[number % len(contents)]
        comment = _COMMENT + (12).to_bytes(2, "big") + f"{number:010d}".encode()
        (folder / f"{number:06d}.jpg").write_bytes(content[:2] + comment + content[2:])


def _watch(command: list[str], ledger: Path) -> list[Sample]:
    samples: list[Sample] = []
    began = time.monotonic()
    with subprocess.Popen(command, cwd=ROOT) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            time.sleep(1.0)
            pss, processes = _pss(watched)
            if pss:
                samples.append(Sample(time.monotonic() - began, _answered(ledger), pss, processes))
                if len(samples) % 30 == 0:
                    print(f"{samples[-1].photos} photos, {pss / 1e6:.0f} MB in {processes} processes", flush=True)
        if process.returncode:
            raise SystemExit(f"veduta ended with {process.returncode} while its memory was measured.")
    return samples


def _pss(process: psutil.Process) -> tuple[int, int]:
    """Of a process and its descendants; those that end meanwhile count no more."""
    total = number = 0
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0, 0
    for each in family:
        try:
            total += each.memory_full_info().pss
            number += 1
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return total, number


def _answered(ledger: Path) -> int:
    """How far the run is, by its ledger."""
    try:
        with closing(sqlite3.connect(f"{ledger.resolve().as_uri()}?mode=ro", uri=True, timeout=1)) as connection:
            return int(connection.execute("SELECT count(*) FROM answers").fetchone()[0])
    except sqlite3.Error:
        return 0  # not there yet


def _add(report: Report, samples: list[Sample], rows: int) -> None:
    settled = [each for each in samples if each.photos >= min(_SETTLED, rows // 2)] or samples[-1:]
    if not settled:
        raise SystemExit("The run ended before its memory could be measured; give it more photos.")
    first, last = settled[0], settled[-1]
    most, highest = max(each.pss for each in samples), max(each.pss for each in settled)
    growth = highest / first.pss - 1
    report.figures = {
        "rows": rows,
        "seconds": samples[-1].seconds,
        "samples": [[round(each.seconds, 1), each.photos, each.pss, each.processes] for each in samples],
    }
    cells = (f"{first.pss / 1e6:.0f} MB after {first.photos}", f"{most / 1e6:.0f} MB", f"{last.pss / 1e6:.0f} MB")
    row = (f"{rows}", f"{rows / samples[-1].seconds:.0f}", f"{last.processes}", *cells)
    columns = ("photos", "photos/s", "processes", "settled", "most", "last")
    report.tables.append(Table("Memory, sum of PSS", columns, [row]))
    report.verdicts += [
        Verdict("memory after the first 1,000 photos", "flat within 10 %", f"{growth:+.1%}", growth <= _MOST_GROWTH),
        Verdict("memory, most", "≤ 600 MB", f"{most / 1e6:.0f} MB", most <= _MOST_MEGABYTES * 1e6),
    ]
