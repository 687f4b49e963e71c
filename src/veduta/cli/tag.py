"""``veduta tag``: what place does each photo show?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from veduta.cli import options as given
from veduta.cli.job import finish, open_ledger, progress_bar

if TYPE_CHECKING:
    from veduta.jobs.plan import Options
    from veduta.jobs.writers import Sink
    from veduta.recognition.landmarks.recogniser import LandmarkRecogniser
    from veduta.recognition.tagger import Tagger
    from veduta.reports.tags import TagReport

#: The longer side of a report's thumbnails: sharp on a card 240 pixels wide and a little larger.
THUMBNAIL_SIDE = 320


def tag(
    photos: given.Photos,
    model: given.Models = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            parser=given.path,
            metavar="<path>",
            help="Write .jsonl, .csv or .parquet (extra parquet); - prints JSON Lines.",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report", "-r", parser=given.path, metavar="<path>", help="Write an HTML report into this folder."
        ),
    ] = None,
    heat_maps: Annotated[
        bool, typer.Option("--heat-maps", help="Show in the report which region decided each photo.")
    ] = False,
    attributes: Annotated[
        bool, typer.Option("--attributes", help="Tell ten attributes of the place, such as trees or natural light.")
    ] = False,
    landmarks: Annotated[
        bool, typer.Option("--landmarks", help="Tell which landmark of your index each photo shows, or none.")
    ] = False,
    landmark_index: Annotated[
        str | None,
        typer.Option(help="Name or file of that index; asks for landmarks, too.", show_default="mine"),
    ] = None,
    top_k: given.TopK = 5,
    language: given.Language = "en",
    taxonomy: given.Taxonomy = None,
    drop_class: given.DropClass = None,
    size: given.Size = None,
    precision: given.Precision = "float32",
    threads: given.Threads = None,
    ledger: given.LedgerFile = None,
    no_ledger: given.NoLedger = False,
    retry_failed: given.RetryFailed = False,
    max_megabytes: given.MaxMegabytes = None,
    max_megapixels: given.MaxMegapixels = None,
    max_seconds: given.MaxSeconds = None,
    quiet: given.Quiet = False,
) -> None:
    """Name the scene of each photo, an everyday label, and whether it is indoors.

    \b
    veduta tag holiday/                          a table
    veduta tag holiday/ --out tags.csv           a file (.jsonl, .csv, .parquet)
    veduta tag holiday/ --report report --heat-maps
    veduta tag holiday/ --attributes             trees, natural light, …
    veduta tag holiday/ --landmarks              see `veduta landmarks enroll`
    find . -name '*.jpg' -print0 | veduta tag - --out -

    What is done is kept in a ledger: a run that was killed goes on where it
    stopped, and the next run looks only at new and changed photos.
    """
    from veduta.errors import UsageError
    from veduta.images.pool import DecodePool
    from veduta.images.sources import expand
    from veduta.jobs.pipeline import tag_photos

    if heat_maps and report is None:
        raise UsageError("--heat-maps draws into a report; add --report FOLDER, or use `veduta explain` for one photo.")
    limits = given.limits_from(max_megabytes, max_megapixels, max_seconds)
    workers = given.decoders_for(threads)
    samples = expand(photos, stdin=typer.get_text_stream("stdin") if "-" in photos else None)
    # The decoders start first, so that they are ready when the model is.
    with DecodePool(workers, limits) as pool, open_ledger(ledger, no_ledger) as opened, progress_bar(quiet) as show:
        taggers = given.load_taggers(
            model, precision, threads, taxonomy, drop_class, top_k, attributes=attributes, size=size
        )
        recogniser = _recogniser(landmark_index, threads) if landmarks or landmark_index is not None else None
        sinks, options, page = _outputs(out, report, heat_maps, language, retry_failed, taggers, recogniser)
        summary = tag_photos(
            samples, taggers, ledger=opened, sinks=sinks, limits=limits, options=options, progress=show, pool=pool
        )
    written = [str(out)] if out and str(out) != "-" else []
    if page is not None and not summary.interrupted:
        written.append(str(page.close()))
    finish(summary, quiet, written)


def _recogniser(index: str | None, threads: int | None) -> LandmarkRecogniser:
    from veduta.recognition.landmarks.index import DEFAULT
    from veduta.workflows.landmarks import load_landmarks

    return load_landmarks(DEFAULT if index is None else index, threads=threads)


def _outputs(
    out: Path | None,
    report: Path | None,
    heat_maps: bool,
    language: str,
    retry_failed: bool,
    taggers: list[Tagger],
    recogniser: LandmarkRecogniser | None,
) -> tuple[list[Sink], Options, TagReport | None]:
    """Where the results go; whatever can't be written is refused here, before the work."""
    from veduta.cli.table import StandardOutput, TerminalTable
    from veduta.images.decode import Thumbnail
    from veduta.jobs.pages import ReportSink
    from veduta.jobs.plan import Options, layout_of
    from veduta.jobs.writers import open_writer

    sinks: list[Sink] = []
    if out is not None:
        sinks.append(
            StandardOutput()
            if str(out) == "-"
            else open_writer(out, layout_of(taggers, landmarks=recogniser is not None))
        )
    else:
        sinks.append(TerminalTable())
    if report is None:
        return sinks, Options(language=language, retry_failed=retry_failed, landmarks=recogniser), None
    from veduta.reports.tags import TagReport

    page = TagReport(report, title="Photos", model=", ".join(layout_of(taggers).models), language=language)
    sink = ReportSink(page)
    options = Options(
        language=language,
        retry_failed=retry_failed,
        thumbnail=Thumbnail(THUMBNAIL_SIDE),
        heat_maps=heat_maps,
        landmarks=recogniser,
        kept_thumbnail=sink.kept_thumbnail,
    )
    return [*sinks, sink], options, page
