"""Where the benchmarks read and write, and how much they do."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from veduta.models.threads import available_threads

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
DATA = SHARED / "data"
MOBILENET_WEIGHTS = SHARED / "weights" / "mobilenet_v2_imagenet.safetensors"


_VERSIONS = ("veduta", "openvino", "pillow", "simplejpeg", "numpy", "torch", "torchvision", "transformers")


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is done.

    The first ``networks`` of the comparisons are measured, in ``rounds`` that each take every side once; ``evidence``
    is the number of training photos of each class, ``steps`` those of a training. A model of one's own classes is made
    of ``own`` photos of each, in ``epochs``, and tested in ``parts``. The rest are numbers of photos and of runs.
    """

    name: str
    networks: int
    rounds: int
    large: int
    small: int
    scenes: int
    parity: int
    deletion: int
    starts: int
    load: int
    evidence: int
    steps: int
    own: int
    epochs: int
    parts: int


SCALES = {
    scale.name: scale
    for scale in (
        Scale(
            "full",
            networks=2,
            rounds=3,
            large=104,
            small=320,
            scenes=500,
            parity=500,
            deletion=300,
            starts=10,
            load=20_000,
            evidence=285,
            steps=40,
            own=1000,
            epochs=8,
            parts=5,
        ),
        Scale(
            "quick",
            networks=2,
            rounds=2,
            large=64,
            small=256,
            scenes=60,
            parity=120,
            deletion=60,
            starts=4,
            load=3_000,
            evidence=60,
            steps=12,
            own=20,
            epochs=4,
            parts=5,
        ),
        Scale(
            "tiny",
            networks=1,
            rounds=1,
            large=2,
            small=4,
            scenes=3,
            parity=8,
            deletion=4,
            starts=1,
            load=60,
            evidence=3,
            steps=2,
            own=4,
            epochs=1,
            parts=2,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Settings:
    """One run of the benchmarks.

    ``photos`` caches the made photos, ``out`` takes JSON and Markdown, ``batch`` is that of the sides which we are
    compared with.
    """

    scale: Scale
    photos: Path
    out: Path
    batch: int = 16


def machine() -> dict[str, object]:
    """What the figures were measured on, and with which versions."""
    return {
        "processor": _processor(),
        "cores": available_threads(),
        "system": f"{platform.system()} {platform.release()}",
        "load_average": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        **{name: version(name) for name in _VERSIONS},
    }


def middle(values: Sequence[float]) -> float:
    """The median, which one disturbed round does not move."""
    return float(statistics.median(values))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
