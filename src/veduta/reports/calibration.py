"""How far a model's probabilities can be believed, as a picture and as a table of characters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from veduta.evaluation.calibration import ReliabilityBin
from veduta.reports.drawing import new_figure, png, style
from veduta.reports.themes import PAPER, Theme
from veduta.whole_file import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def calibration_picture(bins: Sequence[ReliabilityBin], path: Path, title: str = "") -> Path:
    """Write what ``calibration_png`` draws to a file. Raises as it, and OutputError where the file can't be written."""
    write_whole(path, calibration_png(bins, title))
    return path


def calibration_png(
    bins: Sequence[ReliabilityBin], title: str = "", *, theme: Theme = PAPER, of: str = "the first label"
) -> bytes:
    """Draw a reliability diagram, as PNG: the share right with its interval over the probability, and the counts.

    ``of`` tells whose probability it is. The same bins give the same bytes. Raises MissingExtra without matplotlib.
    """
    # Small, so that its words can be read in the narrow column of a page.
    figure = new_figure((4, 4.6), 200)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    _draw_shares(upper, bins, theme)
    _draw_counts(lower, bins, theme, of)
    for axes in (upper, lower):
        style(axes, theme)
    if title:
        upper.set_title(title, color=theme.ink, loc="left", fontsize=11)
    return png(figure, theme)


def _draw_shares(axes: Axes, bins: Sequence[ReliabilityBin], theme: Theme) -> None:
    from matplotlib.ticker import PercentFormatter

    filled = [each for each in bins if each.count]
    below = [each.accuracy - each.interval[0] for each in filled]
    above = [each.interval[1] - each.accuracy for each in filled]
    axes.plot([0, 1], [0, 1], color=theme.soft, linewidth=1, linestyle="--", label="as said")
    axes.errorbar(
        [each.confidence for each in filled],
        [each.accuracy for each in filled],
        yerr=[below, above],
        fmt="o",
        color=theme.accent,
        markersize=5,
        capsize=2.5,
        linewidth=1.2,
        label="measured",
    )
    axes.set(ylim=(0, 1), ylabel="share right, with 95 % interval")
    axes.legend(frameon=False, labelcolor=theme.ink, loc="upper left")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))


def _draw_counts(axes: Axes, bins: Sequence[ReliabilityBin], theme: Theme, of: str) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    edges = [*(each.low for each in bins), bins[-1].high]
    axes.stairs([each.count for each in bins], edges, fill=True, color=theme.accent, alpha=0.35)
    axes.set(xlim=(0, 1), xlabel=f"probability of {of}", ylabel="photos" if of == "the first label" else "answers")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))


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
