"""An evaluation as CSV files, for spreadsheets: a row for each photo, each class, each cell of the confusions."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from veduta.errors import OutputError
from veduta.evaluation.evaluate_classes import Evaluation
from veduta.evaluation.evaluate_labels import LabelEvaluation
from veduta.evaluation.label_figures import TOLD_FROM
from veduta.evaluation.metrics import Interval
from veduta.labels.text_file import neutral
from veduta.whole_file import check_place, write_whole

TABLES = PHOTOS, CLASSES, CONFUSIONS, THRESHOLDS, LABELS = (
    "photos.csv",
    "classes.csv",
    "confusions.csv",
    "thresholds.csv",
    "labels.csv",
)

#: What stands between the labels of a photo that has several.
_BETWEEN = "|"

Row = Sequence[object]


def check_tables(folder: Path) -> None:
    """Raise OutputError where the files can't go, before the work for them: the folder or one of them is none."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file, and the tables are several; name a folder for them.")
    for name in TABLES:
        check_place(folder / name)


def write_tables(folder: Path, evaluation: Evaluation | LabelEvaluation) -> tuple[Path, ...]:
    """Write the tables into a folder, which is made, and return their paths; files of their names are replaced.

    Of one label for each photo: ``photos.csv`` (path, truth, what was said with its probability, whether that is right,
    the probability and place of the truth), ``classes.csv``, ``confusions.csv`` (true class by row, said by column) and
    ``thresholds.csv``. Of many labels: ``photos.csv`` with a probability for each label, and ``labels.csv``.
    Raises OutputError.
    """
    made = _of_classes(evaluation) if isinstance(evaluation, Evaluation) else _of_labels(evaluation)
    for name, rows in made.items():
        write_whole(folder / name, _csv_bytes(rows))
    return tuple(folder / name for name in made)


def _of_classes(evaluation: Evaluation) -> dict[str, Iterable[Row]]:
    judgement = evaluation.judgement
    ids = [label.id for label in judgement.labels]
    said = judgement.probabilities.argmax(axis=1)
    own = np.take_along_axis(judgement.probabilities, judgement.targets[:, None], axis=1)[:, 0]
    ranks = (judgement.probabilities > own[:, None]).sum(axis=1) + 1
    photos = zip(
        evaluation.paths, judgement.targets, said, judgement.confidence, judgement.right, own, ranks, strict=True
    )
    return {
        PHOTOS: [
            ("path", "truth", "said", "probability", "right", "truth_probability", "truth_place"),
            *(
                (path, ids[true], ids[first], float(sure), bool(right), float(chance), int(rank))
                for path, true, first, sure, right, chance, rank in photos
            ),
        ],
        CLASSES: [
            ("class", "photos", "said", *_with_ends("recall"), *_with_ends("precision"), *_with_ends("f1")),
            *(
                (
                    each.label.id,
                    each.photos,
                    each.said,
                    *_ends(each.recall, each.recall_interval),
                    *_ends(each.precision, each.precision_interval),
                    *_ends(each.f1, each.f1_interval),
                )
                for each in judgement.classes
            ),
        ],
        CONFUSIONS: [
            ("class", *ids),
            *((id, *counts) for id, counts in zip(ids, judgement.matrix.tolist(), strict=True) if any(counts)),
        ],
        THRESHOLDS: [
            (
                *("threshold", "above", "above_right", "above_wrong", "below", "below_right", "below_wrong"),
                "accuracy_over_all",
                *_with_ends("accuracy_above"),
            ),
            *(
                (
                    *(row.threshold, row.above, row.above_right, row.above_wrong),
                    *(row.below, row.below_right, row.below_wrong, row.accuracy_over_all),
                    *_ends(row.accuracy_above, row.interval_above),
                )
                for row in evaluation.thresholds
            ),
        ],
    }


def _of_labels(evaluation: LabelEvaluation) -> dict[str, Iterable[Row]]:
    judgement = evaluation.judgement
    ids = [label.id for label in judgement.labels]
    photos: list[Row] = [("path", "truth", "said", "right", *ids)]
    for path, said, has in zip(evaluation.paths, judgement.probabilities, judgement.present, strict=True):
        told = said >= TOLD_FROM
        truth, answer = (
            _BETWEEN.join(id for id, there in zip(ids, mask, strict=True) if there) for mask in (has, told)
        )
        photos.append((path, truth, answer, bool((told == has).all()), *said.tolist()))
    return {
        PHOTOS: photos,
        LABELS: [
            (
                *("label", "photos", "told", *_with_ends("average_precision")),
                *(*_with_ends("precision"), *_with_ends("recall"), *_with_ends("f1")),
            ),
            *(
                (
                    *(each.label.id, each.photos, each.told),
                    *_ends(each.average_precision, each.average_precision_interval),
                    *_ends(each.precision, each.precision_interval),
                    *_ends(each.recall, each.recall_interval),
                    *_ends(each.f1, each.f1_interval),
                )
                for each in judgement.by_average_precision
            ),
        ],
    }


def _with_ends(name: str) -> tuple[str, str, str]:
    return name, f"{name}_low", f"{name}_high"


def _ends(value: float | None, interval: Interval) -> tuple[object, object, object]:
    return (None, None, None) if value is None else (value, *interval)


def _csv_bytes(rows: Iterable[Row]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue().encode("utf-8", "backslashreplace")


def _cell(value: object) -> object:
    if isinstance(value, str):
        return neutral(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6g}" if isinstance(value, float) else value
