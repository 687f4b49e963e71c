"""Judgements as JSON values, for files that other programs read. Shares are from 0 to 1, labels are ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from veduta.evaluation.calibration import CalibrationError, ReliabilityBin
from veduta.evaluation.conditions import Conditions
from veduta.evaluation.conformal import LabelSets
from veduta.evaluation.elsewhere import Drop
from veduta.evaluation.evaluate_classes import Evaluation
from veduta.evaluation.evaluate_labels import LabelEvaluation
from veduta.evaluation.figures import Judgement, rounded
from veduta.evaluation.label_figures import LabelFigure
from veduta.evaluation.levels import LevelJudgement
from veduta.evaluation.metrics import ClassFigure, Confusion
from veduta.evaluation.mistakes import Mistake
from veduta.evaluation.thresholds import Promise, ThresholdRow
from veduta.models.bundle import Metric
from veduta.records import Failure

SCHEMA_VERSION = 2


def evaluation_values(evaluation: Evaluation | LabelEvaluation) -> dict[str, Any]:
    """All that ``veduta evaluate`` tells; docs/evaluation.md describes it."""
    told = _class_values(evaluation) if isinstance(evaluation, Evaluation) else _many_values(evaluation)
    values = {"schema_version": SCHEMA_VERSION, **_conditions_values(evaluation.conditions), **told}
    if evaluation.wild is not None:
        wild = evaluation.wild
        values["wild"] = _class_values(wild) if isinstance(wild, Evaluation) else _many_values(wild)
        values["drops"] = [_drop_values(each) for each in evaluation.drops]
    return values


def _class_values(evaluation: Evaluation) -> dict[str, Any]:
    return {
        **level_values(evaluation.main),
        "levels": [level_values(each) for each in evaluation.others],
        "thresholds": [_threshold_values(each) for each in evaluation.thresholds],
        "promises": [_promise_values(each) for each in evaluation.promises],
        "label_sets": None if evaluation.sets is None else _label_set_values(evaluation.sets),
        "evidence": metric_values(evaluation.evidence),
        "mistakes": [_mistake_values(each) for each in evaluation.mistakes],
        "failures": [failure_values(each) for each in evaluation.failures],
    }


def _many_values(evaluation: LabelEvaluation) -> dict[str, Any]:
    """The same for photos with any number of labels."""
    judgement = evaluation.judgement
    return {
        "labels": "many",
        "data": judgement.data,
        "photos": judgement.photos,
        "figures": metric_values((*judgement.metrics, *judgement.further)),
        "calibration": _calibration_values(judgement.calibration, judgement.bins),
        "by_label": [
            {
                **_label_values(each),
                "promises": [_promise_values(promise) for promise in evaluation.promises[each.label.id]],
            }
            for each in judgement.by_average_precision
        ],
        "never_present": [label.id for label in judgement.never_present],
        "not_judged": _near_values(evaluation.left_out),
        "failures": [failure_values(each) for each in evaluation.failures],
    }


def level_values(found: LevelJudgement) -> dict[str, Any]:
    """A judgement at a level, and what became of the names of the set."""
    return {
        "labels": found.level.name,
        **judgement_values(found.judgement),
        "folders": [
            {"folder": each.label.id, "label": each.label.coarse, "photos": each.photos, **_recall_values(each)}
            for each in found.folders
        ],
        "absent_from_model": found.mapping.absent,
        "not_judged": _near_values(found.mapping.unnamed),
    }


def judgement_values(judgement: Judgement) -> dict[str, Any]:
    """All of a judgement; the matrix as its cells that are not empty, by class."""
    return {
        "data": judgement.data,
        "photos": judgement.photos,
        "figures": metric_values((*judgement.metrics, *judgement.further)),
        "calibration": _calibration_values(judgement.calibration, judgement.bins),
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
    """Recall, precision and F1 of a class."""
    return {
        "class": figure.label.id,
        "photos": figure.photos,
        **_recall_values(figure),
        "said": figure.said,
        "precision": _or_none(figure.precision),
        "precision_interval": list(rounded(figure.precision_interval)),
        "f1": round(figure.f1, 4),
        "f1_interval": list(rounded(figure.f1_interval)),
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
        "told": figure.told,
        "precision": _or_none(figure.precision),
        "precision_interval": list(rounded(figure.precision_interval)),
        "recall": round(figure.recall, 4),
        "recall_interval": list(rounded(figure.recall_interval)),
        "f1": round(figure.f1, 4),
        "f1_interval": list(rounded(figure.f1_interval)),
    }


def _recall_values(figure: ClassFigure) -> dict[str, Any]:
    return {"recall": round(figure.recall, 4), "recall_interval": list(rounded(figure.recall_interval))}


def _calibration_values(error: CalibrationError, bins: Sequence[ReliabilityBin]) -> dict[str, Any]:
    return {
        "error": round(error.value, 4),
        "interval": list(rounded(error.interval)),
        "error_by_chance": round(error.by_chance, 4),
        "bins": [_bin_values(each) for each in bins],
    }


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


def _threshold_values(row: ThresholdRow) -> dict[str, Any]:
    return {
        "threshold": row.threshold,
        "above": row.above,
        "above_right": row.above_right,
        "above_wrong": row.above_wrong,
        "below": row.below,
        "below_right": row.below_right,
        "below_wrong": row.below_wrong,
        "accuracy_over_all": round(row.accuracy_over_all, 4),
        "accuracy_above": _or_none(row.accuracy_above),
        "accuracy_above_interval": list(rounded(row.interval_above)),
    }


def _promise_values(promise: Promise) -> dict[str, Any]:
    kept = promise.threshold is not None
    return {
        "precision": promise.precision,
        "level": promise.level,
        # In full: rounded, it would not be the one that was tested.
        "threshold": promise.threshold,
        "above": promise.above,
        "right": promise.right,
        "lower_bound": round(promise.bound, 4) if kept else None,
        "coverage": round(promise.coverage, 4),
        "coverage_interval": list(rounded(promise.coverage_interval)) if kept else None,
        "fewest_photos": promise.needed,
        "sentence": promise.sentence,
    }


def _label_set_values(sets: LabelSets) -> dict[str, Any]:
    return {
        "level": sets.level,
        "folds": sets.folds,
        "coverage": round(sets.coverage, 4),
        "coverage_interval": list(rounded(sets.coverage_interval)),
        "mean_size": round(sets.mean_size, 4),
        "mean_size_interval": list(rounded(sets.mean_size_interval)),
        "threshold": sets.threshold,
        "sizes": {str(size): int(count) for size, count in enumerate(np.bincount(sets.sizes)) if count},
        "classes": [
            {
                "class": each.label.id,
                "photos": each.photos,
                "coverage": round(each.coverage, 4),
                "coverage_interval": list(rounded(each.interval)),
                "mean_size": round(each.mean_size, 4),
            }
            for each in sets.classes
        ],
    }


def _mistake_values(mistake: Mistake) -> dict[str, Any]:
    return {
        "path": mistake.path,
        "true": mistake.true.id,
        "said": mistake.said.id,
        "said_probability": round(mistake.said_probability, 4),
        "true_probability": round(mistake.true_probability, 4),
        "rank": mistake.rank,
    }


def _drop_values(drop: Drop) -> dict[str, Any]:
    return {
        "name": drop.name,
        "on": drop.on,
        "here": round(drop.here, 4),
        "photos_here": drop.photos_here,
        "elsewhere": round(drop.elsewhere, 4),
        "photos_elsewhere": drop.photos_elsewhere,
        "drop": round(drop.value, 4),
        "interval": list(rounded(drop.interval)),
    }


def _near_values(unnamed: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    return {name: list(near) for name, near in unnamed.items()}


def _or_none(share: float | None) -> float | None:
    return None if share is None else round(share, 4)
