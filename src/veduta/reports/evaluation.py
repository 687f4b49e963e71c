"""The page of an evaluation: how good a model is, how far to rely on it, and the photos that it is wrong about.

It shows photos of the set that was judged, so it stays on the machine that holds them and is never part of a model.

    folder/
        index.html           the page; it holds all text, and opens from the disk
        assets/              its style and script
        pictures/<digest>    diagrams, thumbnails and heat maps, by their content
        tables/              the figures as CSV

Everything else is there before the page is, so a run that is killed or finds the disk full leaves the earlier page as
it was, or one that says that it is not finished. (Its tables may be the new ones by then.)
"""

from __future__ import annotations

import html
import string
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import veduta
from veduta.evaluation.csv_files import TABLES, write_tables
from veduta.evaluation.elsewhere import SIDES, Drop, first_drop
from veduta.evaluation.evaluate_classes import Evaluation
from veduta.evaluation.evaluate_labels import LabelEvaluation
from veduta.evaluation.figures import WORDS, shown
from veduta.images.pool import DecodePool
from veduta.models.bundle import Metric
from veduta.recognition.tagger import Tagger
from veduta.reports.class_page import class_panels
from veduta.reports.label_page import label_panels
from veduta.reports.markup import Panel, text
from veduta.reports.report_folder import PAGE, PICTURE, ReportFolder
from veduta.reports.words import asset
from veduta.whole_file import write_whole

_FOLDER = ReportFolder("Veduta evaluation", ("assets", "pictures", "tables"))
_ASSETS = ("report.css", "evaluation.css", "evaluation.js")


def check_folder(folder: Path) -> None:
    """Raise UsageError where the page can't go, before the work for it: see ``ReportFolder.check_free``."""
    _FOLDER.check_free(folder)


def write_evaluation(folder: Path, evaluation: Evaluation | LabelEvaluation, tagger: Tagger, pool: DecodePool) -> Path:
    """Write the page into a folder and return its path; an earlier page of an evaluation there is replaced.

    The photos that are shown are decoded anew by ``pool`` and explained by ``tagger``, which must be the one that was
    judged; one that has gone since is shown without a picture. Raises UsageError as ``check_folder``, OutputError where
    the folder can't be written.
    """
    _FOLDER.claim(folder)
    tables = write_tables(folder / "tables", evaluation)
    for stale in {folder / "tables" / name for name in TABLES}.difference(tables):
        stale.unlink(missing_ok=True)
    if isinstance(evaluation, Evaluation):
        panels = class_panels(folder, evaluation, tagger, pool)
    else:
        panels = label_panels(folder, evaluation, tagger, pool)
    for name in _ASSETS:
        write_whole(folder / "assets" / name, asset(name).encode())
    page = _page(evaluation, panels, [f"tables/{path.name}" for path in tables])
    write_whole(folder / PAGE, page.encode())
    for picture in (folder / "pictures").glob("*"):
        if PICTURE.fullmatch(picture.name) and f'"pictures/{picture.name}"' not in page:
            with suppress(OSError):
                picture.unlink()
    return folder / PAGE


def _page(evaluation: Evaluation | LabelEvaluation, panels: Sequence[Panel], tables: Sequence[str]) -> str:
    judgement = evaluation.judgement
    unanswered = f", {len(evaluation.failures):,} without an answer" if evaluation.failures else ""
    return string.Template(asset("evaluation.html")).substitute(
        marker=_FOLDER.marker,
        version=html.escape(veduta.__version__),
        title=text(f"{evaluation.conditions.title} on {judgement.data}"),
        subtitle=f"{judgement.photos:,} photos judged{unanswered}",
        headline="\n".join((*map(_figure, judgement.metrics[:2]), *map(_drop, first_drop(evaluation.drops)))),
        contents="\n".join(panel.link for panel in panels),
        tables="\n".join(f'<li><a href="{name}" download>{Path(name).name}</a></li>' for name in tables),
        panels="\n".join(panel.html for panel in panels),
    )


def _figure(metric: Metric) -> str:
    value, interval = shown(metric)
    return f"<div><dt>{text(WORDS.get(metric.name, metric.name))}</dt><dd>{value}<small>{interval}</small></dd></div>"


def _drop(drop: Drop) -> str:
    value, interval = drop.shown
    name = text(WORDS.get(drop.name, drop.name))
    return (
        f'<div><dt><a href="#elsewhere">points of {name} lost elsewhere</a></dt>'
        f"<dd>{value}<small>{interval}, {SIDES[drop.on]}</small></dd></div>"
    )
