"""Collecting landmarks as a program, killed in each of its stages, and started again: the same, and nothing twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from veduta.datasets.manifest import read_manifest
from veduta.workflows.collect_landmarks import MANIFEST, TABLE

from ..datasets.places.services import Made, PlacesServices
from .textured import noise_photos

# A line for each stage that begins and each step of it.
PROGRAM = """
import sys
from pathlib import Path
from veduta.datasets.places.place import City, Wish
from veduta.datasets.places.wikidata import Wikidata
from veduta.datasets.search.own import Folder
from veduta.images.fetch import Fetcher, Politeness
from veduta.workflows.collect_landmarks import Search, collect_landmarks
from veduta.workflows.watch import Watch

url, port, own, out = sys.argv[1], int(sys.argv[2]), *map(Path, sys.argv[3:])
tell = lambda *words: print(*words, flush=True)
watch = Watch(lambda stage: tell("stage", stage), lambda done, count: tell("step", done))
cities = [City("Porto", (41.15, -8.61)), City("Braga", (41.55, -8.42))]
search = Search((Wikidata(url),), (Folder(own),), Wish(least_fame=5), per_landmark=4)
with Fetcher(allow_loopback=True, ports={port}, politeness=Politeness(interval_seconds=0)) as fetcher:
    collect_landmarks(cities, search, out, fetcher, watch)
tell("done")
"""
STAGES = (
    "finding landmarks of Porto",
    "finding landmarks of Braga",
    "fetching photos of Tower",
    "fetching photos of Bridge",
    "looking at the photos",
)


@pytest.fixture
def services() -> Iterator[PlacesServices]:
    made = PlacesServices()
    made.places = [Made("Q1", "Tower", 40), Made("Q2", "Bridge", 25)]
    yield made
    made.close()


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return noise_photos(tmp_path / "own", ("Tower", "Bridge"))


def start(services: PlacesServices, own: Path, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, services.url, str(services.port), str(own), str(out)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(services: PlacesServices, own: Path, out: Path) -> None:
    with start(services, own, out) as program:
        said, wrong = program.communicate(timeout=120)
    assert said.endswith("done\n"), wrong


def kill_in(stage: str, services: PlacesServices, own: Path, out: Path) -> bool:
    """Kill it at the first step of a stage, or where it has none at the beginning of the next one."""
    with start(services, own, out) as program:
        assert program.stdout is not None
        begun = False
        for line in program.stdout:
            if begun:
                os.kill(program.pid, signal.SIGKILL)
                break
            begun = line.startswith(f"stage {stage}")
        program.wait()
    return begun


def result(out: Path) -> tuple[str, list[tuple[str, ...]], dict[str, bytes]]:
    """The table, the manifest and the photos, by their places within the folder."""
    manifest = read_manifest(out / MANIFEST)
    entries = [(str(Path(each.path).relative_to(out)), *each.labels, each.dropped) for each in manifest.entries]
    photos = {str(file.relative_to(out)): file.read_bytes() for file in out.glob("photos/*/*")}
    return (out / TABLE).read_text(), entries, photos


def test_killed_in_each_stage_it_ends_with_the_same(services: PlacesServices, own: Path, tmp_path: Path) -> None:
    end(services, own, tmp_path / "whole")
    for stage in STAGES:
        assert kill_in(stage, services, own, tmp_path / "killed"), stage
    asked = len(services.asked)
    end(services, own, tmp_path / "killed")
    assert len(services.asked) == asked, "what was told before was asked for again"
    whole = result(tmp_path / "whole")
    assert len(whole[2]) == 8 * 2, "each city has a tower and a bridge"
    assert result(tmp_path / "killed") == whole
