"""A comparison as a table of words, for a terminal, a page and Markdown, and what its reader must know beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from veduta.evaluation.comparison import Comparison, Figure, Row
from veduta.evaluation.figures import WORDS
from veduta.images.limits import printable

_BESIDE = "95 % interval"

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class ComparisonTable:
    """``head`` and ``rows`` of text; ``align`` has an l or r for each column.

    ``spare`` tells of each column how well a reader can do without it; 0 is not at all.
    """

    head: tuple[str, ...]
    align: str
    spare: tuple[int, ...]
    rows: tuple[tuple[str, ...], ...]

    def within(self, width: int, gap: int = 2) -> ComparisonTable:
        """The same with as few columns less as make it no wider than ``width`` letters, where that can be."""
        widths = [max(map(len, column)) for column in zip(self.head, *self.rows, strict=True)]
        if not any(self.spare) or sum(widths) + gap * (len(widths) - 1) <= width:
            return self
        last = max(range(len(widths)), key=lambda place: self.spare[place])
        return ComparisonTable(
            _without(self.head, last),
            self.align[:last] + self.align[last + 1 :],
            _without(self.spare, last),
            tuple(_without(row, last) for row in self.rows),
        ).within(width, gap)


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    spare: int
    tell: Callable[[Row], str]
    align: str = "r"


def comparison_table(comparison: Comparison) -> ComparisonTable:
    """One row for each outcome; columns that would say nothing are left out."""
    rows = comparison.rows
    columns = [
        _Column("model", 0, lambda row: row.outcome.model, "l"),
        _Column("pixels", 0, lambda row: str(row.outcome.size)),
    ]
    if any(row.outcome.recipe for row in rows):
        columns.append(_Column("recipe", 0, lambda row: row.outcome.recipe, "l"))
    if len(comparison.sets) > 1:
        columns.append(_Column("judged on", 0, lambda row: row.outcome.data, "l"))
    for place, name in enumerate(dict.fromkeys(name for row in rows for name in row.figures)):
        columns += _figure_columns(name, 3 * place)
    if any(row.difference for row in rows):
        columns.append(_Column("difference", 2, _difference))
        columns.append(
            _Column(_BESIDE, 3, lambda row: "" if row.difference is None else points(row.difference.interval))
        )
    if any(row.outcome.effort for row in rows):
        columns.append(_Column("training", 2, _training))
    columns += [
        _Column("graph, photos/s", 4, lambda row: f"{row.outcome.graph.photos_per_second:,.0f}"),
        _Column("from files, photos/s", 6, lambda row: f"{row.outcome.whole_way.photos_per_second:,.0f}"),
        _Column("parameters", 5, lambda row: f"{row.outcome.parameters / 1e6:,.2f} M"),
        _Column("on disk", 7, lambda row: f"{row.outcome.disk_bytes / 1e6:,.1f} MB"),
    ]
    return ComparisonTable(
        tuple(column.name for column in columns),
        "".join(column.align for column in columns),
        tuple(column.spare for column in columns),
        tuple(tuple(printable(column.tell(row)) for column in columns) for row in rows),
    )


def _figure_columns(name: str, spare: int) -> tuple[_Column, _Column]:
    return (
        _Column(_short(name), spare, lambda row: _value(row.figures.get(name))),
        _Column(_BESIDE, spare + 1, lambda row: _interval(row.figures.get(name))),
    )


def _without(values: tuple[_Value, ...], place: int) -> tuple[_Value, ...]:
    return values[:place] + values[place + 1 :]


def remarks(comparison: Comparison) -> tuple[str, ...]:
    """What the figures hold under, in sentences."""
    rows = comparison.rows
    if not rows:
        return comparison.notes
    told = []
    for data in comparison.sets:
        here = [row for row in rows if row.outcome.data == data]
        if len(here) == 1:
            told.append(f"Judged on {here[0].photos:,} photos of {data}.")
            continue
        told.append(
            f"Judged on the same {here[0].photos:,} photos of {data}; differences are to {here[0].against}, in points, "
            "paired photo by photo."
        )
    trained = list(dict.fromkeys(row.outcome.effort.conditions for row in rows if row.outcome.effort))
    if trained:
        told.append(f"Trained on {'; '.join(trained)}.")
    told.append(f"Speeds: {'; '.join(dict.fromkeys(row.outcome.graph.conditions for row in rows))}.")
    again = [row.outcome.name for row in rows if row.outcome.effort and row.outcome.effort.runs > 1]
    if again:
        told.append(
            f"Stopped and gone on with: {', '.join(again)}; their time is that of all runs, with what was done twice."
        )
    if comparison.planned > len(rows) + len(comparison.missing):
        told.append(f"{len(rows) + len(comparison.missing):,} of {comparison.planned:,} are done so far.")
    return tuple(map(printable, (*told, *comparison.notes)))


def duration(seconds: float) -> str:
    """A time as people say it: ``48 s``, ``3 min 05 s``, ``2 h 07 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def points(interval: tuple[float, float]) -> str:
    """The ends of a difference's interval, in points of a percentage."""
    return " – ".join(f"{100 * end:+.1f}" for end in interval)


def _short(name: str) -> str:
    """What a figure is called at the head of a column."""
    return {"top1": "top-1", "top5": "top-5", "mean_average_precision": "mAP"}.get(name, WORDS.get(name, name))


def _value(figure: Figure | None) -> str:
    return "" if figure is None else f"{figure.value:.1%}"


def _interval(figure: Figure | None) -> str:
    return "" if figure is None else " – ".join(f"{end:.1%}" for end in figure.interval)


def _difference(row: Row) -> str:
    return "reference" if row.difference is None else f"{100 * row.difference.value:+.1f}"


def _training(row: Row) -> str:
    return "" if row.outcome.effort is None else duration(row.outcome.effort.seconds)
