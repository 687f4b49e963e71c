"""A model of one label for each photo against a set of photos, from files to figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from veduta.errors import UsageError
from veduta.evaluation.answers import Answers, ask
from veduta.evaluation.conditions import Conditions
from veduta.evaluation.conformal import LabelSets, judge_label_sets
from veduta.evaluation.elsewhere import Drop, accuracy_drops
from veduta.evaluation.evidence import auroc, kept, rejected, rejected_at
from veduta.evaluation.figures import Judgement
from veduta.evaluation.label_map import wider_classes
from veduta.evaluation.labelled_set import LabelledSet, read_labelled_set
from veduta.evaluation.levels import (
    Level,
    LevelJudgement,
    LevelName,
    check_meanings,
    class_level,
    judge_level,
    wider_level,
)
from veduta.evaluation.metrics import sklearn_metrics
from veduta.evaluation.mistakes import Mistake, surest_mistakes
from veduta.evaluation.options import Options, PartProgress, Progress
from veduta.evaluation.thresholds import Promise, ThresholdRow, threshold_for_precision, threshold_table
from veduta.images.pool import DecodePool
from veduta.images.sources import expand
from veduta.labels.text_file import listed, shown
from veduta.models.bundle import Metric
from veduta.recognition.tagger import Tagger
from veduta.records import Failure, Sample


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What a model reached on a set.

    ``main`` is the level that everything else is told of; ``others`` are further levels, of the same photos as far as
    their classes mean something there. ``paths`` ``[n]`` are those of the photos of ``main``. ``thresholds``,
    ``promises`` and ``sets`` (None where photos are too few) tell how far to rely on an answer. ``evidence`` has the
    share of the judged photos that the model's evidence keeps and, where strangers were given, what it rejects of them.
    Photos without an answer are in ``failures`` and in no figure. ``wild`` is the same of photos from elsewhere, and
    ``drops`` is how much worse the model is there.
    """

    conditions: Conditions
    main: LevelJudgement
    others: tuple[LevelJudgement, ...]
    paths: tuple[str, ...] = field(repr=False)
    thresholds: tuple[ThresholdRow, ...]
    promises: tuple[Promise, ...]
    sets: LabelSets | None
    evidence: tuple[Metric, ...]
    mistakes: tuple[Mistake, ...]
    failures: tuple[Failure, ...]
    wild: Evaluation | None = None
    drops: tuple[Drop, ...] = ()

    @property
    def judgement(self) -> Judgement:
        """That of the main level."""
        return self.main.judgement

    def at(self, level: str) -> LevelJudgement | None:
        """The judgement at a level, None where it was not judged."""
        return next((each for each in (self.main, *self.others) if each.level.name == level), None)

    @property
    def all_failures(self) -> tuple[Failure, ...]:
        """Also those of the photos from elsewhere."""
        return (*self.failures, *(self.wild.failures if self.wild else ()))


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be judged of a set: its photos, and the levels, the main one first."""

    data: LabelledSet
    levels: tuple[Level, ...]
    samples: tuple[Sample, ...]


def evaluate_classes(
    tagger: Tagger,
    data: Path,
    pool: DecodePool,
    options: Options | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Judge a single-label model on a set whose photos have one label each; see ``evaluate``, which this is part of."""
    options = options or Options()
    sklearn_metrics()
    _check(tagger, options)
    plan = _plan(tagger, read_labelled_set(data, options.split), options)
    # The drop is one of the same figure, so photos from elsewhere are judged at the same level.
    wild = (
        None if options.wild is None else _plan(tagger, read_labelled_set(options.wild), options, plan.levels[0].name)
    )
    levels = [level for part in (plan, wild) if part for level in part.levels]
    check_meanings(
        options.meanings, [each.mapping for each in levels], [label for each in levels for label in each.labels]
    )
    strange = [] if options.strangers is None else list(expand([str(options.strangers)]))
    counter = PartProgress(progress, len(plan.samples) + (len(wild.samples) if wild else 0) + len(strange))
    answers = _ask(tagger, plan, pool, counter)
    wild_answers = None if wild is None else _ask(tagger, wild, pool, counter)
    strangers = ask(tagger, strange, pool, counter.part())
    found = _judge(tagger, plan, answers, options)
    evidence = _evidence(tagger, answers, plan.data.name, strangers, options.strangers)
    found = replace(found, evidence=evidence, failures=(*found.failures, *strangers.failures))
    if wild is None or wild_answers is None:
        return found
    elsewhere = _judge(tagger, wild, wild_answers, options)
    elsewhere = replace(elsewhere, evidence=_evidence(tagger, wild_answers, wild.data.name))
    return replace(found, wild=elsewhere, drops=accuracy_drops(found.judgement, elsewhere.judgement))


def _check(tagger: Tagger, options: Options) -> None:
    options.check()
    name, strangers = tagger.bundle.name, options.strangers
    if strangers is not None and tagger.bundle.evidence is None:
        raise UsageError(f"{name} has no evidence output, so it rejects nothing; leave the strangers out.")
    if strangers is not None and not strangers.is_dir():
        raise UsageError(f"{strangers} is not a folder; give one of photos that show none of the classes.")


