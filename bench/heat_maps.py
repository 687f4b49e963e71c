"""Heat maps: do they mark what decides (the deletion test), and what do they cost?"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.default_model import default_model
from bench.full_decode import inputs_of
from bench.photos import sources
from bench.report import Report, Table, Verdict, percent
from bench.settings import Settings, middle
from veduta.explanation.deletion import hottest, moved, random_block, removal_drops
from veduta.explanation.saliency import heat_maps, map_preprocessing
from veduta.images.decode import decode
from veduta.models.bundle import Bundle
from veduta.models.session import Session
from veduta.models.threads import available_threads

FRACTION = 0.2
#: Random blocks for each photo. Each is one trial, so that one lucky block decides nothing.
_BLOCKS = 5
_WANTED, _MOST_PASSES = 0.85, 2.5
_TIMED = 32


def run(settings: Settings) -> Report:
    """Measure the bundled model."""
    report = Report("heat-maps")
    bundle = Bundle.load(default_model(settings))
    photos = sources("sun27")[: settings.scale.deletion]
    _deletion(report, bundle, photos)
    _cost(report, bundle, photos)
    return report


def _deletion(report: Report, bundle: Bundle, photos: list[Path]) -> None:
    session = Session(bundle.graph)
    wanted = map_preprocessing(bundle)
    rng = np.random.default_rng(20)
    wins: list[float] = []
    wins_over_moved: list[float] = []
    drops: list[tuple[float, float]] = []
    for photo in photos:
        pixels = np.asarray(decode(photo.read_bytes(), [wanted]).inputs[0], dtype=np.uint8)
        logits = session.run(pixels[None], [bundle.heads[0].logits])[bundle.heads[0].logits]
        label = int(logits[0].argmax())
        values = heat_maps(session, bundle, pixels[None], [label])[0][0]
        size = pixels.shape[1], pixels.shape[0]
        regions = [hottest(values, size, FRACTION), hottest(moved(values, rng), size, FRACTION)]
        regions += [random_block(size, FRACTION, rng) for _ in range(_BLOCKS)]
        marked, shifted, *blocks = removal_drops(session, bundle, pixels, label, np.stack(regions)).tolist()
        wins.append(float(np.mean([marked > block for block in blocks])))
        wins_over_moved.append(float(marked > shifted))
        drops.append((marked, float(np.mean(blocks))))
    share = float(np.mean(wins))
    own, block = (float(np.mean([drop[which] for drop in drops])) for which in (0, 1))
    report.figures["deletion"] = {
        "model": bundle.name,
        "photos": len(photos),
        "blocks_per_photo": _BLOCKS,
        "lowers_more_than_block": share,
        "lowers_more_than_same_shape_elsewhere": float(np.mean(wins_over_moved)),
        "mean_drop_of_map": own,
        "mean_drop_of_block": block,
    }
    row = (bundle.name, str(len(photos)), percent(share), percent(float(np.mean(wins_over_moved))), f"{own:.3f}")
    columns = ("model", "SUN photos", "hurts more than a block", "than its own shape elsewhere", "mean drop", "block's")
    report.tables.append(Table("Deletion of the hottest 20 %", columns, [(*row, f"{block:.3f}")]))
    what = "heat maps: removing the top 20 % against a random connected block"
    report.verdicts.append(Verdict(what, "≥ 85 %", percent(share), share >= _WANTED))


def _cost(report: Report, bundle: Bundle, photos: list[Path]) -> None:
    """What a map costs beside the answer, in forward passes of the answer's own size; decoding is shared by both."""
    output = bundle.heads[0].logits
    plain = inputs_of(photos[:_TIMED], bundle.preprocessing)
    by_size: dict[tuple[int, ...], list[NDArray[np.uint8]]] = {}
    for photo in photos[:_TIMED]:
        pixels = np.asarray(decode(photo.read_bytes(), [map_preprocessing(bundle)]).inputs[0], dtype=np.uint8)
        by_size.setdefault(pixels.shape, []).append(pixels)
    groups = [np.stack(group) for group in by_size.values()]
    rows = []
    for threads in sorted({1, available_threads()}):
        session = Session(bundle.graph, threads=threads)

        def maps(session: Session = session) -> None:
            for group in groups:
                heat_maps(session, bundle, group, [0] * len(group))

        def forward(session: Session = session) -> None:
            session.run(plain, [output])

        passes, one = _ratio(maps, forward)
        rows.append((str(threads), f"{1e3 * one / len(plain):.2f} ms", f"{passes:.2f}"))
        report.figures[f"cost, {threads} threads"] = {"forward_passes": passes, "pass_seconds": one / len(plain)}
        side = bundle.preprocessing.sizes[0][0]
        what = f"heat map, extra cost per photo, {threads} threads"
        told = f"{passes:.2f} forward passes at {side} px"
        report.verdicts.append(Verdict(what, "≤ 2.5", told, passes <= _MOST_PASSES))
    columns = ("threads", "forward pass, per photo", "heat map in forward passes")
    report.tables.append(Table("Cost of a heat map", columns, rows, f"{len(plain)} photos, {bundle.name}."))


def _ratio(work: Callable[[], None], unit: Callable[[], None], rounds: int = 9) -> tuple[float, float]:
    """How many ``unit`` a ``work`` takes, in turn, by medians; and the seconds of one ``unit``."""
    seconds: tuple[list[float], list[float]] = ([], [])
    work()  # both once before the clock runs: the first run of a size compiles it
    unit()
    for _ in range(rounds):
        for step, times in zip((work, unit), seconds, strict=True):
            began = time.perf_counter()
            step()
            times.append(time.perf_counter() - began)
    return middle(seconds[0]) / middle(seconds[1]), middle(seconds[1])
