"""The levels that a model is judged at: its own classes, everyday labels, and a user's wider classes.

At each level both sides get the same labels. The model's side is the sum of its probabilities over the classes of each
label, and labels are ranked after summing; the set's side is the label that a name of the set means: the name itself,
or what ``meanings`` says of it. A name means a class of the model, and then whatever label that class lies in; at a
wider level it may also mean a label that is none of the model's classes. Names that mean nothing are listed and count
in no figure; the model may answer with any label, also those that no photo has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from veduta.errors import UsageError
from veduta.evaluation.figures import Judgement, judge
from veduta.evaluation.label_map import LabelMap
from veduta.evaluation.metrics import ClassFigure, class_figures
from veduta.evaluation.names import coarse_of_folder, match_label, near_labels, nearest, spelt_alike
from veduta.labels.taxonomy import Taxonomy
from veduta.labels.text_file import shown
from veduta.labels.translations import coarse_name
from veduta.recognition.scoring import CoarseSums
from veduta.records import Label

LevelName = Literal["classes", "coarse", "map"]

#: What the labels of a level are called.
LEVEL_WORDS: dict[LevelName, str] = {"classes": "classes", "coarse": "everyday labels", "map": "your wider classes"}


@dataclass(frozen=True, slots=True)
class NameMapping:
    """What became of the names of a set at a level.

    ``judged``: name to the id of its label. ``absent``: name to a label that no class of the model lies in.
    ``unnamed``: names that mean nothing, with the ids of labels that resemble each.
    """

    judged: dict[str, str]
    absent: dict[str, str]
    unnamed: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Level:
    """The ``labels`` of a level, which of the ``classes`` of a model lie in each, and what the names of a set mean.

    ``label_of`` has the place in ``labels`` for each of ``classes``, -1 where a class lies in none.
    """

    name: LevelName
    labels: tuple[Label, ...]
    classes: tuple[Label, ...]
    label_of: tuple[int, ...]
    mapping: NameMapping

    def probabilities(self, of_classes: NDArray[np.float32]) -> NDArray[np.float32]:
        """``[n, classes]`` to ``[n, labels]``: sums over the classes of each label."""
        return of_classes if self.name == "classes" else CoarseSums(self.classes)(of_classes)

    def leading_class(self, of_classes: NDArray[np.float32], places: NDArray[np.int64]) -> NDArray[np.int64]:
        """The most probable class ``[n]`` of the model that lies in the label at each of ``places`` ``[n]``."""
        inside = np.array(self.label_of)[None, :] == places[:, None]
        leading: NDArray[np.int64] = np.where(inside, of_classes, -1.0).argmax(axis=1)
        return leading


@dataclass(frozen=True, slots=True, eq=False)
class LevelJudgement:
    """A judgement at a level, the recall of each name of the set, and what became of its names.

    ``rows`` ``[k]`` are the places of the judged photos among those that were given.
    """

    level: Level
    judgement: Judgement
    folders: tuple[ClassFigure, ...]
    rows: NDArray[np.intp]

    @property
    def mapping(self) -> NameMapping:
        """What became of the names of the set."""
        return self.level.mapping

    @property
    def renamed(self) -> tuple[ClassFigure, ...]:
        """The recall of names that are judged as another."""
        return tuple(each for each in self.folders if not spelt_alike(each.label.id, each.label.coarse or ""))


def class_level(labels: Sequence[Label], names: Sequence[str], meanings: LabelMap) -> Level:
    """A model's own ``labels`` for the ``names`` of a set."""
    judged: dict[str, str] = {}
    unnamed: dict[str, tuple[str, ...]] = {}
    for name in names:
        meant = meanings.pairs.get(name, name)
        place = match_label(meant, labels)
        if place is None:
            unnamed[name] = near_labels(meant, labels)
        else:
            judged[name] = labels[place].id
    everyone = tuple(range(len(labels)))
    return Level("classes", tuple(labels), tuple(labels), everyone, NameMapping(judged, {}, unnamed))


