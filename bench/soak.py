"""Many requests with changing models and heat maps: does the server keep anything?"""

from __future__ import annotations

import asyncio
import random
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.load_client import hammer, photo_request
from bench.photos import SMALL, made
from bench.report import Report, Table, Verdict
from bench.served import Served, Taken, served
from bench.settings import SHARED, Settings
from veduta.images.preprocess import Preprocessing
from veduta.labels.categories import places365
from veduta.models.bundle import Head, write_bundle

#: Less than two of the models fit at once, so that they come and go all the time.
MEMORY_MB = 160
CLIENTS = 4
_ORIGINALS = 32
_CHECKS = 20
#: Of 128 requests so many are not about the model that the others ask: each may make two models change places.
_OF_OTHERS = 3


def run(settings: Settings) -> Report:
    """Send what ``settings`` say, in twenty parts, and look at the server after each."""
    report = Report("soak")
    count = settings.scale.load
    photos = [path.read_bytes() for path in made(SMALL, min(_ORIGINALS, settings.scale.small), settings.photos)]
    home = settings.out / "soak-home"
    shutil.rmtree(home, ignore_errors=True)
    try:
        models = make_store(home)
        with served(home, memory_mb=MEMORY_MB) as server:
            samples, statuses = soak(server, photos, models, count, _CHECKS)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    settled = samples[len(samples) // 4 :]
    growth = slope_share([each.pss for each in settled])
    report.figures = {
        "requests": count,
        "statuses": statuses,
        "samples": [[each.pss, each.descriptors, each.threads, each.processes] for each in samples],
        "growth": growth,
    }
    rows = [
        (f"{(place + 1) * count // len(samples)}", f"{each.pss / 1e6:.0f}", f"{each.descriptors}", f"{each.threads}")
        for place, each in enumerate(samples)
        if place % 2 or place == 0
    ]
    report.tables.append(Table("Soak", ("requests", "PSS, MB", "descriptors", "threads"), rows))
    first = settled[0]
    flat = all(each.descriptors <= first.descriptors + 4 and each.threads <= first.threads + 4 for each in settled)
    wrong = sum(number for status, number in statuses.items() if status != 200)
    report.verdicts += [
        Verdict("soak: memory after a quarter of the way", "flat within 10 %", f"{growth:+.1%}", growth <= 0.10),
        Verdict("soak: descriptors; threads", "flat", _spread(settled), flat),
        Verdict("soak: answers but 200", "0", f"{wrong}", not wrong),
    ]
    return report


def soak(
    server: Served, photos: list[bytes], models: list[str], count: int, checks: int
) -> tuple[list[Taken], dict[int, int]]:
    """So many requests, with what the server takes after each of ``checks`` parts, and the statuses of all."""
    chance = random.Random(5)
    samples: list[Taken] = []
    statuses: dict[int, int] = {}
    for part in range(checks):
        requests = _requests(photos, models, models[part % len(models)], chance)
        outcome = asyncio.run(hammer(server.port, requests, clients=CLIENTS, count=max(1, count // checks)))
        samples.append(server.taken())
        for status, number in outcome.statuses.items():
            statuses[status] = statuses.get(status, 0) + number
    return samples, statuses


def _requests(photos: list[bytes], models: list[str], most: str, chance: random.Random) -> list[bytes]:
    """Of all kinds: most ask one model, a few another one or all, so that models come and go all the time."""
    requests = []
    for number in range(128):
        model = chance.choice([*models, "all"]) if number < _OF_OTHERS else most
        query = f"?models={model}&heatmap={chance.choice(['true', 'false'])}"
        query += f"&language={chance.choice(['en', 'de', 'zh'])}&top_k={chance.choice([1, 5, 30])}"
        requests.append(photo_request(chance.choice(photos), query))
    return requests


def make_store(home: Path) -> list[str]:
    """A store with the network of Places beside the bundled model, twice; the names of all three."""
    head = Head("scenes", "single_label", places365(), class_maps="class_maps", class_maps_mean_is_logits=True)
    for name in ("places365-a", "places365-b"):
        write_bundle(
            home / "models" / name,
            name=name,
            kind="classifier",
            graph=SHARED / "weights" / "places365_squeezenet.onnx",
            preprocessing=Preprocessing("crop", ((224, 224),), "bilinear", 256),
            heads=[head],
            card="For the soak.",
        )
    return ["places100", "places365-a", "places365-b"]


def slope_share(values: list[int]) -> float:
    """How much a straight line through the values rises over all of them, as a share of their mean."""
    if len(values) < 2:
        return 0.0
    points: NDArray[np.float64] = np.asarray(values, np.float64)
    slope = np.polyfit(np.arange(len(points)), points, 1)[0]
    return float(slope * (len(points) - 1) / points.mean())


def _spread(samples: list[Taken]) -> str:
    descriptors, threads = [each.descriptors for each in samples], [each.threads for each in samples]
    return f"{min(descriptors)} to {max(descriptors)}; {min(threads)} to {max(threads)}"
