"""A model of many labels against a table of photos, from files to figures: what ``evaluate`` is for class folders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from veduta.datasets.tables import LabelTable, read_label_table
from veduta.errors import UsageError
from veduta.evaluation.answers import ask
from veduta.evaluation.conditions import Conditions
from veduta.evaluation.evaluate import Progress
from veduta.evaluation.label_figures import LabelJudgement, judge_labels
from veduta.evaluation.metrics import sklearn_metrics
from veduta.evaluation.names import match_label
from veduta.images.pool import DecodePool
from veduta.labels.text_file import listed
from veduta.recognition.tagger import Tagger
from veduta.records import Failure, Sample


@dataclass(frozen=True, slots=True)
class TableEvaluation:
    """What a model of many labels reached on a table.

    ``left_out`` are columns whose names no label of the model has; labels that no column names are not judged. Photos
    without an answer are in ``failures`` and in no figure.
    """

    conditions: Conditions
    judgement: LabelJudgement
    left_out: tuple[str, ...]
    failures: tuple[Failure, ...]


def evaluate_table(tagger: Tagger, table: Path, pool: DecodePool, progress: Progress | None = None) -> TableEvaluation:
    """Judge a model of many labels on a CSV table: a path, then 0 or 1 for each label, as ``read_label_table`` reads.

    A column is the model's label of that name. ``progress`` is told photos done, failures among them, and photos in
    all.

    Raises UsageError where the table or the model can't be meant, before any photo is decoded, and where no photo
    could be read; before any photo also MissingExtra without the extra evaluate.
    """
    sklearn_metrics()
    if tagger.head.task != "multi_label":
        raise UsageError(
            f"{tagger.bundle.name} tells one label for each photo; judge it on a folder with a folder for each class."
        )
    listing = read_label_table(table)
    columns = _match_columns(listing, tagger, table)
    row_of = {path: row for row, path in enumerate(listing.paths)}
    if len(row_of) < len(listing.paths):
        raise UsageError(f"{table} names a photo twice; leave one row for each.")
    total = len(row_of)
    samples = [Sample(path) for path in listing.paths]
    told = None if progress is None else _with_total(progress, total)
    answers = ask(tagger, samples, pool, told)
    if not answers.samples:
        raise UsageError(f"{table}: none of its {total:,} photos could be read; {answers.failures[0].message}")
    rows = [row_of[sample.path] for sample in answers.samples]
    places = list(columns.values())
    judgement = judge_labels(
        [tagger.labels[place] for place in places],
        answers.probabilities[:, places],
        listing.present[rows][:, list(columns)] > 0,
        table.stem,
    )
    left_out = tuple(name for column, name in enumerate(listing.labels) if column not in columns)
    return TableEvaluation(Conditions.of(tagger), judgement, left_out, answers.failures)


def _with_total(progress: Progress, total: int) -> Callable[[int, int], None]:
    return lambda done, failed: progress(done, failed, total)


def _match_columns(listing: LabelTable, tagger: Tagger, table: Path) -> dict[int, int]:
    """The place of the model's label for each column that is named as one."""
    places = {column: match_label(name, tagger.labels) for column, name in enumerate(listing.labels)}
    found = {column: place for column, place in places.items() if place is not None}
    if not found:
        raise UsageError(
            f"{table}: {listed(listing.labels)} are no labels of {tagger.bundle.name}; name the columns as `veduta "
            "models info` names the labels."
        )
    if len(set(found.values())) < len(found):
        raise UsageError(f"{table} has two columns for one label of {tagger.bundle.name}; leave one of them.")
    if not np.any(listing.present[:, list(found)]):
        raise UsageError(f"{table} gives no photo a label of {tagger.bundle.name}; add photos that have some.")
    return found
