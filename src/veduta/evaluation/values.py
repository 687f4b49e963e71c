"""Judgements as JSON values, for files that other programs read. Shares are from 0 to 1, labels are ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from veduta.evaluation.calibration import ReliabilityBin
from veduta.evaluation.coarse import CoarseJudgement
from veduta.evaluation.conditions import Conditions
from veduta.evaluation.evaluate import Evaluation
from veduta.evaluation.evaluate_table import TableEvaluation
from veduta.evaluation.figures import Judgement, rounded
from veduta.evaluation.label_figures import LabelFigure
from veduta.evaluation.metrics import ClassFigure, Confusion
from veduta.models.bundle import Metric
from veduta.records import Failure

SCHEMA_VERSION = 1


def evaluation_values(evaluation: Evaluation) -> dict[str, Any]:
    """All that ``veduta evaluate`` tells; docs/evaluation.md describes it."""
    coarse = evaluation.coarse
    return {
        "schema_version": SCHEMA_VERSION,
        **_conditions_values(evaluation.conditions),
        "labels": "classes" if coarse is None else "coarse",
        **(judgement_values(evaluation.judgement) if coarse is None else coarse_values(coarse)),
        "evidence": metric_values(evaluation.evidence),
        "folders_left_out": list(evaluation.left_out),
        "failures": [failure_values(each) for each in evaluation.failures],
    }


def table_evaluation_values(evaluation: TableEvaluation) -> dict[str, Any]:
    """The same for a table of photos with any number of labels."""
    judgement = evaluation.judgement
    return {
        "schema_version": SCHEMA_VERSION,
        **_conditions_values(evaluation.conditions),
        "labels": "many",
        "data": judgement.data,
        "photos": judgement.photos,
        "figures": metric_values(judgement.metrics),
        "by_label": [_label_values(each) for each in judgement.figures],
        "never_present": [label.id for label in judgement.never_present],
        "columns_left_out": list(evaluation.left_out),
        "failures": [failure_values(each) for each in evaluation.failures],
    }


def judgement_values(judgement: Judgement) -> dict[str, Any]:
    """All of a judgement; the matrix as its cells that are not empty, by class."""
    return {
        "data": judgement.data,
        "photos": judgement.photos,
        "figures": metric_values(judgement.metrics),
        "calibration": {
            "error": round(judgement.calibration.value, 4),
            "interval": list(rounded(judgement.calibration.interval)),
            "error_by_chance": round(judgement.calibration.by_chance, 4),
            "bins": [_bin_values(each) for each in judgement.bins],
        },
        "classes": [class_values(each) for each in judgement.classes],
        "confusions": [_confusion_values(each) for each in judgement.confusions],
        "matrix": {
            judgement.labels[row].id: {
                judgement.labels[column].id: int(counts[column]) for column in np.flatnonzero(counts)
            }
            for row, counts in enumerate(judgement.matrix)
            if counts.any()
        },
    }


def coarse_values(coarse: CoarseJudgement) -> dict[str, Any]:
    """A judgement over coarse labels, and what became of the set's folders."""
    folders = [
        {"folder": each.label.id, "coarse": each.label.coarse, "photos": each.photos, **_recall_values(each)}
        for each in coarse.folders
    ]
    return {
        **judgement_values(coarse.judgement),
        "folders": folders,
        "absent_from_model": coarse.mapping.absent,
        "without_coarse_label": list(coarse.mapping.unnamed),
    }


def metric_values(metrics: Sequence[Metric]) -> list[dict[str, Any]]:
    """Figures with the data that they were measured on."""
    return [
        {
            "name": metric.name,
            "value": metric.value,
            "interval": None if metric.interval is None else list(metric.interval),
            "photos": metric.count,
            "data": metric.data,
        }
        for metric in metrics
    ]


def class_values(figure: ClassFigure) -> dict[str, Any]:
    """Recall and precision of a class."""
    precision = None if figure.precision is None else round(figure.precision, 4)
    return {
        "class": figure.label.id,
        "photos": figure.photos,
        **_recall_values(figure),
        "said": figure.said,
        "precision": precision,
        "precision_interval": list(rounded(figure.precision_interval)),
    }


def failure_values(failure: Failure) -> dict[str, str]:
    """A photo that got no answer."""
    return {"path": failure.path, "error": failure.error, "message": failure.message}


def _conditions_values(conditions: Conditions) -> dict[str, Any]:
    return {
        "model": conditions.model,
        "bundle_id": conditions.bundle_id,
        "size": conditions.size,
        "model_size": conditions.own_size,
        "calibrated": conditions.calibrated,
    }


def _label_values(figure: LabelFigure) -> dict[str, Any]:
    return {
        "label": figure.label.id,
        "photos": figure.photos,
        "average_precision": round(figure.average_precision, 4),
        "average_precision_interval": list(rounded(figure.average_precision_interval)),
        "f1": round(figure.f1, 4),
        "f1_interval": list(rounded(figure.f1_interval)),
    }


def _recall_values(figure: ClassFigure) -> dict[str, Any]:
    return {"recall": round(figure.recall, 4), "recall_interval": list(rounded(figure.recall_interval))}


def _bin_values(each: ReliabilityBin) -> dict[str, Any]:
    return {
        "low": round(each.low, 4),
        "high": round(each.high, 4),
        "photos": each.count,
        "confidence": round(each.confidence, 4) if each.count else None,
        "accuracy": round(each.accuracy, 4) if each.count else None,
        "interval": list(rounded(each.interval)),
    }


def _confusion_values(each: Confusion) -> dict[str, Any]:
    return {
        "true": each.true.id,
        "predicted": each.predicted.id,
        "share": round(each.share, 4),
        "photos": each.photos,
    }
