from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from veduta.evaluation.figures import judge
from veduta.evaluation.label_map import LabelMap
from veduta.evaluation.levels import LevelJudgement, judge_level, wider_level
from veduta.evaluation.speed import Speed
from veduta.labels.categories import places100
from veduta.labels.taxonomy import Taxonomy
from veduta.models.bundle import Metric
from veduta.recognition.scoring import probabilities
from veduta.training.card import Card, Lever, SizeFigures, Source, write_card

TAXONOMY = Taxonomy.load(None)
LABELS = TAXONOMY.apply(places100())
SPEED = Speed(123.4, 120.0, 130.0, 128, 128, 2, "float32", "openvino", "Made CPU", 7)


def _card() -> Card:
    random = np.random.default_rng(0)
    targets = random.integers(0, 100, 400)
    logits = random.normal(0, 1, (400, 100)).astype(np.float32)
    logits[np.arange(400), targets] += 2
    said = probabilities(logits, "single_label", 1.0)
    judgement = judge(LABELS, said, targets, "made/val")
    folders = ["airport" if index % 2 else "bedroom" for index in range(400)]
    top1 = judgement.metrics[0]
    return Card(
        name="made",
        summary="A made model.",
        metrics=judgement.metrics,
        sources=(Source("photos | of ours", "training", "ours"),),
        making=("It was trained.", "Then it was measured."),
        limits=("It knows 100 scenes.",),
        not_for=("Decisions about people.",),
        judgement=judgement,
        coarse=_by_coarse(said, [LABELS[target].id for target in targets], "made/val").judgement,
        elsewhere=(_by_coarse(said, folders, "made27"),),
        evidence=(Metric("evidence_rejected", 0.75, "cats", 40, (0.6, 0.86)),),
        levers=(Lever("mixup", "0.2", 0.512, 0.809, "helps"), Lever("SGD", "0.06", None, None, "left at step 12")),
        levers_data="1,500 held-out photos",
        sizes=(SizeFigures("128", top1, top1, SPEED),),
        picture="docs/pictures/made-calibration.png",
        parity=1e-5,
        parity_photos=500,
        bytes=15_400_000,
    )


def _by_coarse(said: NDArray[np.float32], names: list[str], data: str) -> LevelJudgement:
    level = wider_level("coarse", LABELS, TAXONOMY, [*dict.fromkeys(names), "ocean", "fog"], LabelMap())
    assert level is not None
    return judge_level(level, said, names, data)


def test_a_card_tells_every_part_with_its_figures() -> None:
    text = write_card(_card())
    for heading in (
        "# made", "## Figures", "## How far to believe a probability", "## What it confuses", "## By everyday label",
        "## On made27", "## Photos that it does not know", "## Speed and accuracy by size", "## What was tried",
        "## From what it was made", "## How it was made", "## Limits", "## What it must not be used for",
    ):  # fmt: skip
        assert f"{heading}\n" in text
    assert "| SGD | 0.06 | – | – | left at step 12 |" in text
    assert "| mixup | 0.2 | 51.2% | 80.9% | helps |" in text
    assert "| strangers rejected by the evidence | 75.0% | 60.0% – 86.0% | cats | 40 |" in text
    assert "Made CPU, 2 threads, openvino, float32, median of 7 rounds" in text
    assert "15.4 MB" in text
    assert "ocean (sea)" in text
    assert "no label has their name: fog" in text
    assert "![Share right over probability](docs/pictures/made-calibration.png)" in text
    assert "nan" not in text


def test_every_table_has_as_many_cells_in_each_row_as_in_its_head() -> None:
    tables = re.findall(r"(?:^\|.*\|$\n?)+", write_card(_card()), re.MULTILINE)
    assert len(tables) == 11
    for table in tables:
        cells = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(cells) == 1, table


def test_what_was_not_measured_is_left_out() -> None:
    text = write_card(Card("bare", "A bare model.", (), (), ("Made.",), ("Knows little.",), ("Anything that counts.",)))
    for heading in ("believe", "confuses", "tried", "Speed", "not know", "everyday"):
        assert heading not in text
    assert "logits" not in text
