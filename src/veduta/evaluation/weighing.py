"""Several models weighed on photos whose classes are known: how much each should count in what they say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veduta.errors import UsageError
from veduta.evaluation.answers import Answers, ask
from veduta.evaluation.calibration import FEWEST_PHOTOS
from veduta.evaluation.label_map import LabelMap
from veduta.evaluation.labelled_set import VALIDATION, LabelledSet, read_labelled_set
from veduta.evaluation.levels import LEVEL_WORDS, Level, NameMapping, check_meanings, class_level, wider_level
from veduta.evaluation.options import PartProgress, Progress
from veduta.evaluation.pooling import Pooling, judge_pool, pool_gain
from veduta.images.pool import DecodePool
from veduta.labels.text_file import listed, shown
from veduta.models.ensemble_weights import EnsembleWeights, Member
from veduta.recognition.ensemble import common_basis
from veduta.recognition.panel import asked_plainly
from veduta.recognition.tagger import Tagger
from veduta.records import Basis, Failure, Sample


@dataclass(frozen=True, slots=True)
class Weighing:
    """What became of weighing models on the set ``data``.

    ``models`` and ``bundle_ids`` are in the order that was asked for, as are the weights of ``pooling``. These are
    learnt on photos of labels that all models have. Of the others, ``lacking`` tells for each model how many show a
    label that it does not have, and ``elsewhere`` how many nats the weights gain there over equal ones; None where
    there are none. ``mapping`` tells what became of the names of the set, ``failures`` which photos some model gave
    no answer for; these count nowhere.
    """

    models: tuple[str, ...]
    bundle_ids: tuple[str, ...]
    basis: Basis
    data: str
    pooling: Pooling
    lacking: tuple[int, ...]
    elsewhere: float | None
    mapping: NameMapping
    failures: tuple[Failure, ...]

    @property
    def learnt(self) -> EnsembleWeights:
        """The weights as they are kept on file."""
        weighed = zip(self.models, self.bundle_ids, self.pooling.weights, strict=True)
        return EnsembleWeights(
            basis=self.basis,
            members=tuple(Member(*each) for each in weighed),
            data=self.data,
            photos=self.pooling.photos,
            loss_equal=self.pooling.equal.value,
            loss_weighted=self.pooling.weighted.value,
        )


def weigh(
    taggers: Sequence[Tagger],
    data: Path,
    pool: DecodePool,
    *,
    split: str | None = None,
    meanings: LabelMap | None = None,
    progress: Progress | None = None,
) -> Weighing:
    """Ask each model about the photos of a set, and learn how much each should count in their average.

    ``data`` is a folder of class folders or a manifest, of which the validation photos are taken unless ``split`` names
    others; ``meanings`` tells what its names mean, where they are no labels. Models are weighed over what they are
    averaged over: their labels where all share them, else everyday labels. Only photos of labels that all models have
    count: how many photos of a set show what a model has no label for tells about the set, and a few of them outweigh
    all that tells how good a model is.

    Raises UsageError where the models can't be compared, the set can't be meant or too few of its photos count; what
    can be known before a photo is decoded is told before.
    """
    basis = _basis(taggers)
    photos = read_labelled_set(data, split, VALIDATION)
    level = _level(taggers, basis, photos, meanings or LabelMap())
    judged = level.mapping.judged
    named = [(entry.path, judged.get(entry.labels[0])) for entry in photos.entries]
    samples = [Sample(path, label) for path, label in named if label is not None]
    _check_count(photos, _known(taggers, basis, samples))
    counter = PartProgress(progress, len(samples) * len(taggers))
    answers = [ask(tagger, samples, pool, counter.part()) for tagger in taggers]
    common = _answered_by_all(answers)
    known = _known(taggers, basis, common)
    shared = _check_count(photos, known)
    truth = np.stack([_of_truth(*each, basis, common) for each in zip(taggers, answers, strict=True)])
    pooling = judge_pool(truth[:, shared])
    return Weighing(
        models=tuple(tagger.bundle.name for tagger in taggers),
        bundle_ids=tuple(tagger.bundle.bundle_id for tagger in taggers),
        basis=basis,
        data=shown(photos.name) or "photos",
        pooling=pooling,
        lacking=tuple((~known).sum(axis=1).tolist()),
        elsewhere=None if shared.all() else pool_gain(pooling.weights, truth[:, ~shared]),
        mapping=level.mapping,
        failures=tuple({failure.path: failure for each in answers for failure in each.failures}.values()),
    )


def _basis(taggers: Sequence[Tagger]) -> Basis:
    """What the models are averaged over. Raises UsageError where they can't be, or could not be found again."""
    if len(taggers) < 2:
        raise UsageError("one model has nothing to be weighed against; name two or more, as in -m places100 -m mine.")
    names: dict[str, str] = {}
    for tagger in taggers:
        name, bundle_id = tagger.bundle.name, tagger.bundle.bundle_id
        if bundle_id in names:
            raise UsageError(f"{names[bundle_id]} and {name} are one and the same model; name each model once.")
        names[bundle_id] = name
    many = [tagger.bundle.name for tagger in taggers if tagger.head.task == "multi_label"]
    if many:
        raise UsageError(f"{listed(many)} may see several labels in one photo, so nothing is averaged; leave it out.")
    basis = common_basis(taggers)
    if basis is None:
        without = [tagger.bundle.name for tagger in taggers if not tagger.coarse_sums.labels]
        raise UsageError(
            f"{listed(tuple(names.values()))} have other labels, and those of {listed(without)} lie in no everyday "
            "labels, so there is nothing to average; weigh models that can be compared."
        )
    if not asked_plainly(taggers, basis):
        raise UsageError("models are weighed at their own sizes, with all classes and the shipped everyday labels.")
    return basis


