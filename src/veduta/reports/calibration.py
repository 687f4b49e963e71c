"""How far a model's probabilities can be believed, as a picture and as a table of characters."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from veduta.errors import MissingExtra
from veduta.evaluation.calibration import ReliabilityBin
from veduta.whole_file import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PAPER, _INK, _SOFT, _LINE, _BAR = "#fcfbf8", "#211f1b", "#625d53", "#dedad0", "#0c6157"


def calibration_picture(bins: Sequence[ReliabilityBin], path: Path, title: str = "") -> Path:
    """Write what ``calibration_png`` draws to a file. Raises as it, and OutputError where the file can't be written."""
    write_whole(path, calibration_png(bins, title))
    return path


def calibration_png(bins: Sequence[ReliabilityBin], title: str = "") -> bytes:
    """Draw a reliability diagram, as PNG: the share right with its interval over the probability, and the counts.

    The same bins give the same bytes. Raises MissingExtra without matplotlib.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingExtra('a picture needs matplotlib; install it with: pip install "veduta[evaluate]"') from error
    # A figure of our own, not pyplot's, which would keep it and pick a display. It is small, so that its words can be
    # read in the narrow column of a page.
    figure = Figure(figsize=(4, 4.6), dpi=200, facecolor=_PAPER, layout="constrained")
    FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    _draw_shares(upper, bins)
    _draw_counts(lower, bins)
    for axes in (upper, lower):
        _style(axes)
    if title:
        upper.set_title(title, color=_INK, loc="left", fontsize=11)
    drawn = io.BytesIO()
    # No version inside, which would change the bytes.
    figure.savefig(drawn, format="png", facecolor=_PAPER, metadata={"Software": None})
    return drawn.getvalue()


def _draw_shares(axes: Axes, bins: Sequence[ReliabilityBin]) -> None:
    from matplotlib.ticker import PercentFormatter

    filled = [each for each in bins if each.count]
    below = [each.accuracy - each.interval[0] for each in filled]
    above = [each.interval[1] - each.accuracy for each in filled]
    axes.plot([0, 1], [0, 1], color=_SOFT, linewidth=1, linestyle="--", label="as said")
    axes.errorbar(
        [each.confidence for each in filled],
        [each.accuracy for each in filled],
        yerr=[below, above],
        fmt="o",
        color=_BAR,
        markersize=5,
        capsize=2.5,
        linewidth=1.2,
        label="measured",
    )
    axes.set(ylim=(0, 1), ylabel="share right, with 95 % interval")
    axes.legend(frameon=False, labelcolor=_INK, loc="upper left")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))


def _draw_counts(axes: Axes, bins: Sequence[ReliabilityBin]) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    edges = [*(each.low for each in bins), bins[-1].high]
    axes.stairs([each.count for each in bins], edges, fill=True, color=_BAR, alpha=0.35)
    axes.set(xlim=(0, 1), xlabel="probability of the first label", ylabel="photos")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))


def _style(axes: Axes) -> None:
    axes.set_facecolor(_PAPER)
    axes.tick_params(colors=_SOFT)
    axes.xaxis.label.set_color(_INK)
    axes.yaxis.label.set_color(_INK)
    axes.grid(color=_LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_color(_LINE)


def calibration_rows(bins: Sequence[ReliabilityBin], width: int = 20) -> list[tuple[str, str, str, str, str, str]]:
    """A row for each bin with photos: the range of probability, photos, mean probability, share right, interval, bar.

    The bar is ``width`` characters for 0 to 100 %: filled up to the share right, with ``┃`` where the mean probability
    lies. What is filled past it was said too timidly, what is missing before it too boldly.
    """
    rows = []
    for each in bins:
        if each.count:
            interval = f"{each.interval[0]:.0%} – {each.interval[1]:.0%}"
            rows.append(
                (
                    f"{100 * each.low:.0f} – {100 * each.high:.0f} %",
                    f"{each.count:,}",
                    f"{each.confidence:.1%}",
                    f"{each.accuracy:.1%}",
                    interval,
                    _bar(each, width),
                )
            )
    return rows


def _bar(each: ReliabilityBin, width: int) -> str:
    filled = round(each.accuracy * width)
    cells = ["█" if place < filled else "░" for place in range(width)]
    cells.insert(min(width, round(each.confidence * width)), "┃")
    return "".join(cells)
