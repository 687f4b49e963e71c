"""Attributes of a photo from its scene and its embedding, learnt from few annotated photos and many that are not.

The scene's answer is the frequencies of the categories, weighted by their probabilities. The photo's own is a ridge
regression on the embedding, learnt from photos whose category alone is known, with its frequencies as targets, and from
the annotated ones, with what was seen in them. The mean of the two, scaled, is the probability.

How much an annotated photo weighs against another, and the share of the photo's own answer, are chosen by answers for
photos that were held out, all photos of a category together: a photo of a user shows most likely a category that none
of the annotated photos shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from veduta.evaluation.metrics import sklearn_metrics
from veduta.models.attribute_table import AttributeSpec, AttributeTable, Scaling
from veduta.recognition.attributes import logit, probabilities
from veduta.records import AttributeSource, Label
from veduta.training.places100.frequencies import Frequencies, Numbers, count_frequencies

#: Fewer photos say nothing of how well an attribute is told.
FEWEST = 10
FOLDS = 5

# Ridge on embeddings that were centred and divided by their mean length. From 0.001 to 0.008 the mean average precision
# on held-out photos moved by less than a point.
_DECAY = 0.002
_WEIGHTS, _SHARES = (1.0, 2.0, 4.0, 8.0), (0.5, 0.7, 0.85)
# So often are categories dealt to folds anew, for a choice by one dealing depends on it.
_DEALINGS = 3


@dataclass(frozen=True, slots=True)
class Choice:
    """``weight`` is that of an annotated photo against one of the others, ``share`` that of the photo's own answer."""

    weight: float
    share: float


CHOICES = tuple(Choice(weight, share) for weight in _WEIGHTS for share in _SHARES)


class Scenes:
    """Photos whose category alone is known, in axes along which their embeddings do not vary together.

    Attributes:
        variances: of the embeddings along each axis, ``[d]``; their sum is 1.
        by_class: what the photos of each class add to the mean of all m along each axis, ``[d, classes]``.
        photos: m.
    """

    def __init__(self, embeddings: NDArray[np.float32], targets: NDArray[np.int64], classes: int) -> None:
        """``embeddings`` ``[m, d]`` and ``targets`` ``[m]``, each photo's place in the labels."""
        self.photos = len(embeddings)
        self._mean = embeddings.mean(axis=0, dtype=np.float64)
        centred = embeddings - self._mean
        length = float(np.sqrt((centred**2).sum(axis=1).mean()))
        self.variances, axes = np.linalg.eigh(centred.T @ centred / length**2 / self.photos)
        self._axes = axes / length
        self.by_class = self.along(embeddings).T @ np.eye(classes)[targets] / self.photos

    def along(self, embeddings: NDArray[np.float32]) -> Numbers:
        """Embeddings ``[n, d]``, centred and scaled, along the axes."""
        along: Numbers = (embeddings - self._mean) @ self._axes
        return along

    def for_embedding(self, slopes: Numbers, constant: Numbers) -> tuple[Numbers, Numbers]:
        """Slopes ``[attributes, d]`` along the axes and their constants, as those of the embedding as it is."""
        unturned = slopes @ self._axes.T
        return unturned, constant - unturned @ self._mean


