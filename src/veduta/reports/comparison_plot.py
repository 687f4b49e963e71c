"""Accuracy against time for a photo, as a picture: what a better answer costs."""

from __future__ import annotations

import io
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any, Literal

from veduta.errors import MissingExtra
from veduta.evaluation.comparison import RANKED_BY, Comparison, Row
from veduta.evaluation.comparison import Figure as Figured
from veduta.evaluation.figures import WORDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

_PAPER, _INK, _SOFT, _LINE = "#fcfbf8", "#211f1b", "#625d53", "#dedad0"
#: Colours that most eyes tell apart (Okabe and Ito), without the yellow, which paper swallows.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_DASHES: tuple[Literal["-", "--", ":"], ...] = ("-", "--", ":")
_PANEL = 6.6, 4.4

# Where a label may stand, seen from its point, in points of 1/72 inch: near before far, above before below.
_WAYS = ((0, 1), (1, 1), (-1, 1), (1, 0), (-1, 0), (0, -1), (1, -1), (-1, -1))
_PLACES = tuple((1.6 * far * across, far * up) for far, (across, up) in product((9, 16, 25, 36), _WAYS))
# Pixels around a point, and around a line, that no label may cover.
_AROUND, _BESIDE = 9.0, 4.0
# Times within such a factor need more ticks than 1, 2 and 5.
_FEW_TICKS = 4.0
# Entries of the legend beside each other, at the most.
_BESIDE_EACH_OTHER = 6


