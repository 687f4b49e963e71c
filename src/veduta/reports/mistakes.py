"""A page of the surest mistakes: photo, true class, what was said, and how surely; beside them the figures.

It shows photos of the set that was judged, so it stays on the machine that holds them and is never part of a model.

    folder/
        index.html            the page; it holds all text and the diagram, and opens from the disk
        assets/               its style
        thumbs/<digest>.jpg   a thumbnail of each photo that is shown, by its content

Everything else is there before the page is, so a run that is killed or finds the disk full leaves the earlier page as
it was, or one that says that it is not finished.
"""

from __future__ import annotations

import base64
import html
import os
import string
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from blake3 import blake3

import veduta
from veduta.errors import MissingExtra, PhotoError
from veduta.evaluation.evaluate import Evaluation
from veduta.evaluation.figures import WORDS, shown
from veduta.evaluation.metrics import Confusion
from veduta.evaluation.mistakes import Mistake
from veduta.images.decode import Thumbnail
from veduta.images.limits import printable
from veduta.images.pool import DecodePool
from veduta.models.bundle import Metric
from veduta.reports.calibration import calibration_png
from veduta.reports.report_folder import PAGE, PICTURE, ReportFolder
from veduta.reports.words import asset
from veduta.whole_file import write_whole

THUMBNAIL_SIDE = 320
PAIRS = 15

_FOLDER = ReportFolder("Veduta mistakes", ("assets", "thumbs"))
_STYLES = ("report.css", "mistakes.css")


def check_folder(folder: Path) -> None:
    """Raise UsageError where a page of mistakes can't go, before the work for it: see ``ReportFolder.check_free``."""
    _FOLDER.check_free(folder)


def write_mistakes(folder: Path, evaluation: Evaluation, pool: DecodePool) -> Path:
    """Write the page into a folder and return its path; an earlier page of mistakes there is replaced.

    The photos are decoded anew by ``pool`` for their thumbnails; one that has gone since is shown without.
    Raises UsageError as ``check_folder``, OutputError where the folder can't be written.
    """
    _FOLDER.claim(folder)
    mistakes = evaluation.mistakes
    thumbnails = _put_thumbnails(folder, mistakes, pool)
    for style in _STYLES:
        write_whole(folder / "assets" / style, asset(style).encode())
    page = _page(evaluation, [_card(mistake, name) for mistake, name in zip(mistakes, thumbnails, strict=True)])
    write_whole(folder / PAGE, page.encode())
    for picture in (folder / "thumbs").glob("*"):
        if PICTURE.fullmatch(picture.name) and picture.name not in thumbnails:
            with suppress(OSError):
                picture.unlink()
    return folder / PAGE


def _page(evaluation: Evaluation, cards: Sequence[str]) -> str:
    judgement = evaluation.judgement
    unanswered = f", {len(evaluation.failures):,} without an answer" if evaluation.failures else ""
    wrong = judgement.photos - int(judgement.matrix.trace())
    return string.Template(asset("mistakes.html")).substitute(
        marker=_FOLDER.marker,
        version=html.escape(veduta.__version__),
        title=_text(f"{evaluation.conditions.title}: mistakes on {judgement.data}"),
        subtitle=f"{judgement.photos:,} photos judged{unanswered}",
        figures="\n".join(_figure(metric) for metric in (*judgement.metrics, *evaluation.evidence)),
        calibration=_calibration(evaluation),
        confusions="\n".join(_pair(pair) for pair in judgement.confusions[:PAIRS]),
        count=f"{len(cards):,} of {wrong:,} mistake{'s' * (wrong != 1)}, the surest first",
        cards="\n".join(cards),
    )


def _put_thumbnails(folder: Path, mistakes: Sequence[Mistake], pool: DecodePool) -> list[str | None]:
    """The name in ``thumbs`` of each photo's picture, None where it has gone."""
    names: list[str | None] = []
    for waiting in [pool.submit(mistake.path, [Thumbnail(THUMBNAIL_SIDE)]) for mistake in mistakes]:
        try:
            picture = waiting.result().inputs[0]
        except PhotoError:
            names.append(None)
            continue
        assert isinstance(picture, bytes), "a thumbnail is an encoded JPEG"
        names.append(f"{blake3(picture).hexdigest(length=16)}.jpg")
        # By content, so that the earlier page keeps its own until the new one is there.
        write_whole(folder / "thumbs" / f"{names[-1]}", picture, sync=False)
    return names


def _card(mistake: Mistake, thumbnail: str | None) -> str:
    blank = '<span class="blank">no picture</span>'
    picture = f'<img src="thumbs/{thumbnail}" alt="" loading="lazy">' if thumbnail else blank
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


def _calibration(evaluation: Evaluation) -> str:
    judgement = evaluation.judgement
    words = "The share of photos that are right over the probability of the first label"
    try:
        picture = base64.b64encode(calibration_png(judgement.bins)).decode("ascii")
        diagram = f'      <img class="diagram" src="data:image/png;base64,{picture}" alt="{words}">\n'
    except MissingExtra:
        diagram = ""
    remarks = filter(None, (judgement.calibration.remark, evaluation.conditions.caveat))
    notes = "".join(f'      <p class="note">{_text(remark)}</p>\n' for remark in remarks)
    return f"    <section>\n      <h2>How far to believe it</h2>\n{diagram}{notes}    </section>"


def _text(text: str) -> str:
    """A text that can't be anything else in a page, nor turn the direction of what follows."""
    return html.escape(printable(text))
