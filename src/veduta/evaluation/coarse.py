"""Judging a model on a set whose classes have other names: both sides by their coarse labels.

The model's side is the sum of its probabilities over the members of each coarse label; the set's side is the coarse
label that a folder's name means. Only folders whose coarse label the model has are judged, over all of the model's
coarse labels; the others are listed, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veduta.errors import UsageError
from veduta.evaluation.figures import Judgement, judge
from veduta.evaluation.metrics import ClassFigure, class_figures, confusion_matrix
from veduta.evaluation.names import check_coarse, coarse_of_folder
from veduta.labels.taxonomy import Taxonomy
from veduta.labels.translations import coarse_name
from veduta.recognition.scoring import CoarseSums
from veduta.records import Label


@dataclass(frozen=True, slots=True)
class FolderMapping:
    """What became of the folders of a set.

    ``judged``: folder to its coarse label. ``absent``: folder to a coarse label that the model has no class of.
    ``unnamed``: folders that no label is named as.
    """

    judged: dict[str, str]
    absent: dict[str, str]
    unnamed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CoarseJudgement:
    """A judgement over coarse labels, the same by folder, and what was not judged."""

    judgement: Judgement
    folders: tuple[ClassFigure, ...]
    mapping: FolderMapping


def map_folders(
    folders: Iterable[str], taxonomy: Taxonomy, labels: Sequence[Label], same: Mapping[str, str] | None = None
) -> FolderMapping:
    """Map folder names to the coarse labels of a model's ``labels``.

    ``same`` tells what a name means that no label has: ``{"ice_skating": "ice_rink"}``. It goes before the names.

    Raises UsageError where ``same`` names a folder or a coarse label that is not there.
    """
    folders, same = list(folders), dict(same or {})
    for folder, coarse in same.items():
        if folder not in folders:
            raise UsageError(f"'{folder}' is no folder of the set; name one that is, as in ice_skating=ice_rink.")
        check_coarse(coarse, taxonomy)
    has = {label.coarse for label in labels}
    judged: dict[str, str] = {}
    absent: dict[str, str] = {}
    unnamed: list[str] = []
    for folder in folders:
        found = same.get(folder) or coarse_of_folder(folder, taxonomy)
        if found is None:
            unnamed.append(folder)
        else:
            (judged if found in has else absent)[folder] = found
    return FolderMapping(judged, absent, tuple(unnamed))


def judge_coarse(
    labels: Sequence[Label],
    probabilities: NDArray[np.float32],
    folders: Sequence[str],
    mapping: FolderMapping,
    data: str,
    *,
    confusions: int = 20,
) -> CoarseJudgement:
    """Judge probabilities ``[n, classes]`` of photos that lie in ``folders`` ``[n]``, some of them not judged.

    ``labels`` are the model's, each with its coarse label. Raises UsageError where no photo's folder is judged.
    """
    sums = CoarseSums(labels)
    place = {label.id: index for index, label in enumerate(sums.labels)}
    rows = np.array([index for index, folder in enumerate(folders) if folder in mapping.judged], np.intp)
    if not len(rows):
        raise UsageError(f"{data}: no folder means a coarse label that the model has; tell them as in old_port=harbor.")
    named = [Label(label.id, coarse_name(label.id, "en")) for label in sums.labels]
    targets = np.array([place[mapping.judged[folders[row]]] for row in rows], np.int64)
    coarse = sums(probabilities[rows])
    judgement = judge(named, coarse, targets, data, confusions=confusions)
    return CoarseJudgement(judgement, _by_folder(mapping, [folders[row] for row in rows], coarse, place), mapping)


def judge_by_coarse(
    labels: Sequence[Label], probabilities: NDArray[np.float32], targets: NDArray[np.int64], data: str
) -> Judgement:
    """Judge probabilities ``[n, classes]`` of photos of the model's own classes by the coarse labels of those.

    ``targets`` ``[n]`` are places in ``labels``. Raises UsageError where a target has no coarse label.
    """
    sums = CoarseSums(labels)
    place = {label.id: index for index, label in enumerate(sums.labels)}
    coarse_of = [place.get(label.coarse or "", -1) for label in labels]
    coarse_targets = np.array([coarse_of[target] for target in targets], np.int64)
    if (coarse_targets < 0).any():
        raise UsageError(f"{data}: not every class has a coarse label; give a taxonomy that lists them all.")
    named = [Label(label.id, coarse_name(label.id, "en")) for label in sums.labels]
    return judge(named, sums(probabilities), coarse_targets, data)


def _by_folder(
    mapping: FolderMapping, folders: Sequence[str], coarse: NDArray[np.float32], place: Mapping[str, int]
) -> tuple[ClassFigure, ...]:
    """Recall folder by folder; a folder's "precision" means nothing where several share a coarse label."""
    names = [Label(folder, folder, coarse=coarse_id) for folder, coarse_id in mapping.judged.items()]
    at = {label.id: index for index, label in enumerate(names)}
    said = coarse.argmax(axis=1)
    own = np.array([at[folder] for folder in folders], np.int64)
    right = said == np.array([place[mapping.judged[folder]] for folder in folders])
    elsewhere = len(names)
    matrix = confusion_matrix(own, np.where(right, own, elsewhere), elsewhere + 1)
    return class_figures(matrix, [*names, Label("", "")])
