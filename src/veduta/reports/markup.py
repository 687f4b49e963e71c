"""The parts that pages of figures are put together from, as HTML. Whatever comes from outside stays text."""

from __future__ import annotations

import html
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from veduta.evaluation.figures import NOT_SHARES, WORDS, shown
from veduta.evaluation.metrics import Interval
from veduta.images.limits import printable
from veduta.models.bundle import Metric


@dataclass(frozen=True, slots=True)
class Cell:
    """What a cell shows, as HTML, and the ``key`` that its column is sorted by; numbers stand to the right."""

    html: str
    key: str | float

    @property
    def number(self) -> bool:
        """Whether the column holds numbers."""
        return not isinstance(self.key, str)


@dataclass(frozen=True, slots=True)
class Panel:
    """A section of the page: the ``id`` that it is found by, its title, and what is below, as HTML."""

    id: str
    title: str
    body: str

    @property
    def html(self) -> str:
        """The section itself."""
        return f'<section class="panel" id="{self.id}">\n<h2>{text(self.title)}</h2>\n{self.body}\n</section>'

    @property
    def link(self) -> str:
        """A line of the table of contents."""
        return f'<li><a href="#{self.id}">{text(self.title)}</a></li>'


def text(words: str) -> str:
    """A text that can't be anything else in a page, nor turn the direction of what follows."""
    return html.escape(printable(words))


def path_text(path: str) -> str:
    """A path, whatever bytes it is made of."""
    return text(os.fsencode(path).decode("utf-8", "backslashreplace"))


def words(content: str) -> Cell:
    """A cell of words."""
    return Cell(text(content), content.casefold())


def count(number: int) -> Cell:
    """A cell of a number of things."""
    return Cell(f"{number:,}", number)


def share(value: float | None, interval: Interval | None = None) -> Cell:
    """A cell of a share, with its interval where there is one; a dash for none."""
    if value is None:
        return Cell("–", -1.0)
    between = "" if interval is None else f" <small>{interval[0]:.0%} – {interval[1]:.0%}</small>"
    return Cell(f"{value:.1%}{between}", value)


def table(head: Sequence[str], rows: Iterable[Sequence[Cell]], *, sortable: bool = False, caption: str = "") -> str:
    """A table; where it is ``sortable``, a click on the head of a column sorts by it."""
    body, numbers = [], [False] * len(head)
    for row in rows:
        numbers = [cell.number for cell in row]
        body.append(f"<tr>{''.join(map(_cell, row, [sortable] * len(row)))}</tr>")
    cells = "".join(
        f'<th scope="col"{_class(number)}>{_head(name, sortable)}</th>'
        for name, number in zip(head, numbers, strict=True)
    )
    kind = ' class="sortable"' if sortable else ""
    told = f"<caption>{text(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll"><table{kind}>{told}<thead><tr>{cells}</tr></thead><tbody>\n'
        + "\n".join(body)
        + "\n</tbody></table></div>"
    )


def figures_table(metrics: Sequence[Metric]) -> str:
    """Figures with their intervals, as numbers and as a line from 0 to 100 %."""
    rows = []
    for metric in metrics:
        value, interval = shown(metric)
        line = range_line(metric.value, metric.interval) if metric.name not in NOT_SHARES and metric.interval else ""
        rows.append(
            (
                words(WORDS.get(metric.name, metric.name)),
                Cell(f"<b>{value}</b>", metric.value),
                Cell(interval, metric.value),
                Cell(line, ""),
                words(metric.data),
                count(metric.count),
            )
        )
    return table(("figure", "value", "95 % interval", "0 to 100 %", "measured on", "photos"), rows)


def range_line(value: float, interval: Interval) -> str:
    """A share with its interval on a line from 0 to 100 %."""
    low, high = 100 * interval[0], 100 * interval[1]
    return (
        '<svg class="range" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" x="0" y="4.5" width="100" height="1"/>'
        f'<rect class="span" x="{low:.2f}" y="3" width="{max(0.6, high - low):.2f}" height="4"/>'
        f'<rect class="point" x="{max(0.0, 100 * value - 0.4):.2f}" y="0.5" width="0.8" height="9"/></svg>'
    )


def columns_chart(values: Sequence[tuple[str, int]], what: str) -> str:
    """Upright bars with their names below; ``what`` is read out in place of them."""
    most = max(number for _, number in values)
    step = 100 / len(values)
    bars = "".join(
        f'<rect x="{place * step + 0.12 * step:.2f}" y="{100 - 100 * number / most:.2f}" width="{0.76 * step:.2f}" '
        f'height="{100 * number / most:.2f}"><title>{text(name)}: {number:,}</title></rect>'
        for place, (name, number) in enumerate(values)
    )
    names = "".join(f"<span>{text(name)}</span>" for name, _ in values)
    return (
        f'<figure class="columns-chart"><svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" '
        f'aria-label="{text(what)}">{bars}</svg><div aria-hidden="true">{names}</div></figure>'
    )


def panel(id: str, title: str, *parts: str) -> Panel:
    """A section of the page made of ``parts`` of HTML, empty ones left out."""
    return Panel(id, title, "\n".join(filter(None, parts)))


def paragraph(*sentences: str, kind: str = "") -> str:
    """Sentences as a paragraph, nothing for none."""
    told = " ".join(filter(None, sentences))
    return f"<p{_class(False, kind)}>{text(told)}</p>" if told else ""


def _cell(cell: Cell, sortable: bool) -> str:
    key = f' data-key="{text(cell.key) if isinstance(cell.key, str) else f"{cell.key:.6g}"}"' if sortable else ""
    return f"<td{_class(cell.number)}{key}>{cell.html}</td>"


def _head(name: str, sortable: bool) -> str:
    return f'<button type="button">{text(name)}</button>' if sortable else text(name)


def _class(number: bool, kind: str = "") -> str:
    names = " ".join(filter(None, ("number" if number else "", kind)))
    return f' class="{names}"' if names else ""