def comparison_plot(comparison: Comparison, kind: Literal["png", "svg"] = "png") -> bytes:
    """Draw a panel for each set: the first figure with its interval over milliseconds for a photo, from the slowest to
    the fastest round that was measured.

    Trainings of one architecture share a colour, of one recipe a marker; sizes are written at their points and joined
    by a line. Finished models have a colour and a marker each. The same comparison gives the same bytes.
    Raises MissingExtra without matplotlib.
    """
    try:
        import matplotlib as mpl
    except ModuleNotFoundError as error:
        raise MissingExtra('a picture needs matplotlib; install it with: pip install "veduta[evaluate]"') from error
    with mpl.rc_context({"svg.hashsalt": "veduta"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        figure = _drawn(comparison)
        drawn = io.BytesIO()
        # No version and no date inside, which would change the bytes.
        about: dict[str, Any] = {"Software": None} if kind == "png" else {"Date": None, "Creator": None}
        figure.savefig(drawn, format=kind, facecolor=_PAPER, metadata=about)
    return drawn.getvalue()


def _drawn(comparison: Comparison) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sets = comparison.sets or ("",)
    trained = any(row.outcome.recipe for row in comparison.rows)
    models = list(dict.fromkeys(row.outcome.model for row in comparison.rows))
    recipes = list(dict.fromkeys(row.outcome.recipe for row in comparison.rows))
    figure = Figure(figsize=(_PANEL[0] * len(sets), _PANEL[1]), dpi=150, facecolor=_PAPER, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(sets), squeeze=False)[0]
    labels: list[tuple[Axes, list[Row], list[Annotation]]] = []
    for axes, data in zip(panels, sets, strict=True):
        rows = [row for row in comparison.rows if row.outcome.data == data]
        _style(axes, WORDS[RANKED_BY[comparison.task]])
        _bound(axes, rows)
        for series in _series(rows):
            model, recipe = models.index(series[0].outcome.model), recipes.index(series[0].outcome.recipe)
            _draw(axes, series, model, recipe if trained else model)
        if len(sets) > 1:
            axes.set_title(data, color=_INK, loc="left", fontsize=11).set_parse_math(False)
        labels.append((axes, rows, _size_labels(axes, rows, models) if trained else []))
    _legend(figure, models, recipes if trained else [])
    # The layout first: where labels have room is known only then, and none of them may change it.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes, rows, placed in labels:
        _place(axes, rows, placed)
    return figure


def _series(rows: Sequence[Row]) -> list[list[Row]]:
    """The rows of one model and recipe, by size."""
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        found[row.outcome.model, row.outcome.recipe].append(row)
    return [sorted(each, key=lambda row: row.outcome.size) for each in found.values()]


def _draw(axes: Axes, series: Sequence[Row], colour: int, marker: int) -> None:
    values = [_figure(row).value for row in series]
    below = [_figure(row).value - _figure(row).interval[0] for row in series]
    above = [_figure(row).interval[1] - _figure(row).value for row in series]
    times = [_milliseconds(row) for row in series]
    axes.errorbar(
        times,
        values,
        yerr=[below, above],
        xerr=[
            [max(0.0, time - 1000 / row.outcome.graph.fastest) for time, row in zip(times, series, strict=True)],
            [max(0.0, 1000 / row.outcome.graph.slowest - time) for time, row in zip(times, series, strict=True)],
        ],
        color=_COLOURS[colour % len(_COLOURS)],
        marker=_MARKERS[marker % len(_MARKERS)],
        linestyle=_DASHES[colour // len(_COLOURS) % len(_DASHES)],
        linewidth=0.9,
        elinewidth=0.9,
        capsize=2,
        markersize=5.5,
    )


def _size_labels(axes: Axes, rows: Sequence[Row], models: Sequence[str]) -> list[Annotation]:
    """One for each size of a model, at the best of its recipes, which lie above each other."""
    best: dict[tuple[str, int], Row] = {}
    for row in rows:
        key = row.outcome.model, row.outcome.size
        if key not in best or _figure(row).value > _figure(best[key]).value:
            best[key] = row
    return [
        axes.annotate(
            f"{size} px",
            (_milliseconds(row), _figure(row).value),
            (0, 0),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=8,
            color=_COLOURS[models.index(model) % len(_COLOURS)],
        )
        for (model, size), row in best.items()
    ]


def _place(axes: Axes, rows: Sequence[Row], labels: Sequence[Annotation]) -> None:
    """Put each label where it covers no point, interval or other label; where it covers least, at worst."""
    from matplotlib.transforms import Bbox

    taken = [box for row in rows for box in _boxes(axes, row)]
    taken += [box for series in _series(rows) for box in _boxes_between(axes, series)]
    inside = axes.get_window_extent()
    for label in labels:
        costs = []
        for place in _PLACES:
            label.set_position(place)
            box = label.get_window_extent()
            outside = box.width * box.height - _overlap(box, inside)
            costs.append(outside + sum(_overlap(box, other) for other in taken))
            if not costs[-1]:
                break
        label.set_position(_PLACES[costs.index(min(costs))])
        box = label.get_window_extent()
        taken.append(Bbox.from_extents(box.x0 - 2, box.y0 - 1, box.x1 + 2, box.y1 + 1))


def _boxes(axes: Axes, row: Row) -> tuple[Bbox, ...]:
    """What a point and its interval take of the picture, in pixels."""
    from matplotlib.transforms import Bbox

    low, high = _figure(row).interval
    time = _milliseconds(row)
    (x, y), (_, bottom), (_, top) = axes.transData.transform([(time, _figure(row).value), (time, low), (time, high)])
    return (
        Bbox.from_extents(x - _AROUND, y - _AROUND, x + _AROUND, y + _AROUND),
        Bbox.from_extents(x - 5, bottom - 2, x + 5, top + 2),
    )


def _boxes_between(axes: Axes, series: Sequence[Row]) -> Iterator[Bbox]:
    """What the line through the points of a series takes, in small squares."""
    import numpy as np
    from matplotlib.transforms import Bbox

    ends = axes.transData.transform([(_milliseconds(row), _figure(row).value) for row in series])
    for first, last in pairwise(ends):
        steps = max(2, int(np.hypot(*(last - first)) / _BESIDE))
        for x, y in np.linspace(first, last, steps):
            yield Bbox.from_extents(x - _BESIDE / 2, y - _BESIDE / 2, x + _BESIDE / 2, y + _BESIDE / 2)


def _overlap(one: Bbox, other: Bbox) -> float:
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return float(width * height) if width > 0 and height > 0 else 0.0


def _legend(figure: Figure, models: Sequence[str], recipes: Sequence[str]) -> None:
    """Colours in the first rows, markers in the last, as wide as the figure allows."""
    from matplotlib.lines import Line2D

    def colour(place: int) -> Line2D:
        line = Line2D([], [], color=_COLOURS[place % len(_COLOURS)], linewidth=2.5)
        line.set_linestyle(_DASHES[place // len(_COLOURS) % len(_DASHES)] if recipes else "")
        line.set_marker("" if recipes else _MARKERS[place % len(_MARKERS)])
        return line

    def marker(place: int) -> Line2D:
        return Line2D([], [], color=_SOFT, marker=_MARKERS[place % len(_MARKERS)], linestyle="")

    entries = [
        [(colour(place), name) for place, name in enumerate(models)],
        [(marker(place), name) for place, name in enumerate(recipes)],
    ]
    for columns in range(min(_BESIDE_EACH_OTHER, max(map(len, entries))), 0, -1):
        rows = [part[first : first + columns] for part in entries for first in range(0, len(part), columns)]
        blank = (Line2D([], [], linestyle=""), "")
        filled = [row + [blank] * (columns - len(row)) for row in rows]
        # A legend is filled column by column.
        handles, words = zip(*(row[column] for column in range(columns) for row in filled), strict=True)
        legend = figure.legend(
            handles, [" "] * len(words), loc="outside lower center", ncols=columns, frameon=False, fontsize=9
        )
        # Set afterwards: names are no formulas, and may begin with an underscore.
        for text, word in zip(legend.get_texts(), words, strict=True):
            text.set_parse_math(False)
            text.set_text(word)
            text.set_color(_INK)
        if legend.get_window_extent().width <= figure.bbox.width or columns == 1:
            return
        legend.remove()


def _style(axes: Axes, words: str) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("milliseconds for a photo (graph alone; logarithmic)", color=_INK)
    axes.set_ylabel(f"{words}, with 95 % interval", color=_INK)
    axes.set_facecolor(_PAPER)
    axes.tick_params(which="both", colors=_SOFT)
    axes.grid(color=_LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_color(_LINE)


def _bound(axes: Axes, rows: Sequence[Row]) -> None:
    """Room for all points with their intervals, however near they lie to each other."""
    from matplotlib.ticker import LogLocator

    if not rows:
        return
    left = min(1000 / row.outcome.graph.fastest for row in rows)
    right = max(1000 / row.outcome.graph.slowest for row in rows)
    aside = max(1.3, (right / left) ** 0.12)
    axes.set_xlim(left / aside, right * aside)
    if right / left < _FEW_TICKS:
        axes.xaxis.set_major_locator(LogLocator(subs=range(1, 10)))
    bottom, top = min(_figure(row).interval[0] for row in rows), max(_figure(row).interval[1] for row in rows)
    beyond = max(0.02, 0.1 * (top - bottom))
    axes.set_ylim(bottom - beyond, top + beyond)


def _figure(row: Row) -> Figured:
    return next(iter(row.figures.values()))


def _milliseconds(row: Row) -> float:
    return 1000 / row.outcome.graph.photos_per_second
