"""Figures of matplotlib as PNG, in a theme; the same data give the same bytes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from veduta.errors import MissingExtra
from veduta.reports.themes import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def new_figure(size: tuple[float, float], dpi: int) -> Figure:
    """A figure of ``size`` (width, height) in inches. Raises MissingExtra without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingExtra('a picture needs matplotlib; install it with: pip install "veduta[evaluate]"') from error
    # A figure of our own, not pyplot's, which would keep it and pick a display.
    figure = Figure(figsize=size, dpi=dpi, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def style(axes: Axes, theme: Theme, *, grid: bool = True) -> None:
    """Give axes the colours of a theme."""
    axes.set_facecolor(theme.paper or "none")
    axes.tick_params(colors=theme.soft)
    axes.xaxis.label.set_color(theme.ink)
    axes.yaxis.label.set_color(theme.ink)
    if grid:
        axes.grid(color=theme.line, linewidth=0.6)
        axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_color(theme.line)


def png(figure: Figure, theme: Theme) -> bytes:
    """The figure as a file."""
    drawn = io.BytesIO()
    # No version inside, which would change the bytes.
    figure.savefig(drawn, format="png", facecolor=theme.paper or "none", metadata={"Software": None})
    return drawn.getvalue()
