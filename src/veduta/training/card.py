"""The card of a model: what it is, from what, how good by which measure, what was tried, and what it is not for.

Data in, Markdown out. A recipe measures and hands the figures over; nothing here measures, and no figure stands in
this text. Parts that were not measured are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from veduta.evaluation.figures import WORDS, Judgement, shown
from veduta.evaluation.levels import LevelJudgement
from veduta.evaluation.metrics import ClassFigure, condensed
from veduta.evaluation.speed import Speed
from veduta.models.bundle import Metric
from veduta.reports.calibration import calibration_rows

#: Pairs of classes that a card tells.
PAIRS = 20


@dataclass(frozen=True, slots=True)
class Lever:
    """One thing that was tried: its setting, the shares in [0, 1] that it reached, and what to learn from it.

    ``top1`` and ``top5`` are None where an attempt failed before it could be measured; the note then says how.
    """

    name: str
    setting: str
    top1: float | None
    top5: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class SizeFigures:
    """What the model reaches at one input size, and how fast it is there."""

    size: str
    top1: Metric
    top5: Metric
    speed: Speed


@dataclass(frozen=True, slots=True)
class Source:
    """Data or weights that the model was made from, or measured on: what for, and by which right."""

    name: str
    use: str
    rights: str


@dataclass(frozen=True, slots=True)
class Card:
    """All that a card tells.

    ``summary`` is the first paragraph. ``judgement`` gives the calibration and the confused pairs, ``coarse`` the
    accuracy of each coarse label on the same photos, ``elsewhere`` judgements on other sets. ``levers`` were measured
    on ``levers_data``. ``making`` and ``limits`` are sentences, one a line, ``not_for`` what the model must not be used
    for. ``picture`` is the address of the reliability diagram, relative to where the card is read. ``parity`` is the
    largest difference between the graph's logits and ``parity_with`` over ``parity_photos`` photos. ``bytes`` is the
    size of all files of the bundle.
    """

    name: str
    summary: str
    metrics: tuple[Metric, ...]
    sources: tuple[Source, ...]
    making: tuple[str, ...]
    limits: tuple[str, ...]
    not_for: tuple[str, ...]
    judgement: Judgement | None = None
    coarse: Judgement | None = None
    elsewhere: tuple[LevelJudgement, ...] = ()
    evidence: tuple[Metric, ...] = ()
    levers: tuple[Lever, ...] = ()
    levers_data: str = ""
    sizes: tuple[SizeFigures, ...] = ()
    picture: str | None = None
    parity: float | None = None
    parity_photos: int = 0
    parity_with: str = "torch's"
    bytes: int | None = None


def write_card(card: Card) -> str:
    """The card as Markdown."""
    parts = [
        f"# {card.name}\n\n{card.summary}",
        _figures(card),
        _calibration(card.judgement, card.picture),
        _confused(card.judgement),
        _coarse(card.coarse),
        *(_elsewhere(each) for each in card.elsewhere),
        _evidence(card.evidence),
        _sizes(card.sizes),
        _levers(card.levers, card.levers_data),
        "## From what it was made\n\n"
        + _table(("what", "used for", "rights"), [_source(each) for each in card.sources]),
        "## How it was made\n\n" + _bullets(card.making),
        "## Limits\n\n" + _bullets(card.limits),
        "## What it must not be used for\n\n" + _bullets(card.not_for),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _figures(card: Card) -> str:
    text = "## Figures\n\nIntervals hold the true value in 95 of 100 such measurements.\n\n" + _metric_table(
        card.metrics
    )
    if card.parity is not None:
        text += (
            f"\n\nThe graph's logits are within {card.parity:.0e} of {card.parity_with} on "
            f"{card.parity_photos:,} photos, with the same first label on all."
        )
    if card.bytes is not None:
        text += f"\n\nAll files together take {card.bytes / 1e6:.1f} MB."
    return text


def _calibration(judgement: Judgement | None, picture: str | None) -> str:
    if judgement is None:
        return ""
    error = judgement.calibration
    text = (
        "## How far to believe a probability\n\n"
        f"Photos of {judgement.data} by the probability of their first label, in bins of equal width. The bar is "
        "filled up to the share that was right, `┃` stands where the probability says it should end. The expected "
        f"calibration error, the mean distance of the two, is {error.value:.3f}; a perfectly calibrated model would "
        f"show {error.by_chance:.3f} on {error.photos:,} photos by chance.\n\n"
    )
    rows = [(*row[:-1], f"`{row[-1]}`") for row in calibration_rows(judgement.bins)]
    head = ("said", "photos", "mean probability", "right", "95 % interval", "0 % to 100 %")
    text += _table(head, rows, ".rrrr.".replace(".", "l"))
    return text if picture is None else f"{text}\n\n![Share right over probability]({picture})"


def _confused(judgement: Judgement | None) -> str:
    if judgement is None or not judgement.confusions:
        return ""
    rows = [
        (pair.true.name, pair.predicted.name, f"{pair.share:.0%}", f"{pair.photos:,}")
        for pair in judgement.confusions[:PAIRS]
    ]
    text = f"## What it confuses\n\nThe {len(rows)} most frequent mistakes on {judgement.data}.\n\n"
    return text + _table(("photos of", "called", "share", "photos"), rows, "llrr")


def _coarse(judgement: Judgement | None) -> str:
    if judgement is None:
        return ""
    first = judgement.metrics[0]
    value, interval = shown(first)
    text = (
        f"## By everyday label\n\nOver the {len(judgement.labels)} everyday labels of its classes it is right on "
        f"{value} ({interval}) of {first.count:,} photos of {judgement.data}.\n\n"
    )
    rows = [_class_row(each) for each in judgement.classes]
    return text + _table(("label", "photos", "found", "95 % interval", "right when said"), rows, "lrrrr")


def _elsewhere(coarse: LevelJudgement) -> str:
    judgement = coarse.judgement
    folders = [
        (
            each.label.id,
            each.label.coarse or "",
            f"{each.photos:,}",
            f"{each.recall:.1%}",
            _between(each.recall_interval),
        )
        for each in coarse.folders
    ]
    text = (
        f"## On {judgement.data}\n\nAnother set, whose classes have other names: both sides are mapped to everyday "
        f"labels, and the model may answer with any of its {len(judgement.labels)}.\n\n"
        f"{_metric_table(judgement.metrics)}\n\n"
        f"{_table(('class', 'everyday label', 'photos', 'found', '95 % interval'), folders, 'llrrr')}\n\n"
        f"{unjudged(coarse)}Photos by true label (row) and first label (column):\n\n"
    )
    labels, counts = condensed(judgement.matrix, judgement.labels)
    head = ("", "photos of", *(str(place + 1) for place in range(len(labels))), "other")
    rows = [
        (str(place + 1), label.name, *(f"{count}" if count else "·" for count in counts[place]))
        for place, label in enumerate(labels)
    ]
    return text + _table(head, rows, "rl" + "r" * (len(labels) + 1))


def unjudged(coarse: LevelJudgement) -> str:
    """The folders that were not judged, as a paragraph; empty where all were."""
    absent = ", ".join(f"{folder} ({label})" for folder, label in coarse.mapping.absent.items())
    sentences = []
    if absent:
        sentences.append(f"Not judged, for the model has no class of their everyday label: {absent}.")
    if coarse.mapping.unnamed:
        sentences.append(f"Not judged, for no label has their name: {', '.join(coarse.mapping.unnamed)}.")
    return " ".join(sentences) + "\n\n" if sentences else ""


def _evidence(metrics: Sequence[Metric]) -> str:
    if not metrics:
        return ""
    return (
        "## Photos that it does not know\n\nThe `evidence` output tells how much a photo looks like what the model was "
        "trained on; below the bundle's threshold it says that nothing fits.\n\n" + _metric_table(metrics)
    )


def _sizes(sizes: Sequence[SizeFigures]) -> str:
    if not sizes:
        return ""
    rows = [
        (
            each.size,
            *(" ".join((value, f"({interval})")) for value, interval in (shown(each.top1), shown(each.top5))),
            f"{each.speed.photos_per_second:,.0f}",
            f"{each.speed.slowest:,.0f} – {each.speed.fastest:,.0f}",
        )
        for each in sizes
    ]
    text = "## Speed and accuracy by size\n\n" + _table(
        ("size", "top-1", "top-5", "photos/s", "slowest – fastest round"), rows, "lrrrr"
    )
    conditions = dict.fromkeys(each.speed.conditions for each in sizes)
    return f"{text}\n\nThe graph alone, warm: {'; '.join(conditions)}. Accuracy on {sizes[0].top1.data}."


def _levers(levers: Sequence[Lever], data: str) -> str:
    if not levers:
        return ""
    rows = [
        (lever.name, lever.setting, *(_share(value) for value in (lever.top1, lever.top5)), lever.note)
        for lever in levers
    ]
    return f"## What was tried\n\nMeasured on {data}, failures included.\n\n" + _table(
        ("lever", "setting", "top-1", "top-5", "note"), rows, "llrrl"
    )


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _source(source: Source) -> tuple[str, str, str]:
    return source.name, source.use, source.rights


def _class_row(each: ClassFigure) -> tuple[str, ...]:
    precision = "–" if each.precision is None else f"{each.precision:.1%}"
    return each.label.name, f"{each.photos:,}", f"{each.recall:.1%}", _between(each.recall_interval), precision


def _between(interval: tuple[float, float]) -> str:
    return f"{interval[0]:.0%} – {interval[1]:.0%}"


def _metric_table(metrics: Iterable[Metric]) -> str:
    rows = [
        (WORDS.get(metric.name, metric.name), *shown(metric), metric.data, f"{metric.count:,}") for metric in metrics
    ]
    return _table(("figure", "value", "95 % interval", "measured on", "photos"), rows, "lrrlr")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], align: str = "") -> str:
    """A Markdown table; ``align`` has l or r for each column."""
    marks = {"l": "---", "r": "---:"}
    rule = [marks[each] for each in align.ljust(len(head), "l")]
    return "\n".join(f"| {' | '.join(map(_cell, row))} |" for row in (head, rule, *rows))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _bullets(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)
