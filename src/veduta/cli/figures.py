"""An evaluation as tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from veduta.images.limits import printable

if TYPE_CHECKING:
    from veduta.evaluation.coarse import CoarseJudgement
    from veduta.evaluation.evaluate import Evaluation
    from veduta.evaluation.evaluate_table import TableEvaluation
    from veduta.evaluation.metrics import Interval
    from veduta.models.bundle import Metric

#: Confused pairs on the terminal; ``--json`` has more.
PAIRS = 10

_FIGURE_HEAD = ("figure", "value", "95 % interval", "measured on", "photos")


def print_evaluation(evaluation: Evaluation) -> None:
    """Figures, calibration, confused pairs, and for everyday labels the folders and the matrix."""
    from veduta.reports.calibration import calibration_rows

    console = _console()
    judgement, coarse = evaluation.judgement, evaluation.coarse
    what = "everyday labels" if coarse else "classes"
    _print(console, f"{evaluation.conditions.title} on {judgement.data}, by {what}", "lrrlr",
           _FIGURE_HEAD, _figure_rows((*judgement.metrics, *evaluation.evidence)))  # fmt: skip
    _print(console, "How far to believe a probability", "lrrrrl",
           ("said", "photos", "mean probability", "right", "95 % interval", "0 to 100 %"),
           calibration_rows(judgement.bins))  # fmt: skip
    console.print(judgement.calibration.remark, style="dim")
    _say(console, evaluation.conditions.caveat)
    pairs = [
        (pair.true.name, pair.predicted.name, f"{pair.share:.0%}", f"{pair.photos:,}")
        for pair in judgement.confusions[:PAIRS]
    ]
    _print(console, "Most confused", "llrr", ("photos of", "called", "share", "photos"), pairs)
    if coarse:
        _print_coarse(console, coarse)
    if evaluation.left_out:
        _say(console, "Not judged, for no class of the model has their name: " + ", ".join(evaluation.left_out) + ".")


def print_table_evaluation(evaluation: TableEvaluation) -> None:
    """Means over the labels, and the figures of each."""
    console = _console()
    judgement = evaluation.judgement
    _print(console, f"{evaluation.conditions.title} on {judgement.data}", "lrrlr",
           _FIGURE_HEAD, _figure_rows(judgement.metrics))  # fmt: skip
    labels = [
        (each.label.name, f"{each.photos:,}", f"{each.average_precision:.1%}",
         _between(each.average_precision_interval), f"{each.f1:.1%}", _between(each.f1_interval))
        for each in judgement.figures
    ]  # fmt: skip
    _print(console, "By label", "lrrrrr",
           ("label", "photos", "average precision", "95 % interval", "F1", "95 % interval"), labels)  # fmt: skip
    _say(console, evaluation.conditions.caveat)
    if judgement.never_present:
        names = ", ".join(label.name for label in judgement.never_present)
        _say(console, f"Not judged, for no photo has them: {names}.")
    if evaluation.left_out:
        _say(console, "Not judged, for no label of the model has their name: " + ", ".join(evaluation.left_out) + ".")


def _print_coarse(console: Console, coarse: CoarseJudgement) -> None:
    from veduta.evaluation.metrics import condensed

    folders = [
        (each.label.id, each.label.coarse or "", f"{each.photos:,}", f"{each.recall:.1%}",
         _between(each.recall_interval))
        for each in coarse.folders
    ]  # fmt: skip
    _print(console, "By folder", "llrrr", ("folder", "everyday label", "photos", "found", "95 % interval"), folders)
    labels, counts = condensed(coarse.judgement.matrix, coarse.judgement.labels)
    numbers = [str(place + 1) for place in range(len(labels))]
    rows = [
        (number, label.name, *(f"{count}" if count else "·" for count in row))
        for number, label, row in zip(numbers, labels, counts, strict=True)
    ]
    _print(console, "Photos by true label (row) and first label (column)", "rl" + "r" * (len(labels) + 1),
           ("", "photos of", *numbers, "other"), rows)  # fmt: skip
    mapping = coarse.mapping
    if mapping.absent:
        absent = ", ".join(f"{folder} ({label})" for folder, label in mapping.absent.items())
        _say(console, f"Not judged, for the model has no class of their everyday label: {absent}.")
    if mapping.unnamed:
        _say(console, f"Not judged, for no label has their name: {', '.join(mapping.unnamed)}.")


def _console() -> Console:
    console = Console(highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = max(console.width, 160)
    return console


def _figure_rows(metrics: Sequence[Metric]) -> list[tuple[str, ...]]:
    from veduta.evaluation.figures import WORDS, shown

    return [(WORDS.get(each.name, each.name), *shown(each), each.data, f"{each.count:,}") for each in metrics]


def _between(interval: Interval) -> str:
    return " – ".join(f"{end:.0%}" for end in interval)


def _print(console: Console, title: str, align: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, side in zip(head, align, strict=True):
        table.add_column(name, justify="right" if side == "r" else "left", no_wrap=side == "r")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console.print()
    console.print(Text(printable(title), style="bold underline"))
    console.print(table)


def _say(console: Console, sentence: str) -> None:
    if not sentence:
        return
    console.print()
    console.print(printable(sentence), markup=False, soft_wrap=True)
