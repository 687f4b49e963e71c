"""``veduta evaluate``: how good is a model on photos whose classes are known?"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from veduta.cli import evaluate_options as asked
from veduta.cli import exits
from veduta.cli import options as given
from veduta.cli.job import counting_bar, say

if TYPE_CHECKING:
    from veduta.evaluation.evaluate_classes import Evaluation
    from veduta.evaluation.evaluate_labels import LabelEvaluation
    from veduta.evaluation.options import Options
    from veduta.records import Failure

#: Photos without an answer that are named one by one.
MOST_FAILURES = 20


def evaluate(
    model: asked.Model,
    data: asked.Data,
    split: asked.Split = None,
    labels: asked.Labels = None,
    same: asked.Same = None,
    coarse: asked.Coarse = False,
    wider: asked.Map = None,
    wild: asked.Wild = None,
    strangers: asked.Strangers = None,
    precision_target: asked.PrecisionTarget = None,
    out: asked.Json = None,
    tables: asked.Csv = None,
    report: asked.Report = None,
    taxonomy: given.Taxonomy = None,
    size: given.Size = None,
    precision: given.Precision = "float32",
    threads: given.Threads = None,
    max_megabytes: given.MaxMegabytes = None,
    max_megapixels: given.MaxMegapixels = None,
    max_seconds: given.MaxSeconds = None,
    quiet: given.Quiet = False,
) -> None:
    """Judge a model on labelled photos: accuracy with intervals, calibration, thresholds, what it confuses.

    \b
    veduta evaluate places100 photos/            classes by folder name
    veduta evaluate places100 sun27/ --coarse    another set's classes
    veduta evaluate places100 photos/ --wild phone/ --report page/
    veduta evaluate runs/mine/bundle set.csv     the test photos of a manifest
    veduta evaluate runs/tags/bundle labels.csv  a model of many labels

    A table has a path in its first column, then 0 or 1 for each label.
    """
    from veduta.evaluation.csv_files import write_tables
    from veduta.evaluation.evaluate import evaluate as judge
    from veduta.images.pool import DecodePool
    from veduta.reports.evaluation import write_evaluation

    options = _options(split, labels, same, coarse, wider, wild, strangers, precision_target)
    _check_places(out, tables, report)
    limits = given.limits_from(max_megabytes, max_megapixels, max_seconds)
    with DecodePool(given.decoders_for(threads), limits) as pool:
        with counting_bar(quiet) as show:
            (tagger,) = given.load_taggers([model], precision, threads, taxonomy, None, top_k=1, size=size)
            found = judge(tagger, data, pool, options, show)
        # What took the work is told first: by now the disk may have no room for the report.
        _tell(found, out, quiet)
        written = [] if tables is None else [*write_tables(tables, found)]
        if report is not None:
            written.append(write_evaluation(report, found, tagger, pool))
    if not quiet:
        for place in written:
            say(f"wrote {place}")
    if found.all_failures:
        sys.exit(exits.SOME_PHOTOS_FAILED)


def _options(
    split: str | None,
    labels: Path | None,
    same: list[str] | None,
    coarse: bool,
    wider: Path | None,
    wild: Path | None,
    strangers: Path | None,
    precisions: list[float] | None,
) -> Options:
    from veduta.evaluation.label_map import WIDER, LabelMap, read_label_map
    from veduta.evaluation.options import PRECISIONS, Options

    return Options(
        split=split,
        coarse=coarse,
        meanings=asked.meanings_from(labels, same),
        wider=LabelMap() if wider is None else read_label_map(wider, WIDER),
        precisions=tuple(precisions or PRECISIONS),
        strangers=strangers,
        wild=wild,
    )


def _check_places(out: Path | None, tables: Path | None, report: Path | None) -> None:
    """Refuse what can't be written to before the work."""
    from veduta.errors import UsageError
    from veduta.evaluation.csv_files import check_tables
    from veduta.reports.evaluation import check_folder
    from veduta.whole_file import check_place

    if out is not None and str(out) != "-":
        if not out.resolve().parent.is_dir():
            raise UsageError(f"--json {out}: there is no such folder; make it, or name another file.")
        check_place(out)
    if tables is not None:
        check_tables(tables)
    if report is not None:
        check_folder(report)


def _tell(found: Evaluation | LabelEvaluation, out: Path | None, quiet: bool) -> None:
    """Tables, the file of figures, photos without an answer."""
    from veduta.cli.figures import print_evaluation
    from veduta.evaluation.values import evaluation_values
    from veduta.whole_file import write_whole

    text = json.dumps(evaluation_values(found), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if str(out) == "-":
        sys.stdout.write(text)
    else:
        print_evaluation(found)
    if out is not None and str(out) != "-":
        write_whole(out, text.encode("utf-8", "backslashreplace"))
        if not quiet:
            say(f"wrote {out}")
    _tell_failures(found.all_failures)


def _tell_failures(failures: Sequence[Failure]) -> None:
    for failure in failures[:MOST_FAILURES]:
        say(f"{failure.error}: {failure.message}")
    more = len(failures) - MOST_FAILURES
    if more > 0:
        say(f"and {more:,} more photos without an answer; --json tells them all.")
