"""An evaluation as tables on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from veduta.images.limits import printable
from veduta.labels.text_file import listed

if TYPE_CHECKING:
    from veduta.evaluation.elsewhere import Drop
    from veduta.evaluation.evaluate_classes import Evaluation
    from veduta.evaluation.evaluate_labels import LabelEvaluation
    from veduta.evaluation.figures import Judgement
    from veduta.evaluation.levels import LevelJudgement
    from veduta.evaluation.metrics import Interval
    from veduta.evaluation.thresholds import Promise, ThresholdRow
    from veduta.models.bundle import Metric

#: Confused pairs and classes on the terminal; ``--json`` has more.
PAIRS = 10
MOST_CLASSES = 30
WORST_CLASSES = 10
MOST_NAMES = 10

_FIGURE_HEAD = ("figure", "value", "95 % interval", "measured on", "photos")


def print_evaluation(evaluation: Evaluation | LabelEvaluation) -> None:
    """All that an evaluation tells, the most important first."""
    from veduta.evaluation.evaluate_classes import Evaluation

    console = _console()
    if isinstance(evaluation, Evaluation):
        _print_classes(console, evaluation)
    else:
        _print_labels(console, evaluation)


def _print_classes(console: Console, evaluation: Evaluation) -> None:
    from veduta.evaluation.levels import LEVEL_WORDS
    from veduta.reports.calibration import calibration_rows

    judgement, main = evaluation.judgement, evaluation.main
    title = f"{evaluation.conditions.title} on {judgement.data}, by {LEVEL_WORDS[main.level.name]}"
    metrics = (*judgement.metrics, *judgement.further, *evaluation.evidence)
    _print(console, title, "lrrlr", _FIGURE_HEAD, _figure_rows(metrics))
    if evaluation.others:
        _print_levels(console, (main, *evaluation.others))
    if evaluation.wild is not None:
        wild = evaluation.wild.judgement
        _print(console, f"On photos from elsewhere: {wild.data}", "lrrlr", _FIGURE_HEAD,
               _figure_rows((*wild.metrics, *wild.further, *evaluation.wild.evidence)))  # fmt: skip
        _print_drops(console, evaluation.drops)
        _say_not_judged(console, evaluation.wild.main.mapping.unnamed, evaluation.wild.main.mapping.absent)
    _print(console, "How far to believe a probability", "lrrrrl",
           ("said", "photos", "mean probability", "right", "95 % interval", "0 to 100 %"),
           calibration_rows(judgement.bins))  # fmt: skip
    console.print(judgement.calibration.remark, style="dim")
    _say(console, evaluation.conditions.caveat)
    _print_thresholds(console, evaluation.thresholds, evaluation.promises)
    _print_sets(console, evaluation)
    _print_by_class(console, judgement)
    _print_names(console, main)
    _say_not_judged(console, main.mapping.unnamed, main.mapping.absent)


def _print_labels(console: Console, evaluation: LabelEvaluation) -> None:
    judgement, wild = evaluation.judgement, evaluation.wild
    _print(console, f"{evaluation.conditions.title} on {judgement.data}", "lrrlr",
           _FIGURE_HEAD, _figure_rows((*judgement.metrics, *judgement.further)))  # fmt: skip
    console.print(judgement.calibration.remark, style="dim")
    if wild is not None:
        _print(console, f"On photos from elsewhere: {wild.judgement.data}", "lrrlr",
               _FIGURE_HEAD, _figure_rows((*wild.judgement.metrics, *wild.judgement.further)))  # fmt: skip
        _print_drops(console, evaluation.drops)
    wanted = [f"from, for {_percent(each.precision)}" for each in next(iter(evaluation.promises.values()))]
    labels = [
        (each.label.name, f"{each.photos:,}", f"{each.average_precision:.1%}",
         _between(each.average_precision_interval), _share(each.precision), f"{each.recall:.1%}", f"{each.f1:.1%}",
         *("–" if promise.threshold is None else f"{promise.threshold:.3f}"
           for promise in evaluation.promises[each.label.id]))
        for each in judgement.by_average_precision
    ]  # fmt: skip
    _print(console, "By label, the worst first", "lrrrrrr" + "r" * len(wanted),
           ("label", "photos", "average precision", "95 % interval", "precision", "recall", "F1", *wanted),
           labels)  # fmt: skip
    console.print(
        "The last columns are the probability from which on that share is right, 95 % sure; a dash: too few photos to "
        "promise this.",
        style="dim",
    )
    _say(console, evaluation.conditions.caveat)
    if judgement.never_present:
        names = listed([label.name for label in judgement.never_present], MOST_NAMES)
        _say(console, f"Not judged, for no photo has them: {names}.")
    _say_not_judged(console, evaluation.left_out, {})


def _print_levels(console: Console, levels: Sequence[LevelJudgement]) -> None:
    from veduta.evaluation.figures import shown
    from veduta.evaluation.levels import LEVEL_WORDS

    rows = [
        (LEVEL_WORDS[each.level.name], f"{len(each.judgement.labels):,}", *shown(metric), f"{metric.count:,}")
        for each in levels
        for metric in each.judgement.metrics[:1]
    ]
    _print(console, "By other labels, ranked after summing", "lrrrr",
           ("by", "labels", "top-1 accuracy", "95 % interval", "photos"), rows)  # fmt: skip


def _print_drops(console: Console, drops: Sequence[Drop]) -> None:
    from veduta.evaluation.elsewhere import SIDES
    from veduta.evaluation.figures import WORDS

    rows = [
        (WORDS.get(each.name, each.name), SIDES[each.on], f"{each.here:.1%}", f"{each.elsewhere:.1%}",
         *each.shown, f"{each.photos_here:,} and {each.photos_elsewhere:,}")
        for each in drops
    ]  # fmt: skip
    _print(console, "How much worse it is there", "llrrrrr",
           ("figure", "of", "here", "elsewhere", "drop in points", "95 % interval", "photos"), rows)  # fmt: skip


def _print_thresholds(console: Console, table: Sequence[ThresholdRow], promises: Sequence[Promise]) -> None:
    rows = [
        (f"{row.threshold:.2f}", f"{row.above:,}", f"{row.above_right:,}", f"{row.above_wrong:,}", f"{row.below:,}",
         f"{row.below_right:,}", f"{row.below_wrong:,}", f"{row.accuracy_over_all:.1%}", _share(row.accuracy_above),
         _between(row.interval_above) if row.above else "")
        for row in table
    ]  # fmt: skip
    _print(console, "If answers below a threshold are withheld, and counted wrong", "r" * 10,
           ("from", "above", "right", "wrong", "below", "right", "wrong", "right of all", "of those above",
            "95 % interval"), rows)  # fmt: skip
    for promise in promises:
        _say(console, f"{_percent(promise.precision)} right: {promise.sentence}")


def _print_sets(console: Console, evaluation: Evaluation) -> None:
    from veduta.evaluation.conformal import fewest_photos

    sets = evaluation.sets
    if sets is None:
        _say(console, f"Sets of labels: too few photos to promise this; it takes more than {fewest_photos()}.")
        return
    worst = sets.classes[0]
    _say(
        console,
        f"{sets.sentence} The class that they miss most is {worst.label.name}: held in {worst.covered:,} of "
        f"{worst.photos:,}.",
    )


def _print_by_class(console: Console, judgement: Judgement) -> None:
    ordered = sorted(judgement.classes, key=lambda each: (each.f1, each.label.id))
    few = len(ordered) <= MOST_CLASSES
    title = "By class, the worst first" if few else f"The {WORST_CLASSES} classes that are told worst"
    rows = [
        (each.label.name, f"{each.photos:,}", f"{each.recall:.1%}", _between(each.recall_interval),
         _share(each.precision), _between(each.precision_interval) if each.said else "", f"{each.f1:.1%}")
        for each in (ordered if few else ordered[:WORST_CLASSES])
    ]  # fmt: skip
    _print(console, title, "lrrrrrr",
           ("class", "photos", "recall", "95 % interval", "precision", "95 % interval", "F1"), rows)  # fmt: skip
    pairs = [
        (pair.true.name, pair.predicted.name, f"{pair.share:.0%}", f"{pair.photos:,}")
        for pair in judgement.confusions[:PAIRS]
    ]
    _print(console, "Most confused", "llrr", ("photos of", "called", "share", "photos"), pairs)


def _print_names(console: Console, main: LevelJudgement) -> None:
    rows = [
        (
            each.label.id,
            each.label.coarse or "",
            f"{each.photos:,}",
            f"{each.recall:.1%}",
            _between(each.recall_interval),
        )
        for each in main.renamed
    ]
    _print(console, "What the set's names were taken for", "llrrr",
           ("name", "judged as", "photos", "found", "95 % interval"), rows)  # fmt: skip


def _say_not_judged(console: Console, names: Mapping[str, Sequence[str]], absent: Mapping[str, str]) -> None:
    if names:
        told = (f"{name} ({' or '.join(near)}?)" if near else name for name, near in names.items())
        _say(console, f"Not judged, for no label has their name: {', '.join(told)}. --labels tells what they mean.")
    if absent:
        told = (f"{name} ({label})" for name, label in absent.items())
        _say(console, f"Not judged, for the model has no class of their label: {', '.join(told)}.")


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


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


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
