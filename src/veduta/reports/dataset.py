"""Pictures of a set of photos: how many each class has, what was dropped and why, and what a training makes of some."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from concurrent.futures import Future

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from veduta.errors import MissingExtra, PhotoError
from veduta.images.decode import Photo, Thumbnail
from veduta.images.limits import printable
from veduta.images.pool import DecodePool

_PAPER, _INK, _SOFT, _LINE, _BAR = "#fcfbf8", "#211f1b", "#625d53", "#dedad0", "#0c6157"
_CELL, _CAPTION, _GAP, _COLUMNS, _LINE_HEIGHT = 160, 46, 12, 6, 14
#: More photos than this make a sheet that nobody reads.
MOST_ON_SHEET = 240
# Bars whose names would no longer be read go without them.
_MOST_NAMES = 60


def class_plot(counts: Mapping[str, int]) -> bytes:
    """How many photos each class has, the largest first, as PNG. Raises MissingExtra without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ModuleNotFoundError as error:
        raise MissingExtra('a picture needs matplotlib; install it with: pip install "veduta[evaluate]"') from error
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    named = len(ordered) <= _MOST_NAMES
    figure = Figure(figsize=(7, max(2.5, 0.2 * len(ordered) + 0.9) if named else 6), dpi=150, facecolor=_PAPER)
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    places = range(len(ordered))
    axes.barh(places, [count for _, count in ordered], height=0.75 if named else 1.0, color=_BAR)
    axes.set_yticks(places if named else [], [printable(name) for name, _ in ordered] if named else [])
    axes.set(ylim=(len(ordered) - 0.4, -0.6), xlabel="photos", facecolor=_PAPER)
    for text in axes.get_yticklabels():
        text.set_parse_math(False)  # a name with dollars is no formula
    if not named:
        axes.set_ylabel(f"{len(ordered)} classes")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(colors=_SOFT, length=0)
    axes.grid(axis="x", color=_LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)
    figure.tight_layout()
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", facecolor=_PAPER, metadata={"Software": None})
    return drawn.getvalue()


def contact_sheet(photos: Sequence[tuple[str, str]], pool: DecodePool) -> bytes:
    """Photos by path with a caption each, as one JPEG; those that can't be decoded are an empty field."""
    shown = photos[:MOST_ON_SHEET]
    waiting = [pool.submit(path, [Thumbnail(_CELL)]) for path, _ in shown]
    rows = max(1, -(-len(shown) // _COLUMNS))
    size = _GAP + _COLUMNS * (_CELL + _GAP), _GAP + rows * (_CELL + _CAPTION + _GAP)
    sheet = Image.new("RGB", size, _PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for place, ((_, caption), future) in enumerate(zip(shown, waiting, strict=True)):
        left = _GAP + place % _COLUMNS * (_CELL + _GAP)
        top = _GAP + place // _COLUMNS * (_CELL + _CAPTION + _GAP)
        _paste(sheet, pen, (left, top), future)
        _write(pen, (left, top + _CELL + 3), [caption], font, _CELL)
    file = io.BytesIO()
    sheet.save(file, "JPEG", quality=88)
    return file.getvalue()


def changes_sheet(headings: Sequence[str], rows: Sequence[tuple[Sequence[str], Sequence[NDArray[np.uint8]]]]) -> bytes:
    """What was made of some photos, as one PNG: a row for each with the parts of its caption, and as many pictures,
    uint8 ``[side, side, 3]`` of one side, as there are headings.
    """
    side = len(rows[0][1][0])
    font, across, down = ImageFont.load_default(12), side + _GAP, side + _GAP
    sheet = Image.new("RGB", (2 * _GAP + _CELL + len(headings) * across, _CAPTION + _GAP + len(rows) * down), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for column, heading in enumerate(headings):
        _write(pen, (2 * _GAP + _CELL + column * across, _GAP), [heading], font, side)
    for row, (caption, pictures) in enumerate(rows):
        top = _CAPTION + row * down
        _write(pen, (_GAP, top), caption, font, _CELL, side // _LINE_HEIGHT)
        for column, pixels in enumerate(pictures):
            sheet.paste(Image.fromarray(pixels), (2 * _GAP + _CELL + column * across, top))
    file = io.BytesIO()
    sheet.save(file, "PNG", optimize=True)
    return file.getvalue()


def _paste(sheet: Image.Image, pen: ImageDraw.ImageDraw, corner: tuple[int, int], future: Future[Photo]) -> None:
    left, top = corner
    try:
        (found,) = future.result().inputs
    except PhotoError:
        pen.rectangle((left, top, left + _CELL - 1, top + _CELL - 1), outline=_LINE)
        pen.line((left, top, left + _CELL - 1, top + _CELL - 1), fill=_LINE)
        return
    assert isinstance(found, bytes)
    with Image.open(io.BytesIO(found)) as thumbnail:
        sheet.paste(thumbnail, (left + (_CELL - thumbnail.width) // 2, top + (_CELL - thumbnail.height) // 2))


def _write(
    pen: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    parts: Sequence[str],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    width: int,
    most: int = 3,
) -> None:
    """The parts, each from a new line on, no wider than ``width``; what does not fit the last line is an ellipsis."""
    lines: list[str] = []
    for part in parts:
        lines.append("")
        for letter in printable(part):
            if pen.textlength(lines[-1] + letter, font) > width:
                lines.append("")
            lines[-1] += letter
    if len(lines) > most:
        lines[most - 1] = lines[most - 1][:-1] + "…"
    left, top = corner
    for place, line in enumerate(lines[:most]):
        pen.text((left, top + _LINE_HEIGHT * place), line.strip(), _INK, font)
