"""The course of a generator's training in one picture."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from veduta.generation.alarms import COLLAPSED

# Colours that are told apart by most eyes (Okabe and Ito).
_BLUE, _ORANGE, _GREEN, _PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"


def draw_curves(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """A PNG of the rows of a log: losses, what the discriminator calls right, and what the pictures are like."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    figure = Figure(figsize=(13.2, 3.8), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    losses, right, alike = figure.subplots(1, 3)
    steps = [row["step"] for row in rows]

    def draw(axes: Any, name: str, colour: str, label: str) -> None:
        axes.plot(steps, [row[name] for row in rows], "o-", markersize=3, color=colour, label=label)

    draw(losses, "generator_loss", _BLUE, "generator's loss")
    draw(losses, "discriminator_loss", _ORANGE, "discriminator's loss")
    draw(right, "real_right", _BLUE, "photos called real")
    draw(right, "made_right", _ORANGE, "pictures called generated")
    if any(row["changed"] for row in rows):
        draw(right, "changed", _GREEN, "changed before that")
    draw(alike, "diversity", _GREEN, "diversity, of photos'")
    draw(alike, "contrast", _PINK, "contrast, of photos'")
    alike.axhline(COLLAPSED, color=_GREEN, linestyle=":", linewidth=1)
    alike.set_ylim(bottom=0)
    right.set_ylim(-0.02, 1.02)
    for axes in (right, alike):
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    for axes in (losses, right, alike):
        for row in rows:
            if row["alarms"]:
                axes.axvline(row["step"], color="0.6", linewidth=0.8, zorder=0)
        axes.set_xlabel("step (grey lines: an alarm rings)" if any(row["alarms"] for row in rows) else "step")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False, fontsize="small")
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()