def wider_level(
    name: Literal["coarse", "map"],
    labels: Sequence[Label],
    taxonomy: Taxonomy,
    names: Sequence[str],
    meanings: LabelMap,
) -> Level | None:
    """The coarse labels of ``taxonomy``, which gave ``labels`` theirs, for the ``names`` of a set.

    None where a label of the model has no coarse label, so that their probabilities would not add up.
    """
    if any(label.coarse is None for label in labels):
        return None
    ids = [label.id for label in CoarseSums(labels).labels]
    own = {label.id: label.name for label in labels}
    called = (lambda id: coarse_name(id, "en")) if name == "coarse" else (lambda id: own.get(id, id))
    wide = tuple(Label(id, called(id)) for id in ids)
    judged: dict[str, str] = {}
    absent: dict[str, str] = {}
    unnamed: dict[str, tuple[str, ...]] = {}
    for each in names:
        meant = meanings.pairs.get(each, each)
        place = match_label(meant, labels)
        found = labels[place].coarse if place is not None else coarse_of_folder(meant, taxonomy)
        if found is None:
            unnamed[each] = near_labels(meant, (*wide, *labels))
        else:
            (judged if found in ids else absent)[each] = found
    label_of = tuple(ids.index(label.coarse or "") for label in labels)
    return Level(name, wide, tuple(labels), label_of, NameMapping(judged, absent, unnamed))


def check_meanings(meanings: LabelMap, mappings: Sequence[NameMapping], labels: Sequence[Label]) -> None:
    """Raise UsageError for a meaning of a name that is in none of ``mappings``, or one that is none of ``labels``."""
    names = {name: None for each in mappings for name in (*each.judged, *each.absent, *each.unnamed)}
    for name, meant in meanings.pairs.items():
        if name not in names:
            near = nearest(name, [Label(each, each) for each in names])
            raise UsageError(
                f"{meanings.source}: '{shown(name)}' is no class of the set{near or '; name one that the set has.'}"
            )
        if not any(name in each.judged or name in each.absent for each in mappings):
            raise UsageError(
                f"{meanings.source}: '{shown(meant)}', which '{shown(name)}' is to mean, is no label that is judged"
                f"{nearest(meant, labels) or '; `veduta models info` lists the classes.'}"
            )


def judge_level(
    level: Level, probabilities: NDArray[np.float32], names: Sequence[str], data: str, *, confusions: int = 20
) -> LevelJudgement:
    """Judge probabilities ``[n, classes]`` of photos whose names in the set are ``names`` ``[n]``, some not judged.

    Raises UsageError where no photo's name means a label of the level.
    """
    judged = level.mapping.judged
    rows = np.array([row for row, name in enumerate(names) if name in judged], np.intp)
    if not len(rows):
        raise UsageError(f"{data}: no photo is of one of the {LEVEL_WORDS[level.name]}; tell what its names mean.")
    place = {label.id: index for index, label in enumerate(level.labels)}
    targets = np.array([place[judged[names[row]]] for row in rows], np.int64)
    said = level.probabilities(probabilities[rows])
    judgement = judge(level.labels, said, targets, data, confusions=confusions)
    folders = _by_name(judged, [names[row] for row in rows], said.argmax(axis=1) == targets)
    return LevelJudgement(level, judgement, folders, rows)


def _by_name(judged: Mapping[str, str], names: Sequence[str], right: NDArray[np.bool_]) -> tuple[ClassFigure, ...]:
    """Recall name by name; the "precision" of a name means nothing where several share a label."""
    called = [Label(name, name, coarse=label) for name, label in judged.items()]
    place = {label.id: index for index, label in enumerate(called)}
    own = np.array([place[name] for name in names], np.int64)
    return class_figures(own, np.where(right, own, len(called)), called).classes
