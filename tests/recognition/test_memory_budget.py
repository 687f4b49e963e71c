"""Networks of five sizes answer, one after the other and at once, and the process stays within the memory it was given.

The figures are printed: ``pytest tests/recognition/test_memory_budget.py -s``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import veduta

from .made_networks import SIZES, write_made_bundle

#: Asks each model twice around, then two threads ask in opposite orders; prints a row for each answer, then the peak.
ASKING = """
import json, sys, threading, time
from pathlib import Path
import numpy as np
from PIL import Image
from veduta.recognition.tagger_cache import TaggerCache

def megabytes(what):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) * 1024 / 1e6

names, cache = sys.argv[2:], TaggerCache(int(sys.argv[1]))
photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8))

def ask(order, by):
    for name in order:
        started = time.perf_counter()
        with cache.use(name, timeout=300.0) as tagger:
            ready = time.perf_counter()
            tagger.predict(photo)
        row = dict(by=by, name=name, load=ready - started, answer=time.perf_counter() - ready,
                   resident=megabytes("VmRSS"), counted=sum(model.bytes for model in cache.loaded()) / 1e6)
        sys.stdout.write(json.dumps(row) + "\\n")  # in one piece, for two threads write
        sys.stdout.flush()

for by in ("first", "second"):
    ask(names, by)
threads = [threading.Thread(target=ask, args=(order, "at once")) for order in (names, names[::-1])]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
peak = megabytes("VmHWM")
cache.evict_all()
print(json.dumps(dict(peak=peak, left=megabytes("VmRSS"))))
"""


@dataclass(frozen=True, slots=True)
class Asked:
    rows: list[dict[str, float | str]]
    peak: float  # megabytes of 10^6 bytes, as all here
    left: float

    def check(self, names: list[str], budget: int) -> None:
        """All have answered each time, and what counted was never over the budget."""
        assert sorted(str(row["name"]) for row in self.rows) == sorted(4 * names)
        assert max(float(row["counted"]) for row in self.rows) <= budget / 1e6


def ask(home: Path, budget: int, names: list[str], monkeypatch: pytest.MonkeyPatch) -> Asked:
    if not Path("/proc/self/status").exists():
        pytest.skip("only Linux tells the peak of a process's memory there")
    monkeypatch.setenv("VEDUTA_HOME", str(home))
    monkeypatch.setenv("PYTHONPATH", str(Path(veduta.__file__).parents[1]))
    command = [sys.executable, "-c", ASKING, str(budget), *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr
    *rows, last = [json.loads(line) for line in done.stdout.splitlines()]
    print(f"\n{'':8} {'model':14} {'load s':>7} {'answer s':>8} {'resident MB':>11} {'counted MB':>10}")
    for row in rows:
        print(
            f"{row['by']:8} {row['name']:14} {row['load']:7.2f} {row['answer']:8.2f} {row['resident']:11.0f} "
            f"{row['counted']:10.0f}"
        )
    print(f"peak {last['peak']:.0f} MB of a budget of {budget / 1e6:.0f} MB for models; {last['left']:.0f} MB are left")
    return Asked(rows, last["peak"], last["left"])


def test_thin_networks_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["vgg16", "resnet50"]
    for name in names:
        write_made_bundle(tmp_path / "models" / name, name, thin=4, half=name == "vgg16")
    budget = 140_000_000
    asked = ask(tmp_path, budget, names, monkeypatch)
    asked.check(names, budget)
    # Python, NumPy and OpenVINO themselves take some 120 MB.
    assert asked.peak < budget / 1e6 + 200


@pytest.mark.slow
def test_five_large_networks_answer_within_two_gigabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = list(SIZES)
    for name in names:
        # As they are imported, and as they are converted.
        bundle = write_made_bundle(tmp_path / "models" / name, name, half=name != "vgg16")
        stored = bundle.graph.stat().st_size / (4 if name == "vgg16" else 2)
        assert stored == pytest.approx(SIZES[name][0] * 1e6, rel=0.05)
    budget = 1500 * 2**20
    asked = ask(tmp_path, budget, names, monkeypatch)
    asked.check(names, budget)
    assert asked.peak < 2000
