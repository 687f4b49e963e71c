"""``python -m bench``: runs the benchmarks, prints their tables, and writes JSON and Markdown."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from bench import photos
from bench.report import Report, Verdict, verdict_table
from bench.settings import ROOT, SCALES, Settings

#: In the order of ``all``, which leaves out those of ``LONG``; memory comes last, because it takes longest.
BENCHMARKS = {
    "throughput": "bench.throughput",
    "agreement": "bench.agreement",
    "heat-maps": "bench.heat_maps",
    "evidence": "bench.evidence",
    "attributes": "bench.attributes",
    "duplicates": "bench.duplicates",
    "label-sets": "bench.label_sets",
    "landmark-search": "bench.landmark_search",
    "landmarks": "bench.landmarks",
    "transfer": "bench.transfer",
    "new-classes": "bench.new_classes",
    "names-only": "bench.names_only",
    "generation": "bench.generation",
    "training": "bench.training",
    "start": "bench.start",
    "serving": "bench.serving",
    "memory": "bench.memory",
    "soak": "bench.soak",
}

#: Trainings and loads of ten minutes to hours, each run by its own name.
LONG = ("landmarks", "transfer", "new-classes", "names-only", "generation", "serving", "soak")


def main() -> None:
    """Run what was asked for."""
    given = _parser().parse_args()
    scale = SCALES["tiny" if given.tiny else "quick" if given.quick else "full"]
    settings = Settings(scale, given.photos, given.out, given.batch)
    match given.benchmark:
        case "photos":
            for photo_set, count in (
                (photos.LARGE, scale.large),
                (photos.SMALL, scale.small),
                (photos.SCENES, scale.scenes),
            ):
                photos.made(photo_set, count, settings.photos)
        case "table":
            print(_table(settings))
        case "all":
            for name in BENCHMARKS:
                if name not in LONG:
                    _run(name, settings)
            print(_table(settings))
        case name:
            _run(name, settings)
    if given.delete_photos:
        photos.delete(settings.photos)


def _run(name: str, settings: Settings) -> None:
    # Each is imported when its turn comes, because most import torch.
    run: Callable[[Settings], Report] = import_module(BENCHMARKS[name]).run
    run(settings).publish(settings)


def _table(settings: Settings) -> str:
    """All lines of "Must reach" that were measured so far, for the README."""
    verdicts = []
    for name in BENCHMARKS:
        file = settings.out / f"{name}.json"
        if file.is_file():
            content: dict[str, Any] = json.loads(file.read_text())
            verdicts += [Verdict(**line) for line in content["must_reach"]]
    text = verdict_table(verdicts).markdown()
    (settings.out / "must-reach.md").write_text(text)
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Benchmarks of Veduta; see docs/benchmarks.md."
    )
    parser.add_argument(
        "benchmark",
        choices=["photos", *BENCHMARKS, "all", "table"],
        help="photos makes the photos and stops; table prints what was measured before",
    )
    scale = parser.add_mutually_exclusive_group()
    scale.add_argument("--quick", action="store_true", help="fewer photos and rounds: minutes, rougher figures")
    scale.add_argument("--tiny", action="store_true", help="a handful of photos: only shows that everything runs")
    parser.add_argument("--photos", type=Path, default=photos.DEFAULT_CACHE, help="where made photos are kept")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench", help="where results go")
    parser.add_argument("--batch", type=int, default=16, help="batch of the sides that we are compared with")
    parser.add_argument("--delete-photos", action="store_true", help="remove the made photos afterwards")
    return parser


if __name__ == "__main__":
    main()
