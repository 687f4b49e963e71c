"""A page of the surest mistakes: photo, true class, what was said, and how surely; beside them the figures.

It shows photos of the set that was judged, so it stays on the machine that holds them and is never part of a model.

    folder/
        index.html            the page; it holds all text and opens from the disk
        assets/               its style, and the reliability diagram where matplotlib is there
        thumbs/000.jpg ...    a thumbnail of each photo that is shown
"""

from __future__ import annotations

import html
import os
import string
from collections.abc import Sequence
from pathlib import Path

import veduta
from veduta.errors import MissingExtra, PhotoError
from veduta.evaluation.figures import WORDS, Judgement, shown
from veduta.evaluation.metrics import Confusion
from veduta.evaluation.mistakes import Mistake
from veduta.images.decode import Thumbnail
from veduta.images.limits import printable
from veduta.images.pool import DecodePool
from veduta.models.bundle import Metric
from veduta.reports.calibration import calibration_picture
from veduta.reports.script_files import check_free, put, put_by_rename
from veduta.reports.words import asset

THUMBNAIL_SIDE = 320
PAIRS = 15

_MARKER = '<meta name="generator" content="Veduta mistakes">'
_STYLES = ("report.css", "mistakes.css")


def check_folder(folder: Path) -> None:
    """Raise UsageError where a page of mistakes can't go, before the work for it: a file, or somebody's other page."""
    check_free(folder, _MARKER)


def write_mistakes(
    folder: Path, mistakes: Sequence[Mistake], judgement: Judgement, pool: DecodePool, *, model: str
) -> Path:
    """Write the page into a folder and return its path; an earlier page of mistakes there is replaced.

    The photos are decoded anew by ``pool`` for their thumbnails; one that has gone since is shown without.
    Raises UsageError as ``check_folder``, OutputError where the folder can't be written.
    """
    check_folder(folder)
    thumbnails = [pool.submit(mistake.path, [Thumbnail(THUMBNAIL_SIDE)]) for mistake in mistakes]
    cards = []
    for index, (mistake, waiting) in enumerate(zip(mistakes, thumbnails, strict=True)):
        name = f"thumbs/{index:03d}.jpg"
        try:
            picture = waiting.result().inputs[0]
        except PhotoError:
            cards.append(_card(mistake, None))
            continue
        assert isinstance(picture, bytes), "a thumbnail is an encoded JPEG"
        put(folder / name, picture)
        cards.append(_card(mistake, name))
    for style in _STYLES:
        put(folder / "assets" / style, asset(style).encode())
    page = string.Template(asset("mistakes.html")).substitute(
        marker=_MARKER,
        version=html.escape(veduta.__version__),
        title=_text(f"{model}: mistakes on {judgement.data}"),
        subtitle=f"{judgement.photos:,} photos judged",
        figures="\n".join(_figure(metric) for metric in judgement.metrics),
        calibration=_diagram(folder, judgement),
        confusions="\n".join(_pair(pair) for pair in judgement.confusions[:PAIRS]),
        count=f"{len(mistakes):,} mistake{'s' * (len(mistakes) != 1)}, the surest first",
        cards="\n".join(cards),
    )
    put_by_rename(folder / "index.html", page.encode())
    _remove_further_thumbnails(folder, len(mistakes))
    return folder / "index.html"


def _card(mistake: Mistake, thumbnail: str | None) -> str:
    picture = f'<img src="{thumbnail}" alt="" loading="lazy">' if thumbnail else '<span class="blank">no picture</span>'
    true = _text(mistake.true.name)
    name = os.fsencode(mistake.path).decode("utf-8", "backslashreplace")
    return f"""<article class="card">
  <span class="open"><span class="thumb">{picture}</span></span>
  <div class="text">
    <h3><span class="wrong">{_text(mistake.said.name)}</span> <b>{mistake.said_probability:.0%}</b></h3>
    <p class="truth"><span>is <b>{true}</b></span>
      <small>{mistake.true_probability:.1%}, place {mistake.rank}</small></p>
    <p class="file" dir="auto" title="{_text(name)}">{_text(Path(name).name)}</p>
  </div>
</article>"""


def _figure(metric: Metric) -> str:
    value, interval = shown(metric)
    between = (
        f"<small>{interval}, {metric.count:,} photos</small>" if interval else f"<small>{metric.count:,} photos</small>"
    )
    return f"<div><dt>{_text(WORDS.get(metric.name, metric.name))}</dt><dd>{value}{between}</dd></div>"


def _pair(pair: Confusion) -> str:
    share = f"<small>{pair.share:.0%}, {pair.photos:,}</small>"
    return f"<li><span>{_text(pair.true.name)} → {_text(pair.predicted.name)}</span> {share}</li>"


def _diagram(folder: Path, judgement: Judgement) -> str:
    try:
        calibration_picture(judgement.bins, folder / "assets" / "calibration.png")
    except MissingExtra:
        return ""
    words = "The share of photos that are right over the probability of the first label"
    return (
        '    <section>\n      <h2>How far to believe it</h2>\n      <img class="diagram" src="assets/calibration.png" '
        f'alt="{words}">\n    </section>'
    )


def _text(text: str) -> str:
    """A text that can't be anything else in a page, nor turn the direction of what follows."""
    return html.escape(printable(text))


def _remove_further_thumbnails(folder: Path, count: int) -> None:
    """Those that only an earlier page showed."""
    for picture in (folder / "thumbs").glob("[0-9][0-9][0-9].jpg"):
        if int(picture.stem) >= count:
            picture.unlink(missing_ok=True)
