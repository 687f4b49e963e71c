"""Loss and figures of a training, epoch by epoch, in one picture."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

#: Colours that are told apart by most eyes (Okabe and Ito).
_LOSS, _CALIBRATED = "#0072B2", "#56B4E9"
_FIGURES = ("#D55E00", "#009E73", "#CC79A7")

_STYLES = {"training": "o--", "validation": "o-"}
# The training is told as it was: smoothed or mixed targets, changed photos, weights not averaged.
_SIDES = {"training": "training, changed photos", "validation": "validation"}
_NAMES = {
    "calibrated_loss": "calibrated loss",
    "top1": "top-1",
    "top5": "top-5",
    "mean_average_precision": "mean average precision",
    "f1": "F1",
}


def draw_curves(rows: Sequence[Mapping[str, Any]], best_by: str) -> bytes:
    """A PNG of the rows of a log: losses on the left, the other figures on the right, the best epoch marked."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    figure = Figure(figsize=(9.6, 3.8), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    losses, shares = figure.subplots(1, 2)
    best = max((row["epoch"] for row in rows if row["best"]), default=None)

    for side, style in _STYLES.items():
        losses.plot(*_points(rows, side, "loss"), style, color=_LOSS, label=_SIDES[side])
    if "calibrated_loss" in rows[-1]["validation"]:
        losses.plot(
            *_points(rows, "validation", "calibrated_loss"), "o-", color=_CALIBRATED, label="validation, calibrated"
        )
    losses.set_ylabel("loss")
    for name, colour in zip(
        (name for name in rows[-1]["validation"] if not name.endswith("loss")), _FIGURES, strict=False
    ):
        for side, style in _STYLES.items():
            if name not in rows[-1][side]:
                continue
            epochs, values = _points(rows, side, name)
            shares.plot(epochs, values, style, color=colour, label=f"{side} {_NAMES.get(name, name)}")
            shares.annotate(
                f"{values[-1]:.1%}",
                (epochs[-1], values[-1]),
                (6, 0),
                textcoords="offset points",
                va="center",
                size="small",
            )
    shares.yaxis.set_major_formatter(PercentFormatter(1.0))
    for axes in (losses, shares):
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.margins(x=0.12)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if best is not None:
            axes.axvline(best, color="0.5", linestyle=":", linewidth=1, zorder=0)
        # Above the axes, where no curve can run through it.
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False, fontsize="small")
    if best is not None:
        figure.suptitle(f"best epoch: {best}, by {_NAMES.get(best_by, best_by)}", fontsize="medium")
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()


def _points(rows: Sequence[Mapping[str, Any]], side: str, name: str) -> tuple[list[int], list[float]]:
    """Epochs and the values that they have; epoch 0 was not trained."""
    found = [(row["epoch"], row[side][name]) for row in rows if name in row[side]]
    return [epoch for epoch, _value in found], [value for _epoch, value in found]
