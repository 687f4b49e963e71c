"""Sections that the pages of both kinds of models have: calibration, photos from elsewhere, what was not judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from veduta.errors import MissingExtra
from veduta.evaluation.calibration import CalibrationError, ReliabilityBin
from veduta.evaluation.elsewhere import SIDES, Drop
from veduta.evaluation.figures import WORDS
from veduta.records import Failure
from veduta.reports.calibration import calibration_png
from veduta.reports.markup import Cell, Panel, count, panel, paragraph, path_text, share, table, text, words
from veduta.reports.photo_pictures import put_picture
from veduta.reports.themes import DARK, LIGHT

#: Failures that a page lists; the file of figures has all.
MOST_FAILURES = 100


def themed(folder: Path, light: bytes, dark: bytes, alt: str) -> str:
    """A diagram in both themes, of which the page shows one; it opens in full at a click."""
    return "".join(
        f'<a class="diagram for-{name}" href="{source}"><img src="{source}" alt="{text(alt)}"></a>'
        for name, source in (("light", put_picture(folder, light, "png")), ("dark", put_picture(folder, dark, "png")))
    )


def calibration_panel(
    folder: Path, error: CalibrationError, bins: Sequence[ReliabilityBin], caveat: str, of: str
) -> Panel:
    """The reliability diagram, beside what the error is and what chance gives."""
    try:
        light, dark = (calibration_png(bins, theme=theme, of=of) for theme in (LIGHT, DARK))
    except MissingExtra:
        diagram = ""
    else:
        diagram = themed(folder, light, dark, f"The share that is right over the probability of {of}")
    low, high = error.interval
    told = paragraph(
        "Answers that were given a probability of 70 % should be right in 70 of 100 cases. On average they miss that "
        f"by {error.value:.3f} (expected calibration error, 95 % interval {low:.3f} – {high:.3f}).",
        error.remark,
    )
    how = (
        "Points on the broken line are as often right as was said; below it the model is too bold, above it too timid. "
        "The bars below show how many answers each point stands for."
    )
    rows = [
        (
            Cell(f"{100 * each.low:.0f} – {100 * each.high:.0f} %", each.low),
            count(each.count),
            share(each.confidence),
            share(each.accuracy, each.interval),
        )
        for each in bins
        if each.count
    ]
    return panel(
        "belief",
        "How far to believe a probability",
        f'<div class="beside"><div>{diagram}</div>',
        f"<div>{told}{paragraph(how)}{paragraph(caveat, kind='caveat')}",
        table(("said", "answers", "mean probability", "right"), rows) + "</div></div>",
    )


def drop_table(drops: Sequence[Drop]) -> str:
    """How much worse the model is elsewhere."""
    rows = [
        (
            words(WORDS.get(each.name, each.name)),
            words(SIDES[each.on]),
            Cell(f"{each.here:.1%} <small>{each.photos_here:,} photos</small>", each.here),
            Cell(f"{each.elsewhere:.1%} <small>{each.photos_elsewhere:,} photos</small>", each.elsewhere),
            Cell(f"<b>{each.shown[0]}</b>", each.value),
            Cell(each.shown[1], each.value),
        )
        for each in drops
    ]
    return table(("figure", "of", "here", "elsewhere", "drop in points", "95 % interval"), rows)


def not_judged(names: Mapping[str, Sequence[str]], absent: Mapping[str, str], what: str) -> str:
    """Which names of the set count in no figure, and what they may mean."""
    told = [
        f"{text(name)} <small>{text('may be ' + ' or '.join(near) if near else 'nothing like it')}</small>"
        for name, near in names.items()
    ]
    told += [f"{text(name)} <small>the model has no class of {text(label)}</small>" for name, label in absent.items()]
    if not told:
        return ""
    items = "".join(f"<li>{each}</li>" for each in told)
    return f'{paragraph(f"Not judged, for they mean no {what}:", kind="note")}<ul class="names">{items}</ul>'


def failure_panel(failures: Sequence[Failure]) -> Panel | None:
    """Photos without an answer; none where all have one."""
    if not failures:
        return None
    rows = [
        (Cell(f"<bdi>{path_text(each.path)}</bdi>", each.path), words(each.error), words(each.message))
        for each in failures[:MOST_FAILURES]
    ]
    more = len(failures) - MOST_FAILURES
    return panel(
        "failures",
        "Photos without an answer",
        paragraph(
            f"They count in no figure. {count(len(failures)).html} in all{', the first are here' if more > 0 else ''}."
        ),
        table(("photo", "error", "why"), rows),
    )
