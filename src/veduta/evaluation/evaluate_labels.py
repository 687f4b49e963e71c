"""A model of many labels against a set of photos, from files to figures: what ``classes`` is for one label each."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veduta.errors import UsageError
from veduta.evaluation.answers import Answers, ask
from veduta.evaluation.conditions import Conditions
from veduta.evaluation.elsewhere import Drop, average_precision_drop
from veduta.evaluation.label_figures import LabelJudgement, judge_labels
from veduta.evaluation.labelled_set import LabelledSet, read_labelled_set
from veduta.evaluation.levels import Level, check_meanings, class_level
from veduta.evaluation.metrics import sklearn_metrics
from veduta.evaluation.mistakes import LabelExamples, worst_labels
from veduta.evaluation.options import Options, PartProgress, Progress
from veduta.evaluation.thresholds import Promise, threshold_for_precision
from veduta.images.pool import DecodePool
from veduta.labels.text_file import listed
from veduta.recognition.tagger import Tagger
from veduta.records import Failure, Sample


@dataclass(frozen=True, slots=True, eq=False)
class LabelEvaluation:
    """What a model of many labels reached on a set.

    ``left_out`` are labels of the set that no label of the model has the name of, with those that resemble each.
    ``paths`` ``[n]`` are those of the judged photos. ``promises`` has for each judged label, by id, a threshold for
    each precision that was asked for. ``examples`` are photos of the labels that are told worst, ``places`` those of
    the judged labels among the model's. Photos without an answer are in ``failures`` and in no figure. ``wild`` and
    ``drops`` are as in ``Evaluation``.
    """

    conditions: Conditions
    judgement: LabelJudgement
    left_out: dict[str, tuple[str, ...]]
    paths: tuple[str, ...] = field(repr=False)
    promises: dict[str, tuple[Promise, ...]]
    examples: tuple[LabelExamples, ...]
    places: tuple[int, ...]
    failures: tuple[Failure, ...]
    wild: LabelEvaluation | None = None
    drops: tuple[Drop, ...] = ()

    @property
    def all_failures(self) -> tuple[Failure, ...]:
        """Also those of the photos from elsewhere."""
        return (*self.failures, *(self.wild.failures if self.wild else ()))


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be judged of a set, and what its labels mean."""

    data: LabelledSet
    level: Level


def evaluate_labels(
    tagger: Tagger,
    data: Path,
    pool: DecodePool,
    options: Options | None = None,
    progress: Progress | None = None,
) -> LabelEvaluation:
    """Judge a model of many labels on a set whose photos have any number of labels; see ``evaluate``."""
    options = options or Options()
    sklearn_metrics()
    _check(tagger, options)
    plan = _plan(tagger, read_labelled_set(data, options.split), options)
    wild = None if options.wild is None else _plan(tagger, read_labelled_set(options.wild), options)
    check_meanings(options.meanings, [part.level.mapping for part in (plan, wild) if part], tagger.labels)
    counter = PartProgress(progress, len(plan.data.entries) + (len(wild.data.entries) if wild else 0))
    answers = _ask(tagger, plan, pool, counter)
    wild_answers = None if wild is None else _ask(tagger, wild, pool, counter)
    found = _judge(tagger, plan, answers, options)
    if wild is None or wild_answers is None:
        return found
    elsewhere = _judge(tagger, wild, wild_answers, options)
    drop = average_precision_drop(found.judgement, elsewhere.judgement)
    return replace(found, wild=elsewhere, drops=(drop,) if drop else ())


def _check(tagger: Tagger, options: Options) -> None:
    options.check()
    if options.coarse or options.wider or options.strangers is not None:
        raise UsageError(
            f"{tagger.bundle.name} tells several labels at once, whose probabilities can't be summed up; --coarse, "
            "--map and --strangers are for models of one label for each photo."
        )


def _plan(tagger: Tagger, data: LabelledSet, options: Options) -> _Plan:
    name = tagger.bundle.name
    if data.task != "multi_label":
        raise UsageError(
            f"{name} tells several labels at once, and {data.source} has one for each photo; judge it on a CSV table "
            "of 0 and 1, as `veduta train` takes one, or a manifest with the column labels."
        )
    level = class_level(tagger.labels, data.labels, options.meanings)
    judged = level.mapping.judged
    if not judged:
        near = [f"'{each}' may be {listed(ids)}" for each, ids in level.mapping.unnamed.items() if ids][:3]
        hint = f" ({'; '.join(near)})" if near else ""
        told = listed(data.labels) if data.labels else "photos without any label"
        raise UsageError(
            f"{data.source}: {told} are no labels of {name}{hint}; name them as `veduta models info` does, or tell "
            "what they mean with --labels FILE."
        )
    if len(set(judged.values())) < len(judged):
        twice = next(id for id in judged.values() if list(judged.values()).count(id) > 1)
        raise UsageError(
            f"{data.source} has two labels that mean '{twice}' of {name}: "
            f"{listed([each for each, id in judged.items() if id == twice])}; leave one of them."
        )
    return _Plan(data, level)


def _ask(tagger: Tagger, plan: _Plan, pool: DecodePool, counter: PartProgress) -> Answers:
    answers = ask(tagger, [Sample(path) for path in plan.data.paths], pool, counter.part())
    if not answers.samples:
        raise UsageError(
            f"{plan.data.source}: none of its {len(plan.data.paths):,} photos could be read; "
            f"{answers.failures[0].message}"
        )
    return answers


def _judge(tagger: Tagger, plan: _Plan, answers: Answers, options: Options) -> LabelEvaluation:
    paths = tuple(sample.path for sample in answers.samples)
    present = _present(plan, tagger, paths)
    if not present.any():
        raise UsageError(f"{plan.data.source}: no photo that could be read has a label of {tagger.bundle.name}.")
    judgement = judge_labels(tagger.labels, answers.probabilities, present, plan.data.name)
    ids = [label.id for label in judgement.labels]
    return LabelEvaluation(
        conditions=Conditions.of(tagger),
        judgement=judgement,
        left_out=plan.level.mapping.unnamed,
        paths=paths,
        promises={
            id: tuple(
                threshold_for_precision(judgement.probabilities[:, place], judgement.present[:, place], precision)
                for precision in options.precisions
            )
            for place, id in enumerate(ids)
        },
        examples=worst_labels(judgement, paths),
        places=tuple(place for place, label in enumerate(tagger.labels) if label.id in ids),
        failures=answers.failures,
    )


def _present(plan: _Plan, tagger: Tagger, paths: tuple[str, ...]) -> NDArray[np.bool_]:
    """Which of the model's labels each photo has, ``[n, labels]``."""
    place = {label.id: at for at, label in enumerate(tagger.labels)}
    judged = plan.level.mapping.judged
    labels_of = {entry.path: entry.labels for entry in plan.data.entries}
    present = np.zeros((len(paths), len(place)), bool)
    for row, path in enumerate(paths):
        present[row, [place[judged[name]] for name in labels_of[path] if name in judged]] = True
    return present
