"""A prediction as a picture: a bar for each of the likeliest scenes, and a scale from indoors to outdoors.

Pillow brings one font, which has not even all Latin letters. Where a name needs others, a font of the system is
taken; where none is found, the picture shows that label's id, for boxes in place of letters would help nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from veduta.errors import UsageError
from veduta.labels.translations import name_of
from veduta.records import Environment, Label, Prediction, Score
from veduta.reports.words import page_words

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Colour = tuple[int, int, int]

SIZE = (960, 600)
SMALLEST = (320, 240)

_PAPER, _INK, _SOFT, _TRACK = (252, 251, 248), (33, 31, 27), (98, 93, 83), (236, 232, 224)
_FIRST, _OTHERS, _INDOOR, _OUTDOOR = (12, 97, 87), (130, 178, 167), (178, 104, 32), (36, 104, 160)
# Drawn twice as large and shrunk, because ImageDraw's curves have no smooth edges.
_OVERSAMPLING = 2
_WIDE_FONTS = ("NotoSans-Regular.ttf", "DejaVuSans.ttf", "segoeui.ttf", "Arial.ttf", "Arial Unicode.ttf")
_CHINESE_FONTS = (
    "NotoSansSC-Regular.otf",
    "NotoSansCJKsc-Regular.otf",
    "NotoSansCJK-Regular.ttc",
    "SourceHanSansSC-Regular.otf",
    "msyh.ttc",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "wqy-microhei.ttc",
)


def bars(prediction: Prediction, language: str = "en", size: tuple[int, int] = SIZE) -> Image.Image:
    """Draw a prediction: RGB of ``size`` (width, height), at least 320 by 240.

    Raises ``UsageError`` for a language that Veduta does not speak, or a smaller size.
    """
    if size[0] < SMALLEST[0] or size[1] < SMALLEST[1]:
        raise UsageError(f"A picture of {size[0]} by {size[1]} pixels is too small for the bars; 320 by 240 will do.")
    words = {key: page_words(language)[key] for key in ("indoor", "outdoor", "fits_note")}
    face = _face(language, [*words.values(), *(name_of(score.label, language) for score in prediction.scores)])
    if face is None and not all(map(_in_own_font, words.values())):
        words = page_words("en")
    canvas = Image.new("RGB", (size[0] * _OVERSAMPLING, size[1] * _OVERSAMPLING), _PAPER)
    sheet = _Sheet(canvas, language, face, words)
    bottom = sheet.environment(prediction.environment)
    top = sheet.heading(prediction)
    sheet.scores(prediction.scores, top, bottom, faded=not prediction.fits)
    return canvas.resize(size, Image.Resampling.LANCZOS)


class _Sheet:
    """The picture while it is drawn; all lengths are parts of its own size."""

    def __init__(self, canvas: Image.Image, language: str, face: str | None, words: dict[str, str]) -> None:
        self.draw = ImageDraw.Draw(canvas)
        self.width, self.height = canvas.size
        self.language, self.face, self.words = language, face, words
        self.unit = min(self.width / 48, self.height / 30)
        self.margin = 2.4 * self.unit

    def heading(self, prediction: Prediction) -> float:
        """The first label and its probability; returns where the bars may begin."""
        top, right = self.margin, self.width - self.margin
        if not prediction.scores:
            return top
        baseline = top + 2.2 * self.unit
        first = prediction.scores[0]
        share = self.percent(first.probability) if prediction.fits else ""
        name = self.name(first.label) if prediction.fits else self.words["fits_note"]
        large = self.font(2.4)
        self.text((right, baseline), share, large, _INK, anchor="rs")
        room = right - self.margin - self.draw.textlength(share, large) - self.unit
        colour = _INK if prediction.fits else _SOFT
        self.text((self.margin, baseline), self.fitted(name, large, room), large, colour)
        return top + 4.6 * self.unit

    def scores(self, scores: Sequence[Score], top: float, bottom: float, faded: bool) -> None:
        """A row for each score between two heights."""
        if not scores:
            return
        row = min((bottom - top) / len(scores), 4.2 * self.unit)
        font = self.font(min(1.3, row / self.unit * 0.36))
        right = self.width - self.margin
        value_width = self.draw.textlength("100 %", font) + self.unit
        for index, score in enumerate(scores):
            y = top + index * row
            room = right - self.margin - value_width
            baseline = y + row * 0.34
            self.text((self.margin, baseline), self.fitted(self.name(score.label), font, room), font, _INK)
            self.text((right, baseline), self.percent(score.probability), font, _INK, anchor="rs")
            colour = _FIRST if index == 0 and not faded else _OTHERS
            self.bar((self.margin, y + row * 0.5, right, y + row * 0.7), score.probability, colour)

    def environment(self, environment: Environment | None) -> float:
        """The scale at the foot; returns where the bars must end."""
        foot = self.height - self.margin
        if environment is None:
            return foot
        font, right = self.font(1.15), self.width - self.margin
        line = foot - 2.3 * self.unit
        indoor, outdoor = self.words["indoor"], self.words["outdoor"]
        outside = environment.kind == "outdoor"
        baseline = foot - 0.3 * self.unit
        self.text((self.margin, baseline), indoor, font, _SOFT if outside else _INDOOR)
        self.text((right, baseline), outdoor, font, _OUTDOOR if outside else _SOFT, anchor="rs")
        share = environment.outdoor_probability
        told = self.percent(share if outside else 1 - share)
        self.text((self.width / 2, baseline), told, font, _INK, anchor="ms")
        thick = 0.55 * self.unit
        middle = self.margin + (right - self.margin) * share
        self.draw.rounded_rectangle((self.margin, line, right, line + thick), thick / 2, fill=_TRACK)
        colour, radius = (_OUTDOOR if outside else _INDOOR), 0.62 * self.unit
        start, end = sorted(((self.margin + right) / 2, middle))
        self.draw.rectangle((start, line, end, line + thick), fill=colour)
        centre = line + thick / 2
        self.draw.ellipse((middle - radius, centre - radius, middle + radius, centre + radius), fill=colour)
        return line - 1.8 * self.unit

    def bar(self, box: tuple[float, float, float, float], share: float, colour: Colour) -> None:
        """A track and, over it, its filled part."""
        left, top, right, bottom = box
        radius = (bottom - top) / 2
        self.draw.rounded_rectangle(box, radius, fill=_TRACK)
        filled = max(2 * radius, (right - left) * min(1.0, max(0.0, share)))
        self.draw.rounded_rectangle((left, top, left + filled, bottom), radius, fill=colour)

    def text(self, at: tuple[float, float], text: str, font: Font, fill: Colour, *, anchor: str = "ls") -> None:
        """A line of text on its baseline, so that fonts of different heights sit alike."""
        self.draw.text(at, text, font=font, fill=fill, anchor=anchor)

    def percent(self, share: float) -> str:
        """A probability in the manner of the language."""
        gap = "\u00a0" if self.language in ("de", "ru") else ""
        return f"<1{gap}%" if share < 0.005 else f"{share:.0%}".replace("%", f"{gap}%")

    def name(self, label: Label) -> str:
        """The label in the language, or its id in ASCII where the font has not its letters."""
        name = " ".join(name_of(label, self.language).split())
        if self.face is None and not _in_own_font(name):
            return label.id.encode("ascii", "backslashreplace").decode("ascii")
        return name

    def font(self, units: float) -> Font:
        return _font(self.face, max(8, round(units * self.unit)))

    def fitted(self, text: str, font: Font, room: float) -> str:
        """The text, its end cut off where it would not fit."""
        if self.draw.textlength(text, font) <= room:
            return text
        while text and self.draw.textlength(text + "…", font) > room:
            text = text[:-1]
        return text.rstrip() + "…"


def _in_own_font(text: str) -> bool:
    """Whether the font that Pillow brings has all the letters."""
    return all(character.isspace() or _glyph(character) != _glyph("\uffff") for character in text)


@cache
def _glyph(character: str) -> bytes:
    return bytes(ImageFont.load_default(24).getmask(character))


def _face(language: str, texts: Sequence[str]) -> str | None:
    """A font of the system, where the texts need one and there is one; None for Pillow's own."""
    if all(map(_in_own_font, texts)):
        return None
    return _first_found(_CHINESE_FONTS if language == "zh" else _WIDE_FONTS)


@cache
def _first_found(names: tuple[str, ...]) -> str | None:
    for name in names:
        try:
            ImageFont.truetype(name, 12)
        except OSError:
            continue
        return name
    return None


def _font(face: str | None, size: int) -> Font:
    if face is None:
        return ImageFont.load_default(size)
    # In the collection of all Chinese, Japanese and Korean forms, the third font has the simplified Chinese ones.
    return ImageFont.truetype(face, size, index=2 if face == "NotoSansCJK-Regular.ttc" else 0)