@dataclass(frozen=True, slots=True, eq=False)
class Annotated:
    """All that is known of n annotated photos of SUN, of which k can be seen.

    ``present`` ``[n, attributes]`` and ``categories`` are of all; ``place`` ``[k]``, ``embeddings`` ``[k, d]`` and
    ``scene`` ``[k, classes]``, the model's probabilities, of those that can be seen.
    """

    present: NDArray[np.bool_]
    categories: tuple[str, ...]
    place: NDArray[np.int64]
    embeddings: NDArray[np.float32]
    scene: NDArray[np.float32]

    @property
    def seen(self) -> NDArray[np.bool_]:
        """The attributes of the photos that can be seen, ``[k, attributes]``."""
        return self.present[self.place]

    def frequencies(self, learnt_from: NDArray[np.bool_], labels: Sequence[Label]) -> Frequencies:
        """Of all photos but those that can be seen and are not in ``learnt_from`` ``[k]``."""
        kept = np.ones(len(self.present), bool)
        kept[self.place[~learnt_from]] = False
        categories = [category for category, there in zip(self.categories, kept, strict=True) if there]
        return count_frequencies(self.present[kept], categories, labels)

    def parts(self, by_category: bool, seed: int, inside: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The fold ``[k]`` of each photo, -1 outside of ``inside``; ``by_category`` never parts those of a category."""
        names, category = np.unique([self.categories[place] for place in self.place], return_inverse=True)
        random = np.random.default_rng(seed)
        if by_category:
            found = (random.permutation(len(names)) % FOLDS)[category]
        else:
            # Dealt category by category, so that each fold has some of each.
            found = np.empty(len(category), np.int64)
            found[np.lexsort((random.random(len(category)), category))] = np.arange(len(category)) % FOLDS
        return np.where(inside, found, -1)


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Answers ``[k, attributes]``: by the frequencies as they were counted, by the shrunk ones, and the photo's own for
    each weight of an annotated photo.
    """

    counted: Numbers
    scene: Numbers
    own: dict[float, Numbers]

    def mixed(self, choice: Choice) -> Numbers:
        """The scene's answer and the photo's own."""
        return choice.share * self.own[choice.weight] + (1 - choice.share) * self.scene


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What was said of k photos by models that did not see them.

    ``probabilities`` ``[k, attributes]`` are the model's, ``counted`` the answers of the frequencies as they were
    counted, ``part`` ``[k]`` the fold of each photo, and ``choices`` what was chosen for each fold.
    """

    probabilities: Numbers
    counted: Numbers
    part: NDArray[np.int64]
    choices: tuple[Choice, ...]


class AttributeModel:
    """Learns attributes; ``labels`` are the scenes of the model whose embeddings and probabilities are given."""

    def __init__(self, scenes: Scenes, annotated: Annotated, labels: Sequence[Label]) -> None:
        self.scenes, self.annotated, self.labels = scenes, annotated, labels
        self._along = scenes.along(annotated.embeddings)

    def fit(self, attributes: Sequence[Label], seed: int = 0) -> tuple[AttributeTable, Choice]:
        """The table, of all photos, and what was chosen for it."""
        everything = np.ones(len(self.annotated.place), bool)
        choice = self._choose(everything, seed)
        by_photo, scaling = self._scaling(choice, everything, seed)
        frequencies = self.annotated.frequencies(everything, self.labels)
        weight, constant = self.scenes.for_embedding(*self._ridge(frequencies.shrunk, everything, choice.weight))
        weight[~by_photo], constant[~by_photo] = 0, 0
        sources = tuple(_source(told) for told in by_photo)
        spec = AttributeSpec(
            tuple(attributes), sources, choice.share, {source: scaling[source] for source in sorted(set(sources))}
        )
        numbers = (each.astype(np.float32) for each in (frequencies.shrunk.T, weight, constant))
        return AttributeTable(spec, *numbers), choice

    def judge(self, by_category: bool, seed: int = 0, choices: Sequence[Choice] = CHOICES) -> Judged:
        """Hold out each fold in turn; nothing of its photos was looked at for its answers, by no choice either.

        For each fold one of ``choices`` is made.
        """
        photos = self.annotated
        part = photos.parts(by_category, seed, np.ones(len(photos.place), bool))
        found, counted = (np.zeros(photos.seen.shape) for _ in range(2))
        chosen = []
        for fold in range(FOLDS):
            inside = part != fold
            choice = self._choose(inside, seed, choices)
            by_photo, scaling = self._scaling(choice, inside, seed)
            answers = self._answers(inside, (choice.weight,))
            said = np.where(
                by_photo,
                _probabilities(answers.mixed(choice), scaling["photo"]),
                _probabilities(answers.scene, scaling["scene"]),
            )
            found[~inside], counted[~inside] = said[~inside], answers.counted[~inside]
            chosen.append(choice)
        return Judged(found, counted, part, tuple(chosen))

    def _choose(self, inside: NDArray[np.bool_], seed: int, choices: Sequence[Choice] = CHOICES) -> Choice:
        """What did best on the photos ``inside`` while categories were held out in turn."""
        if len(choices) == 1:
            return choices[0]
        scores, seen = dict.fromkeys(choices, 0.0), self.annotated.seen
        common = seen[inside].sum(axis=0) >= FEWEST
        for dealing in range(_DEALINGS):
            part = self.annotated.parts(True, seed + 1 + dealing, inside)
            held_out = self._held_out(part, sorted({choice.weight for choice in choices}))
            for choice in choices:
                scores[choice] += precision_within(held_out.mixed(choice)[:, common], seen[:, common], part)
        return max(scores, key=lambda choice: scores[choice])

    def _held_out(self, part: NDArray[np.int64], weights: Sequence[float]) -> Answers:
        """The answers for each fold of ``part`` from the other folds; -1 is no fold and is left out of everything."""
        shape = self.annotated.seen.shape
        found = Answers(np.zeros(shape), np.zeros(shape), {weight: np.zeros(shape) for weight in weights})
        for fold in np.unique(part[part >= 0]):
            held = part == fold
            answers = self._answers((part >= 0) & ~held, weights)
            for into, these in ((found.counted, answers.counted), (found.scene, answers.scene)):
                into[held] = these[held]
            for weight in weights:
                found.own[weight][held] = answers.own[weight][held]
        return found

    def _answers(self, learnt_from: NDArray[np.bool_], weights: Sequence[float]) -> Answers:
        """The answers for all photos of a model that has seen those of ``learnt_from`` ``[k]`` alone."""
        photos = self.annotated
        frequencies = photos.frequencies(learnt_from, self.labels)
        known = np.isfinite(frequencies.shrunk).all(axis=1)
        scene = photos.scene[:, known].astype(np.float64)
        scene /= scene.sum(axis=1, keepdims=True)
        ridges = {weight: self._ridge(frequencies.shrunk, learnt_from, weight) for weight in weights}
        return Answers(
            scene @ frequencies.counted[known],
            scene @ frequencies.shrunk[known],
            {weight: self._along @ slopes.T + constant for weight, (slopes, constant) in ridges.items()},
        )

    def _ridge(self, frequencies: Numbers, seen: NDArray[np.bool_], weight: float) -> tuple[Numbers, Numbers]:
        """Slopes ``[attributes, d]`` along the axes of the scenes, and constants ``[attributes]``.

        Photos of a class of which nothing is known are taken to be as the mean.
        """
        mean = np.nanmean(frequencies, axis=0)
        photos, share = self._along[seen], weight / self.scenes.photos
        known = self.scenes.by_class @ np.nan_to_num(frequencies - mean)
        right = known + share * photos.T @ (self.annotated.seen[seen] - mean)
        # The matrix to invert is diagonal but for the annotated photos, which are few (Woodbury 1950).
        inverse = 1 / (self.scenes.variances + _DECAY)
        bent = photos * inverse
        few = np.linalg.solve(np.eye(len(photos)) / share + bent @ photos.T, bent @ right)
        slopes: Numbers = (inverse[:, None] * right - bent.T @ few).T
        return slopes, mean

    def _scaling(
        self, choice: Choice, inside: NDArray[np.bool_], seed: int
    ) -> tuple[NDArray[np.bool_], dict[AttributeSource, Scaling]]:
        """Which attributes the photo has a say in, ``[attributes]``, and how answers become probabilities.

        Of an attribute that no annotated photo shows, nothing tells whether the photo would help. One scaling serves
        all attributes of a source: so few photos do not bear one for each. It is fitted to answers for photos that were
        held out, each by itself.
        """
        held_out = self._held_out(self.annotated.parts(False, seed + 1, inside), (choice.weight,))
        seen = self.annotated.seen[inside]
        by_photo: NDArray[np.bool_] = np.any(seen, axis=0)
        return by_photo, {
            "photo": _fit_scaling(held_out.mixed(choice)[inside][:, by_photo], seen[:, by_photo]),
            "scene": _fit_scaling(held_out.scene[inside], seen),
        }


def mean_precision(answers: Numbers, present: NDArray[np.bool_]) -> float:
    """The mean over the attributes that some photo has of their average precision; both are ``[k, attributes]``."""
    there = present.any(axis=0)
    return float(sklearn_metrics().average_precision_score(present[:, there], answers[:, there], average="macro"))


def precision_within(answers: Numbers, present: NDArray[np.bool_], part: NDArray[np.int64]) -> float:
    """The mean precision within each fold of ``part`` ``[k]``, in the mean; -1 is no fold.

    Answers of two folds come from different models, so that their order says nothing where, as with categories held
    out, one model knows an attribute to be frequent and the other does not.
    """
    folds = [part == fold for fold in np.unique(part[part >= 0])]
    return float(np.mean([mean_precision(answers[fold], present[fold]) for fold in folds]))


def _fit_scaling(answers: Numbers, present: NDArray[np.bool_]) -> Scaling:
    fitted = LogisticRegression(C=np.inf).fit(logit(answers).reshape(-1, 1), present.ravel())
    return Scaling(float(fitted.coef_[0, 0]), float(fitted.intercept_[0]))


def _probabilities(answers: Numbers, scaling: Scaling) -> Numbers:
    return probabilities(answers, scaling.slope, scaling.offset)


def _source(by_photo: np.bool_) -> AttributeSource:
    return "photo" if by_photo else "scene"
