"""Who is taken for whom, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from veduta.evaluation.metrics import condensed
from veduta.images.limits import printable
from veduta.records import Label
from veduta.reports.drawing import new_figure, png, style
from veduta.reports.themes import PAPER, Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Names and numbers that could no longer be read are left out.
_MOST_NAMES, _MOST_NUMBERS = 130, 30
_LONGEST_NAME = 28


def confusion_png(matrix: NDArray[np.int64], labels: Sequence[Label], *, theme: Theme = PAPER) -> bytes:
    """Draw a confusion matrix ``[classes, classes]``, as PNG: the share of each class (row) that was called another.

    Right answers lie on the diagonal, in one colour; mistakes beside it, in another, which grows with the square root
    of their share so that rare ones are seen. Classes of one everyday label stand together, in a frame; classes without
    photos are one last column. The same matrix gives the same bytes. Raises MissingExtra without matplotlib.
    """
    order = sorted(range(len(labels)), key=lambda place: (labels[place].coarse or "", labels[place].name))
    there, counts = condensed(matrix[np.ix_(order, order)], [labels[place] for place in order])
    if not counts[:, -1].any():
        counts = counts[:, :-1]
    shares = counts / counts.sum(axis=1, keepdims=True)
    side = min(13.0, max(4.2, 0.125 * len(there) + 2.2))
    figure = new_figure((side, side), 170)
    axes = figure.subplots()
    _draw_shares(axes, shares, counts == 0, theme)
    _frame(axes, there, theme)
    _name(axes, there, counts.shape[1] > len(there))
    if len(there) <= _MOST_NUMBERS:
        _number(axes, counts, shares, theme)
    style(axes, theme, grid=False)
    axes.set_xlabel("called", fontsize=8)
    axes.set_ylabel("photos of", fontsize=8)
    return png(figure, theme)


def _draw_shares(axes: Axes, shares: NDArray[np.float64], empty: NDArray[np.bool_], theme: Theme) -> None:
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm

    right: NDArray[np.bool_] = np.eye(*shares.shape) > 0
    for mask, colour, power in ((~right, theme.accent, 1.0), (right, theme.bad, 0.5)):
        most = float(np.where(mask, 0.0, shares).max()) or 1.0
        axes.imshow(
            np.ma.masked_array(shares, mask | empty),
            cmap=LinearSegmentedColormap.from_list("share", [f"{colour}1c", colour]),
            norm=PowerNorm(power, 0.0, most),
            aspect="equal",
            interpolation="none",
        )


def _frame(axes: Axes, labels: Sequence[Label], theme: Theme) -> None:
    """Frame the classes of one everyday label."""
    from matplotlib.patches import Rectangle

    for coarse, group in groupby(enumerate(labels), key=lambda each: each[1].coarse):
        places = [place for place, _ in group]
        if coarse is not None and len(places) > 1:
            corner, side = places[0] - 0.5, len(places)
            axes.add_patch(Rectangle((corner, corner), side, side, fill=False, edgecolor=theme.soft, linewidth=0.7))


def _name(axes: Axes, labels: Sequence[Label], others: bool) -> None:
    places = range(len(labels) + others)
    if len(labels) > _MOST_NAMES:
        axes.set_xticks([])
        axes.set_yticks([])
        return
    names = [_short(label.name) for label in labels]
    size = 7.0 if len(labels) <= _MOST_NUMBERS else 4.6
    axes.set_yticks(places[: len(labels)], names, fontsize=size)
    axes.set_xticks(places, [*names, "others"][: len(places)], fontsize=size, rotation=90)
    for text in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        text.set_parse_math(False)  # a name with dollars is no formula
    axes.tick_params(length=0)


def _number(axes: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64], theme: Theme) -> None:
    for row, column in zip(*np.nonzero(counts), strict=True):
        # On the full colour of a right answer the ink of the theme could not be read.
        strong = row == column and shares[row, column] > 0.5
        axes.text(
            column,
            row,
            f"{counts[row, column]:,}",
            ha="center",
            va="center",
            fontsize=6.5,
            color=theme.on_accent if strong else theme.ink,
        )


def _short(name: str) -> str:
    shown = printable(name)
    return shown if len(shown) <= _LONGEST_NAME else f"{shown[: _LONGEST_NAME - 1]}…"
