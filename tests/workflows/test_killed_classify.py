"""From names to sorted photos as a program, killed in each of its stages, and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from veduta.models.bundle import Bundle

from ..datasets.search.services import Record, Services
from .textured import COLOURS, photo

pytest.importorskip("cleanlab", reason="the extra classify is not installed")

# A line for each stage that begins and each step of it.
PROGRAM = """
import sys
from pathlib import Path
from veduta.datasets.collect import Name
from veduta.datasets.search.openverse import Openverse
from veduta.images.fetch import Fetcher, Politeness
from veduta.jobs.ledger import Ledger
from veduta.workflows.classify import Asked, decide, find_model, make_model, sort_photos
from veduta.workflows.gather import Wanted
from veduta.workflows.teach import Learning
from veduta.workflows.watch import Watch

url, port, model, mine, out, ledger = sys.argv[1], int(sys.argv[2]), *sys.argv[3:]
tell = lambda *words: print(*words, flush=True)
watch = Watch(lambda stage: tell("stage", stage), lambda done, count: tell("step", done))
names = (Name("red", ("red",)), Name("blue", ("blue",)))
bundle = find_model(names, retrain=False, watch=watch)
if bundle is None:
    wanted = Wanted(names, (Openverse(url),), per_class=24)
    with Fetcher(allow_loopback=True, ports={port}, politeness=Politeness(interval_seconds=0)) as fetcher:
        bundle = make_model(wanted, Learning(model), fetcher, watch)
decision = decide(bundle, Asked(names, 0.6), watch)
tell("stage", "sorting")
with Ledger.open(Path(ledger)) as opened:
    sort_photos(bundle, [mine], Path(out), decision, ledger=opened, progress=lambda counts: tell("step", counts.done))
tell("done")
"""
STAGES = (
    "finding photos of red",
    "finding photos of blue",
    "looking at the photos",
    "writing them as JPEG",
    "asking the photos",
    "learning the classes",
    "sorting",
)


@pytest.fixture
def internet() -> Iterator[Services]:
    made = Services()
    for first, colour in enumerate(COLOURS):
        made.records[colour] = [Record(100 * first + number, colour) for number in range(24)]
        for number in range(24):
            made.files[f"/photos/{100 * first + number}.jpg"] = photo(colour, 100 * first + number)
    yield made
    made.close()


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "mine").mkdir()
    for colour in COLOURS:
        for number in range(3):
            (tmp_path / "mine" / f"{colour}{number}.jpg").write_bytes(photo(colour, 900 + number))
    return tmp_path / "mine"


class Run:
    """The program in a home of its own."""

    def __init__(self, folder: Path, internet: Services, model: Path, mine: Path) -> None:
        self.folder, self.internet = folder, internet
        arguments = (internet.url, internet.port, model, mine, folder / "results", folder / "ledger.sqlite3")
        self._command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
        self._environment = os.environ | {"VEDUTA_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}

    def kill_in(self, stage: str, at: int) -> bool:
        """Kill it at line ``at`` after ``stage`` began; False where it ended before."""
        with self._start() as program:
            assert program.stdout is not None
            begun = -1
            for line in program.stdout:
                begun = 0 if line.startswith(f"stage {stage}") else begun + (begun >= 0)
                if begun == at or (begun >= 0 and line.startswith("stage") and stage not in line):
                    os.kill(program.pid, signal.SIGKILL)
                    program.wait()
                    return True
            program.wait()
        return False

    def end(self) -> None:
        with self._start() as program:
            said, wrong = program.communicate(timeout=300)
        assert said.endswith("done\n"), wrong

    def photos(self) -> set[str]:
        """What is fetched and on the disk."""
        return {file.stem for file in (self.folder / "home").glob("collections/*/photos/*/*.jpg")}

    def result(self) -> tuple[str, list[str], dict[str, bytes], str]:
        """The model, the set it learnt from, the results' files and their table."""
        home, results = self.folder / "home", self.folder / "results"
        manifest = (home / "collections" / "blue-red" / "blue-red.csv").read_text()
        pictures = {str(file.relative_to(results)): file.read_bytes() for file in results.glob("*/*.jpg")}
        table = (results / "results.csv").read_text()
        return Bundle.load(home / "models" / "blue-red").bundle_id, manifest.splitlines(), pictures, table

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._command, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )


@pytest.fixture
def run(tmp_path: Path, internet: Services, mine: Path, make_model: Callable[..., Bundle]) -> Callable[[str], Run]:
    model = make_model().path
    return lambda name: Run(tmp_path / name, internet, model, mine)


def _asked(internet: Services) -> Counter[str]:
    return Counter(each["path"] for each in internet.asked if each["path"].startswith("/photos/"))


def _check(run: Callable[[str], Run], internet: Services, kills: int) -> None:
    whole = run("whole")
    whole.end()
    killed = run("killed")
    internet.asked.clear()
    after_search = 0
    for stage in STAGES:
        for at in range(kills):
            before = _asked(internet)
            there = killed.photos()
            killed.kill_in(stage, at)
            again = {path for path, count in _asked(internet).items() if before[path] and count > before[path]}
            # One that was on its way when the kill came is asked for again, one that is on the disk is not.
            assert len(again) <= 48 - len(there)
            after_search += len(again) if stage not in STAGES[:3] else 0
    killed.end()
    assert after_search == 0, "what was fetched is never fetched again"
    assert killed.result() == whole.result()


def test_killed_once_in_each_stage_the_result_is_that_of_an_uninterrupted_run(
    run: Callable[[str], Run], internet: Services
) -> None:
    _check(run, internet, kills=1)


@pytest.mark.slow
def test_killed_ten_times_in_each_stage_as_well(run: Callable[[str], Run], internet: Services) -> None:
    _check(run, internet, kills=10)
