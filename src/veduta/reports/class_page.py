"""What the page of an evaluation shows of a model of one label for each photo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from veduta.errors import MissingExtra
from veduta.evaluation.conformal import LabelSets, fewest_photos
from veduta.evaluation.evaluate_classes import Evaluation
from veduta.evaluation.figures import Judgement
from veduta.evaluation.levels import LEVEL_WORDS, LevelJudgement
from veduta.evaluation.metrics import Confusion
from veduta.evaluation.thresholds import Promise, ThresholdRow
from veduta.images.pool import DecodePool
from veduta.recognition.tagger import Tagger
from veduta.reports.confusion import confusion_png
from veduta.reports.figure_panels import calibration_panel, drop_table, failure_panel, not_judged, themed
from veduta.reports.markup import (
    Cell,
    Panel,
    columns_chart,
    count,
    figures_table,
    panel,
    paragraph,
    share,
    table,
    text,
    words,
)
from veduta.reports.mistakes import mistake_cards
from veduta.reports.photo_pictures import Pictures, put_photos
from veduta.reports.themes import DARK, LIGHT

#: Confused pairs, classes that sets of labels cover least, and mistakes on photos from elsewhere, that are shown.
PAIRS, LEAST_COVERED, WILD_MISTAKES = 20, 10, 24
# Sets of more labels are one column.
_LARGEST_SET = 20


def class_panels(folder: Path, evaluation: Evaluation, tagger: Tagger, pool: DecodePool) -> list[Panel]:
    """The sections of the page, whose pictures are written into its folder. Raises OutputError."""
    judgement, wild = evaluation.judgement, evaluation.wild
    shown_mistakes = [*evaluation.mistakes, *(wild.mistakes[:WILD_MISTAKES] if wild else ())]
    pictures = put_photos(folder, [(each.path, each.explained) for each in shown_mistakes], tagger, pool)
    caveat = evaluation.conditions.caveat
    panels = [
        _figures(evaluation),
        calibration_panel(folder, judgement.calibration, judgement.bins, caveat, "the first label"),
        _thresholds(evaluation.thresholds, evaluation.promises),
        _sets(evaluation.sets, judgement),
        _classes(judgement),
        _confusions(folder, judgement),
        _names(evaluation.main),
        _wild(evaluation, pictures) if wild else None,
        _mistakes(evaluation, pictures),
        failure_panel(evaluation.all_failures),
    ]
    return [each for each in panels if each is not None]


def _figures(evaluation: Evaluation) -> Panel:
    judgement = evaluation.judgement
    metrics = (*judgement.metrics, *judgement.further, *evaluation.evidence)
    what = LEVEL_WORDS[evaluation.main.level.name].removeprefix("your ")
    levels = ""
    if evaluation.others:
        rows = [_level(each) for each in (evaluation.main, *evaluation.others)]
        levels = "<h3>By other labels as well</h3>" + table(
            ("by", "labels", "top-1 accuracy", "top-5 accuracy", "photos"), rows
        )
        levels += paragraph(
            "Probabilities are summed over the classes of a label before labels are ranked.", kind="note"
        )
    return panel(
        "figures",
        "Figures",
        paragraph(f"By {len(judgement.labels):,} {what}. An interval holds the true value in 95 of 100 such sets."),
        figures_table(metrics),
        levels,
    )


def _level(found: LevelJudgement) -> tuple[Cell, ...]:
    judgement = found.judgement
    figures = {each.name: each for each in judgement.metrics}
    accuracies = (
        share(each.value, each.interval) if (each := figures.get(k)) else share(None) for k in ("top1", "top5")
    )
    return words(LEVEL_WORDS[found.level.name]), count(len(judgement.labels)), *accuracies, count(judgement.photos)


def _wild(evaluation: Evaluation, pictures: dict[tuple[str, int], Pictures]) -> Panel:
    wild = evaluation.wild
    assert wild is not None
    mistakes = wild.mistakes[:WILD_MISTAKES]
    return panel(
        "elsewhere",
        "On photos from elsewhere",
        paragraph(
            f"The same of {wild.judgement.photos:,} photos of {wild.judgement.data}. The drop is that of shares of "
            "different photos, with Newcombe's interval; where it reaches below 0, these photos show no drop."
        ),
        drop_table(evaluation.drops),
        "<h3>All figures there</h3>",
        figures_table((*wild.judgement.metrics, *wild.judgement.further, *wild.evidence)),
        not_judged(wild.main.mapping.unnamed, wild.main.mapping.absent, "label that is judged"),
        "<h3>The surest mistakes there</h3>" + mistake_cards(mistakes, pictures) if mistakes else "",
    )


def _thresholds(rows: Sequence[ThresholdRow], promises: Sequence[Promise]) -> Panel:
    told = "".join(
        f'<li class="{"kept" if each.threshold is not None else "open"}"><b>{100 * each.precision:.4g} %</b>'
        f"<span>{text(each.sentence)}</span></li>"
        for each in promises
    )
    cells = [
        (
            Cell(f"{row.threshold:.2f}", row.threshold),
            count(row.above),
            count(row.above_right),
            count(row.above_wrong),
            count(row.below),
            count(row.below_right),
            count(row.below_wrong),
            share(row.accuracy_over_all),
            share(row.accuracy_above, row.interval_above if row.above else None),
        )
        for row in rows
    ]
    head = ("from", "above", "right", "wrong", "below", "right", "wrong", "right of all", "right of those above")
    return panel(
        "thresholds",
        "If unsure answers are withheld",
        "<h3>The threshold for a wanted precision</h3>",
        paragraph(
            "Where a threshold is named, at least that share of the answers above it is right, 95 % sure, for photos "
            "like these (a binomial lower bound, thresholds tested in a fixed order)."
        )
        if promises
        else "",
        f'<ul class="promises">{told}</ul>' if told else "",
        "<h3>Any threshold</h3>",
        paragraph("Of all photos, those below the threshold count as wrong, for their answer is withheld."),
        table(head, cells),
    )


def _sets(sets: LabelSets | None, judgement: Judgement) -> Panel:
    title = "Sets of labels"
    if sets is None:
        needed = fewest_photos()
        return panel(
            "sets", title, paragraph(f"Too few photos to promise this: a set takes more than {needed} to be chosen by.")
        )
    counts = np.bincount(np.minimum(sets.sizes, _LARGEST_SET + 1), minlength=2)
    largest = len(counts) - 1
    bars = [
        (f"{_LARGEST_SET + 1}+" if size > _LARGEST_SET else str(size), int(counts[size]))
        for size in range(1, largest + 1)
    ]
    rows = [
        (
            words(each.label.name),
            count(each.photos),
            share(each.coverage, each.interval),
            Cell(f"{each.mean_size:.1f}", 0),
        )
        for each in sets.classes[:LEAST_COVERED]
    ]
    low, high = sets.mean_size_interval
    return panel(
        "sets",
        title,
        paragraph(
            sets.sentence,
            f"The mean size lies between {low:.2f} and {high:.2f}. A set takes every label from a probability of "
            f"{sets.threshold:.4f} on, and the first one always; the share holds over all photos, not for each class.",
        ),
        '<div class="beside"><div><h3>Photos by the labels in their set</h3>'
        + columns_chart(bars, f"How many of {len(judgement.targets):,} photos have a set of so many labels")
        + "</div><div><h3>The classes whose sets miss them most</h3>"
        + table(("class", "photos", "held", "labels in a set"), rows)
        + "</div></div>",
        paragraph(
            f"Split conformal prediction, each of {sets.folds} parts of the photos with the threshold that the others "
            "chose.",
            kind="note",
        ),
    )


def _classes(judgement: Judgement) -> Panel:
    worst_first = sorted(judgement.classes, key=lambda each: (each.f1, each.label.id))
    rows = [
        (
            words(each.label.name),
            count(each.photos),
            share(each.recall, each.recall_interval),
            count(each.said),
            share(each.precision, each.precision_interval),
            share(each.f1, each.f1_interval),
        )
        for each in worst_first
    ]
    head = ("class", "photos", "recall: found", "called so", "precision: right", "F1")
    return panel("classes", "Class by class", table(head, rows, sortable=True))


def _confusions(folder: Path, judgement: Judgement) -> Panel:
    try:
        light, dark = (confusion_png(judgement.matrix, judgement.labels, theme=theme) for theme in (LIGHT, DARK))
    except MissingExtra:
        picture = ""
    else:
        picture = themed(folder, light, dark, "The share of each class that was called each other")
    pairs = "\n".join(_pair(pair) for pair in judgement.confusions[:PAIRS])
    most = f'<h3>Most confused</h3><ol class="pairs">{pairs}</ol>'
    beside = f'<div class="beside wide"><div>{picture}</div><div>{most}</div></div>'
    return panel("confusions", "Who is taken for whom", beside)


def _pair(pair: Confusion) -> str:
    told = f"<small>{pair.share:.0%}, {pair.photos:,}</small>"
    return f"<li><span>{text(pair.true.name)} → {text(pair.predicted.name)}</span> {told}</li>"


def _names(main: LevelJudgement) -> Panel | None:
    """What the names of the set were taken for, where that is not plain."""
    mapping = main.mapping
    if not main.renamed and not mapping.unnamed and not mapping.absent:
        return None
    rows = [
        (
            words(each.label.id),
            words(each.label.coarse or ""),
            count(each.photos),
            share(each.recall, each.recall_interval),
        )
        for each in main.renamed
    ]
    return panel(
        "names",
        "What the set's names mean",
        not_judged(mapping.unnamed, mapping.absent, LEVEL_WORDS[main.level.name].removeprefix("your ")),
        table(("name", "judged as", "photos", "found"), rows, sortable=True) if rows else "",
    )


def _mistakes(evaluation: Evaluation, pictures: dict[tuple[str, int], Pictures]) -> Panel | None:
    mistakes = evaluation.mistakes
    wrong = int((~evaluation.judgement.right).sum())
    if not mistakes:
        return panel("mistakes", "The surest mistakes", paragraph("There are none: every photo was told right."))
    return panel(
        "mistakes",
        "The surest mistakes",
        paragraph(
            f"{len(mistakes):,} of {wrong:,} mistake{'s' * (wrong != 1)}, the surest first. Some of the photos are "
            "labelled wrongly or show both places; the others say where the model errs. Above is what it said, and the "
            "coloured part of the photo is where that came from; below is what the photo is labelled as, with the "
            "probability that this got and its place among all."
        ),
        mistake_cards(mistakes, pictures),
    )