def _level(taggers: Sequence[Tagger], basis: Basis, photos: LabelledSet, meanings: LabelMap) -> Level:
    """What the names of the set mean to the models. Raises UsageError where they mean nothing."""
    if photos.task != "single_label":
        raise UsageError(
            f"{photos.source}: its photos have any number of labels, and models are weighed by the one that a photo "
            "shows; give a folder with a folder for each class, or a manifest with the column label."
        )
    labels = tuple({(label.id, label.coarse): label for tagger in taggers for label in tagger.labels}.values())
    level: Level | None
    if basis == "labels":
        level = class_level(taggers[0].labels, photos.labels, meanings)
    else:
        level = wider_level("coarse", labels, taggers[0].taxonomy, photos.labels, meanings)
    if level is None:
        outside = [label.id for label in labels if label.coarse is None]
        raise UsageError(f"the classes {listed(outside)} lie in no everyday label, so these models can't be weighed.")
    check_meanings(meanings, [level.mapping], (*level.labels, *labels))
    if not level.mapping.judged:
        raise UsageError(
            f"{photos.source}: {listed(photos.labels)} mean{'s' * (len(photos.labels) == 1)} none of the models' "
            f"{LEVEL_WORDS[level.name]}; tell what the names of the set mean with --labels FILE or --same, as in "
            "--same ice_skating=ice_skating_rink/outdoor."
        )
    return level


def _known(taggers: Sequence[Tagger], basis: Basis, samples: Sequence[Sample]) -> NDArray[np.bool_]:
    """Whether each model has the label of each sample, ``[models, samples]``."""
    places = [_places(tagger, basis) for tagger in taggers]
    return np.array([[sample.label in each for sample in samples] for each in places], bool)


def _check_count(photos: LabelledSet, known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which samples have a label that all models have, ``[samples]``; ``known`` is ``[models, samples]``.

    Raises UsageError where they are too few.
    """
    shared = np.array(known.all(axis=0), bool)
    if shared.sum() < FEWEST_PHOTOS:
        raise UsageError(
            f"{photos.source}: {shared.sum():,} photos of labels that all models have are too few to weigh models on; "
            f"give {FEWEST_PHOTOS} or more that can be read."
        )
    return shared


def _places(tagger: Tagger, basis: Basis) -> dict[str | None, int]:
    """Label ids of the basis, to their columns in what the model says of it."""
    labels = tagger.labels if basis == "labels" else tagger.coarse_sums.labels
    return {label.id: column for column, label in enumerate(labels)}


def _answered_by_all(answers: Sequence[Answers]) -> list[Sample]:
    """The samples that each model has an answer for, in their order."""
    answered = [{sample.path for sample in each.samples} for each in answers]
    return [sample for sample in answers[0].samples if all(sample.path in each for each in answered)]


def _of_truth(tagger: Tagger, answers: Answers, basis: Basis, samples: Sequence[Sample]) -> NDArray[np.float32]:
    """What a model says of the true label of each sample, ``[n]``; 0 for labels that it does not have."""
    row_of = {sample.path: row for row, sample in enumerate(answers.samples)}
    rows = np.array([row_of[sample.path] for sample in samples], np.intp)
    said = answers.probabilities if basis == "labels" else tagger.coarse_sums(answers.probabilities)
    places = _places(tagger, basis)
    columns = np.array([places.get(sample.label, -1) for sample in samples], np.intp)
    return np.where(columns < 0, np.float32(0), said[rows, columns])
