"""``veduta evaluate``: how good is a model on photos whose classes are known?"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from veduta.cli import exits
from veduta.cli import options as given
from veduta.cli.job import progress_bar, say

if TYPE_CHECKING:
    from veduta.evaluation.evaluate import Evaluation

#: Photos without an answer that are named one by one.
MOST_FAILURES = 20


def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name or folder of a model.", show_default=False)],
    data: Annotated[
        Path,
        typer.Argument(
            parser=given.path,
            metavar="DATA",
            help="A folder with a folder of photos for each class.",
            show_default=False,
        ),
    ],
    coarse: Annotated[
        bool, typer.Option("--coarse", help="Judge by everyday labels, where the set's classes are not the model's.")
    ] = False,
    same: Annotated[
        list[str] | None,
        typer.Option("--same", help="With --coarse, what a folder means: ice_skating=ice_rink. Repeatable."),
    ] = None,
    strangers: Annotated[
        Path | None,
        typer.Option(
            parser=given.path,
            metavar="<path>",
            help="A folder of photos that show none of the classes: what share does the evidence reject?",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--json", parser=given.path, metavar="<path>", help="Write all figures here; - prints them."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report", "-r", parser=given.path, metavar="<path>", help="Write a page of the surest mistakes."
        ),
    ] = None,
    taxonomy: given.Taxonomy = None,
    precision: given.Precision = "float32",
    threads: given.Threads = None,
    max_megabytes: given.MaxMegabytes = None,
    max_megapixels: given.MaxMegapixels = None,
    max_seconds: given.MaxSeconds = None,
    quiet: given.Quiet = False,
) -> None:
    """Judge a model on a folder of class folders: accuracy with intervals, calibration, what it confuses.

    \b
    veduta evaluate places100 photos/            classes by folder name
    veduta evaluate places100 sun27/ --coarse    another set's classes
    veduta evaluate places100 photos/ --strangers pets/ --report mistakes/
    """
    from veduta.cli.figures import print_evaluation
    from veduta.errors import UsageError
    from veduta.evaluation.evaluate import evaluate as judge
    from veduta.images.pool import DecodePool
    from veduta.reports.mistakes import check_folder, write_mistakes

    if same and not coarse:
        raise UsageError("--same tells what a folder means among everyday labels; add --coarse.")
    meanings = _meanings(same or [])
    if report is not None:
        check_folder(report)
    if out is not None and str(out) != "-" and not out.resolve().parent.is_dir():
        raise UsageError(f"--json {out}: there is no such folder; make it, or name another file.")
    limits = given.limits_from(max_megabytes, max_megapixels, max_seconds)
    written = []
    with DecodePool(given.decoders_for(threads), limits) as pool, _progress_bar(quiet) as show:
        (tagger,) = given.load_taggers([model], precision, threads, taxonomy, None, top_k=1)
        evaluation = judge(tagger, data, pool, coarse=coarse, same=meanings, strangers=strangers, progress=show)
        if report is not None:
            page = write_mistakes(report, evaluation.mistakes, evaluation.judgement, pool, model=evaluation.model)
            written.append(str(page))
    if str(out) != "-":
        print_evaluation(evaluation)
    if out is not None:
        _write_json(out, evaluation)
        written += [str(out)] if str(out) != "-" else []
    for place in [] if quiet else written:
        say(f"wrote {place}")
    _tell_failures(evaluation)
    if evaluation.failures:
        sys.exit(exits.SOME_PHOTOS_FAILED)


def _meanings(same: list[str]) -> dict[str, str]:
    from veduta.errors import UsageError

    meanings = {}
    for each in same:
        folder, equals, coarse = each.partition("=")
        if not (folder and equals and coarse):
            raise UsageError(f"--same {each} can't be meant; write it as in ice_skating=ice_rink.")
        meanings[folder] = coarse
    return meanings


@contextmanager
def _progress_bar(quiet: bool) -> Iterator[Callable[[int, int, int], None] | None]:
    from veduta.jobs.pipeline import Progress

    with progress_bar(quiet) as show:
        if show is None:
            yield None
            return
        bar = show

        def tell(done: int, failed: int, total: int) -> None:
            bar(Progress(total=total, answered=done - failed, failed=failed))

        yield tell


def _write_json(out: Path, evaluation: Evaluation) -> None:
    from veduta.errors import OutputError
    from veduta.evaluation.values import evaluation_values

    text = json.dumps(evaluation_values(evaluation), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if str(out) == "-":
        sys.stdout.write(text)
        return
    beside = out.with_name(out.name + ".part")
    try:
        beside.write_text(text, encoding="utf-8", errors="backslashreplace")
        beside.replace(out)
    except OSError as error:
        raise OutputError(f"{out} can't be written ({error.strerror}); check its space and permissions.") from error


def _tell_failures(evaluation: Evaluation) -> None:
    for failure in evaluation.failures[:MOST_FAILURES]:
        say(f"{failure.error}: {failure.message}")
    more = len(evaluation.failures) - MOST_FAILURES
    if more > 0:
        say(f"and {more:,} more photos without an answer; --json tells them all.")
