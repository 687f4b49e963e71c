"""What a finished candidate reaches, measured on its bundle as a user would run it: files in, answers out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veduta.evaluation.answers import ask
from veduta.evaluation.evaluate_classes import Evaluation, evaluate_classes
from veduta.evaluation.evidence import evidence_metrics
from veduta.evaluation.figures import Judgement
from veduta.evaluation.levels import LevelJudgement
from veduta.evaluation.options import Options
from veduta.evaluation.speed import measure_speed
from veduta.images.pool import DecodePool
from veduta.images.sources import expand
from veduta.models.bundle import Metric
from veduta.models.threads import available_threads
from veduta.recognition.tagger import Tagger, load
from veduta.training.card import SizeFigures

#: Sides of the input that the card compares: one faster, the model's own, one slower.
SIZES = (96, 128, 160)
#: Folders of photos that are no scene of the model's, in the data folder.
STRANGERS = ("cat_dog", "distractors")


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """All figures of a candidate. ``val`` is its evaluation on the test photos, ``elsewhere`` on another set."""

    val: Evaluation
    coarse: Judgement
    elsewhere: LevelJudgement
    evidence: tuple[Metric, ...]
    sizes: tuple[SizeFigures, ...]


def measure(bundle: Path, data: Path, stage: Callable[[str], None]) -> Measured:
    """Measure a bundle on ``places100/val``, on sun27 by everyday labels, on strangers, and at several sizes.

    Raises UsageError where one of the folders is not there.
    """
    tagger = load(bundle)
    with DecodePool(available_threads()) as pool:
        stage("measuring on places100/val")
        val = evaluate_classes(tagger, data / "places100" / "val", pool)
        stage("measuring on sun27")
        elsewhere = evaluate_classes(tagger, data / "sun27", pool, Options(coarse=True)).main
        stage("measuring on photos that are no scene")
        evidence = _evidence(tagger, data, pool)
        sizes = tuple(_at_size(bundle, side, data, pool, stage) for side in SIZES)
    coarse = val.at("coarse")
    assert coarse is not None, "the shipped taxonomy knows all categories of Places"
    return Measured(val, coarse.judgement, elsewhere, evidence, sizes)


def _evidence(tagger: Tagger, data: Path, pool: DecodePool) -> tuple[Metric, ...]:
    if tagger.bundle.evidence is None:
        return ()
    known = _evidence_of(tagger, data / "places100" / "val", pool)
    strangers = {name: _evidence_of(tagger, data / name, pool) for name in STRANGERS}
    return evidence_metrics(known, strangers, tagger.bundle.evidence.threshold, "places100/val")


def _evidence_of(tagger: Tagger, folder: Path, pool: DecodePool) -> NDArray[np.float32]:
    found = ask(tagger, expand([str(folder)]), pool).evidence
    assert found is not None, "the bundle has evidence"
    return found


def _at_size(bundle: Path, side: int, data: Path, pool: DecodePool, stage: Callable[[str], None]) -> SizeFigures:
    stage(f"measuring at {side} pixels")
    tagger = load(bundle, size=side)
    judged = evaluate_classes(tagger, data / "places100" / "val", pool).judgement
    figures = {metric.name: metric for metric in judged.metrics}
    outputs = [tagger.head.logits] + ([tagger.bundle.evidence.output] if tagger.bundle.evidence else [])
    speed = measure_speed(tagger.session, (side, side), outputs)
    return SizeFigures(f"{side} × {side}", figures["top1"], figures["top5"], speed)
