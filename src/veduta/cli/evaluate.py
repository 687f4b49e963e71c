"""``veduta evaluate``: how good is a model on photos whose classes are known?"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from veduta.cli import exits
from veduta.cli import options as given
from veduta.cli.job import counting_bar, say

if TYPE_CHECKING:
    from veduta.evaluation.evaluate import Evaluation
    from veduta.evaluation.evaluate_table import TableEvaluation
    from veduta.records import Failure

#: Photos without an answer that are named one by one.
MOST_FAILURES = 20


def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name or folder of a model.", show_default=False)],
    data: Annotated[
        Path,
        typer.Argument(
            parser=given.path,
            metavar="DATA",
            help="A folder with a folder of photos for each class; for a model of many labels, a CSV table.",
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
    size: given.Size = None,
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
    veduta evaluate runs/mine/bundle labels.csv  a model of many labels

    A table has a path in its first column, then 0 or 1 for each label.
    """
    from veduta.errors import UsageError
    from veduta.evaluation.evaluate import Evaluation
    from veduta.evaluation.evaluate import evaluate as judge
    from veduta.evaluation.evaluate_table import evaluate_table
    from veduta.images.pool import DecodePool
    from veduta.reports.mistakes import write_mistakes

    if same and not coarse:
        raise UsageError("--same tells what a folder means among everyday labels; add --coarse.")
    if data.is_file() and (coarse or strangers is not None or report is not None):
        raise UsageError(f"{data} is a file; --coarse, --strangers and --report are for a folder of class folders.")
    meanings = _meanings(same or [])
    _check_places(out, report)
    limits = given.limits_from(max_megabytes, max_megapixels, max_seconds)
    with DecodePool(given.decoders_for(threads), limits) as pool:
        with counting_bar(quiet) as show:
            (tagger,) = given.load_taggers([model], precision, threads, taxonomy, None, top_k=1, size=size)
            found: Evaluation | TableEvaluation
            if data.is_file():
                found = evaluate_table(tagger, data, pool, show)
            else:
                found = judge(tagger, data, pool, coarse=coarse, same=meanings, strangers=strangers, progress=show)
        # What took the work is told first: by now the disk may have no room for the report.
        _tell(found, out, quiet)
        if report is not None and isinstance(found, Evaluation):
            page = write_mistakes(report, found, pool)
            if not quiet:
                say(f"wrote {page}")
    if found.failures:
        sys.exit(exits.SOME_PHOTOS_FAILED)


def _check_places(out: Path | None, report: Path | None) -> None:
    """Refuse what can't be written to before the work."""
    from veduta.errors import UsageError
    from veduta.reports.mistakes import check_folder
    from veduta.whole_file import check_place

    if out is not None and str(out) != "-":
        if not out.resolve().parent.is_dir():
            raise UsageError(f"--json {out}: there is no such folder; make it, or name another file.")
        check_place(out)
    if report is not None:
        check_folder(report)


def _meanings(same: list[str]) -> dict[str, str]:
    from veduta.errors import UsageError

    meanings = {}
    for each in same:
        folder, equals, coarse = each.partition("=")
        if not (folder and equals and coarse):
            raise UsageError(f"--same {each} can't be meant; write it as in ice_skating=ice_rink.")
        meanings[folder] = coarse
    return meanings


def _tell(found: Evaluation | TableEvaluation, out: Path | None, quiet: bool) -> None:
    """Tables, the file of figures, photos without an answer."""
    from veduta.cli.figures import print_evaluation, print_table_evaluation
    from veduta.evaluation.evaluate_table import TableEvaluation
    from veduta.evaluation.values import evaluation_values, table_evaluation_values

    if isinstance(found, TableEvaluation):
        show, values = partial(print_table_evaluation, found), partial(table_evaluation_values, found)
    else:
        show, values = partial(print_evaluation, found), partial(evaluation_values, found)
    if str(out) != "-":
        show()
    if out is not None:
        _write_json(out, values(), quiet)
    _tell_failures(found.failures)


def _write_json(out: Path, values: dict[str, Any], quiet: bool) -> None:
    from veduta.whole_file import write_whole

    text = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if str(out) == "-":
        sys.stdout.write(text)
        return
    write_whole(out, text.encode("utf-8", "backslashreplace"))
    if not quiet:
        say(f"wrote {out}")


def _tell_failures(failures: Sequence[Failure]) -> None:
    for failure in failures[:MOST_FAILURES]:
        say(f"{failure.error}: {failure.message}")
    more = len(failures) - MOST_FAILURES
    if more > 0:
        say(f"and {more:,} more photos without an answer; --json tells them all.")
