"""A model against a set of photos, from files to figures; ``veduta evaluate`` is this, tables and a page."""

from __future__ import annotations

from pathlib import Path

from veduta.evaluation.evaluate_classes import Evaluation, evaluate_classes
from veduta.evaluation.evaluate_labels import LabelEvaluation, evaluate_labels
from veduta.evaluation.options import Options, Progress
from veduta.images.pool import DecodePool
from veduta.recognition.tagger import Tagger


def evaluate(
    tagger: Tagger,
    data: Path,
    pool: DecodePool,
    options: Options | None = None,
    progress: Progress | None = None,
) -> Evaluation | LabelEvaluation:
    """Judge a model on ``data``: class folders, a CSV table of 0 and 1, or a manifest, whose test photos are taken.

    A model of one label for each photo gives an ``Evaluation``, one of many labels a ``LabelEvaluation``. A class of
    the set is the model's label of that name, or what ``options.meanings`` says. Everything that is drawn is drawn by
    a fixed seed, so the same photos give the same figures.

    Raises UsageError where the set, the model or the options can't be meant, before any photo is decoded, and where no
    photo could be read; before any photo also MissingExtra without the extra evaluate.
    """
    judge = evaluate_labels if tagger.head.task == "multi_label" else evaluate_classes
    return judge(tagger, data, pool, options, progress)