def _plan(tagger: Tagger, data: LabelledSet, options: Options, at: LevelName | None = None) -> _Plan:
    """The levels of a set, first ``at`` or the first that judges any of its photos, and the photos that one judges.

    Raises UsageError where there is no such level.
    """
    name = tagger.bundle.name
    if data.task != "single_label":
        raise UsageError(
            f"{name} tells one label for each photo, and those of {data.source} have any number of labels; judge it on "
            "a folder with a folder for each class, or a manifest with the column label."
        )
    levels = _levels(tagger, data.labels, options)
    asked = [level for level in levels if level.mapping.judged]
    at = at or ("coarse" if options.coarse else asked[0].name if asked else "classes")
    main = next((level for level in asked if level.name == at), None)
    if main is None:
        raise _no_class(tagger, data, next(level for level in levels if level.name == at))
    judged = {name for level in asked for name in level.mapping.judged}
    samples = tuple(Sample(entry.path, entry.labels[0]) for entry in data.entries if entry.labels[0] in judged)
    return _Plan(data, (main, *(level for level in asked if level is not main)), samples)


def _levels(tagger: Tagger, names: Sequence[str], options: Options) -> list[Level]:
    """The levels that a set is judged at, the wanted one first.

    Everyday labels that nobody asked for are told of the photos whose classes the model knows, so that both accuracies
    are of the same photos.
    """
    classes = class_level(tagger.labels, names, options.meanings)
    known = names if options.coarse else tuple(classes.mapping.judged)
    coarse = wider_level("coarse", tagger.labels, tagger.taxonomy, known, options.meanings)
    if coarse is not None and len(coarse.labels) < 2:
        coarse = None
    if coarse is None and options.coarse:
        raise UsageError(
            f"the classes of {tagger.bundle.name} do not lie in everyday labels, two at least, that can be told apart; "
            "give a --taxonomy that lists them all."
        )
    levels = [classes]
    if options.wider:
        taxonomy = wider_classes(options.wider, tagger.head.labels)
        wide = wider_level("map", taxonomy.apply(tagger.head.labels), taxonomy, names, options.meanings)
        assert wide is not None, "a class that the map does not name is one of its own"
        levels.append(wide)
    if coarse is not None and (options.coarse or len(coarse.labels) < len(classes.labels)):
        levels.insert(0 if options.coarse else len(levels), coarse)
    return levels


def _no_class(tagger: Tagger, data: LabelledSet, level: Level) -> UsageError:
    mapping, model = level.mapping, tagger.bundle.name
    nothing = [*mapping.unnamed, *mapping.absent]
    near = [f"'{shown(each)}' may be {listed(ids)}" for each, ids in mapping.unnamed.items() if ids][:3]
    hint = f" ({'; '.join(near)})" if near else ""
    what = {
        "classes": f"no class of {model}",
        "coarse": f"no everyday label of {model}",
        "map": "none of your wider classes",
    }
    way = "" if level.name == "coarse" else ", or judge by everyday labels with --coarse"
    return UsageError(
        f"{data.source}: {listed(nothing)} mean{'s' * (len(nothing) == 1)} {what[level.name]}{hint}; tell what the "
        f"names of the set mean with --labels FILE or --same, as in --same ice_skating=ice_skating_rink/outdoor{way}."
    )


def _ask(tagger: Tagger, plan: _Plan, pool: DecodePool, counter: PartProgress) -> Answers:
    answers = ask(tagger, plan.samples, pool, counter.part())
    if not answers.samples:
        raise UsageError(
            f"{plan.data.source}: none of its {len(plan.samples):,} photos could be read; {answers.failures[0].message}"
        )
    return answers


def _judge(tagger: Tagger, plan: _Plan, answers: Answers, options: Options) -> Evaluation:
    """All figures of the photos of a plan but those of the evidence."""
    names = [sample.label or "" for sample in answers.samples]
    main, *wider = plan.levels
    first = judge_level(main, answers.probabilities, names, plan.data.name)
    others = tuple(
        judge_level(level, answers.probabilities, names, plan.data.name)
        for level in wider
        if any(name in level.mapping.judged for name in names)
    )
    judgement = first.judgement
    said = judgement.probabilities.argmax(axis=1)
    leading = first.level.leading_class(answers.probabilities[first.rows], said)
    paths = tuple(answers.samples[row].path for row in first.rows)
    return Evaluation(
        conditions=Conditions.of(tagger),
        main=first,
        others=others,
        paths=paths,
        thresholds=threshold_table(judgement.confidence, judgement.right),
        promises=tuple(
            threshold_for_precision(judgement.confidence, judgement.right, each) for each in options.precisions
        ),
        sets=judge_label_sets(judgement.labels, judgement.probabilities, judgement.targets),
        evidence=(),
        mistakes=surest_mistakes(judgement, paths, explained=leading),
        failures=answers.failures,
    )


def _evidence(
    tagger: Tagger, answers: Answers, name: str, strangers: Answers | None = None, folder: Path | None = None
) -> tuple[Metric, ...]:
    if answers.evidence is None or tagger.bundle.evidence is None:
        return ()
    threshold = tagger.bundle.evidence.threshold
    metrics = [kept(answers.evidence, threshold, name)]
    if strangers is not None and folder is not None and strangers.evidence is not None and len(strangers.evidence):
        strange = folder.resolve().name
        metrics += [
            rejected(strangers.evidence, threshold, strange),
            rejected_at(answers.evidence, strangers.evidence, strange),
            auroc(answers.evidence, strangers.evidence, strange),
        ]
    return tuple(metrics)
