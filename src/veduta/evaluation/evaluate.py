"""A model against a folder of class folders, from files to figures; ``veduta evaluate`` is this and a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from veduta.errors import UsageError
from veduta.evaluation.answers import Answers, ask, list_labelled
from veduta.evaluation.coarse import CoarseJudgement, FolderMapping, judge_coarse, map_folders
from veduta.evaluation.conditions import Conditions
from veduta.evaluation.evidence import auroc, kept, rejected, rejected_at
from veduta.evaluation.figures import Judgement, judge
from veduta.evaluation.metrics import sklearn_metrics
from veduta.evaluation.mistakes import Mistake, surest_mistakes
from veduta.evaluation.names import match_label
from veduta.images.pool import DecodePool
from veduta.images.sources import expand
from veduta.labels.text_file import listed
from veduta.models.bundle import Metric
from veduta.recognition.tagger import Tagger
from veduta.records import Failure

#: Is told photos done, failures among them, and photos in all.
Progress = Callable[[int, int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What a model reached on a folder.

    ``coarse`` is there where everyday labels were judged; ``judgement`` is then its own. ``left_out`` are folders
    whose names no class of the model has. ``evidence`` has the share of the judged photos that the model's evidence
    keeps and, where strangers were given, what it rejects of them. Photos without an answer are in ``failures`` and in
    no figure.
    """

    conditions: Conditions
    judgement: Judgement
    coarse: CoarseJudgement | None
    left_out: tuple[str, ...]
    evidence: tuple[Metric, ...]
    mistakes: tuple[Mistake, ...]
    failures: tuple[Failure, ...]


def evaluate(
    tagger: Tagger,
    data: Path,
    pool: DecodePool,
    *,
    coarse: bool = False,
    same: Mapping[str, str] | None = None,
    strangers: Path | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Judge a single-label model on ``data/<class>/<photos>``.

    A folder's class is the model's label of that name, or with ``coarse`` the everyday label that it means (see
    ``coarse``; ``same`` as in ``map_folders``). ``strangers`` is a folder of photos that show none of the classes.

    Raises UsageError where the folders, the model or the options can't be meant, before any photo is decoded, and
    where no photo could be read; before any photo also MissingExtra without the extra evaluate.
    """
    sklearn_metrics()
    _check(tagger, strangers)
    samples, name = list_labelled(data), data.resolve().name
    folders = list(dict.fromkeys(sample.label or "" for sample in samples))
    mapping = map_folders(folders, tagger.taxonomy, tagger.labels, same) if coarse else None
    targets = _coarse_or_raise(mapping, data) if mapping else match_classes(folders, tagger, data)
    samples = [sample for sample in samples if sample.label in targets]
    strange = [] if strangers is None else list(expand([str(strangers)]))
    total = len(samples) + len(strange)
    answers = ask(tagger, samples, pool, _shifted(progress, 0, 0, total))
    if not answers.samples:
        raise UsageError(f"{data}: none of its {total:,} photos could be read; {answers.failures[0].message}")
    seen = [sample.label or "" for sample in answers.samples]
    by_coarse = judge_coarse(tagger.labels, answers.probabilities, seen, mapping, name) if mapping else None
    if by_coarse is not None:
        judgement = by_coarse.judgement
    else:
        places = np.array([targets[folder] for folder in seen], np.int64)
        judgement = judge(tagger.labels, answers.probabilities, places, name)
    asked = ask(tagger, strange, pool, _shifted(progress, len(samples), len(answers.failures), total))
    stranger_name = "" if strangers is None else strangers.resolve().name
    return Evaluation(
        conditions=Conditions.of(tagger),
        judgement=judgement,
        coarse=by_coarse,
        left_out=() if mapping else tuple(folder for folder in folders if folder not in targets),
        evidence=_evidence(tagger, answers, name, asked, stranger_name),
        mistakes=surest_mistakes(judgement, [sample.path for sample in answers.samples]),
        failures=(*answers.failures, *asked.failures),
    )


def match_classes(folders: Sequence[str], tagger: Tagger, data: Path) -> dict[str, int]:
    """The place of a folder's class among the model's labels, for the folders that are named as one.

    Raises UsageError where none is.
    """
    places = {folder: match_label(folder, tagger.labels) for folder in folders}
    found = {folder: place for folder, place in places.items() if place is not None}
    if not found:
        raise UsageError(
            f"{data}: {listed(folders)} are no classes of {tagger.bundle.name}; name the folders as `veduta models "
            "info` names the classes, or judge by everyday labels with --coarse."
        )
    return found


def _coarse_or_raise(mapping: FolderMapping, data: Path) -> dict[str, str]:
    if not mapping.judged:
        raise UsageError(
            f"{data}: no folder means an everyday label of the model; tell what one means with --same, as in "
            "ice_skating=ice_rink."
        )
    return mapping.judged


def _shifted(progress: Progress | None, done: int, failed: int, total: int) -> Callable[[int, int], None] | None:
    """Progress of one part of the photos, told as that of all."""
    if progress is None:
        return None
    tell = progress
    return lambda more, more_failed: tell(done + more, failed + more_failed, total)


def _check(tagger: Tagger, strangers: Path | None) -> None:
    name = tagger.bundle.name
    if tagger.head.task != "single_label":
        raise UsageError(
            f"{name} tells several labels at once; judge it on a CSV table of photos, as `veduta train` takes one."
        )
    if strangers is not None and tagger.bundle.evidence is None:
        raise UsageError(f"{name} has no evidence output, so it rejects nothing; leave the strangers out.")
    if strangers is not None and not strangers.is_dir():
        raise UsageError(f"{strangers} is not a folder; give one of photos that show none of the classes.")


def _evidence(
    tagger: Tagger, answers: Answers, name: str, strangers: Answers, stranger_name: str
) -> tuple[Metric, ...]:
    if answers.evidence is None or tagger.bundle.evidence is None:
        return ()
    threshold = tagger.bundle.evidence.threshold
    metrics = [kept(answers.evidence, threshold, name)]
    if strangers.evidence is not None and len(strangers.evidence):
        metrics += [
            rejected(strangers.evidence, threshold, stranger_name),
            rejected_at(answers.evidence, strangers.evidence, stranger_name),
            auroc(answers.evidence, strangers.evidence, stranger_name),
        ]
    return tuple(metrics)
