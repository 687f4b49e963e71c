"""The frozen values that pass between the steps.

Scores carry label ids, which are the same in every language; writers and reports render names.
A part that the model or the photo can't give is ``None``: left out, never guessed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EnvironmentKind = Literal["indoor", "outdoor"]
AttributeSource = Literal["photo", "scene"]
#: What several models are averaged over: the labels that all share, or their coarse labels.
Basis = Literal["labels", "coarse"]
#: Why a photo is not said to show a landmark: it resembles it too little, or its scene or position speak against it.
Rejection = Literal["similarity", "scene", "position"]

#: left, top, right, bottom in pixels of the upright photo; right and bottom are exclusive.
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Sample:
    """One photo that somebody asked about: where it lies and, where a folder or table tells, its label."""

    path: str
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """A class: a stable id (``church/outdoor``), its English name, and what is known of it."""

    id: str
    name: str
    environment: EnvironmentKind | None = None
    coarse: str | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """A label and its probability in [0, 1]: softmax over the head's labels, or a sigmoid for each."""

    label: Label
    probability: float


@dataclass(frozen=True, slots=True)
class Environment:
    """Indoor or outdoor, by two ways of reading the same scores.

    ``outdoor_probability`` sums the probability of the outdoor labels, relative to all labels that have an
    environment; ``kind`` follows it (below 0.5 is indoor). ``outdoor_vote`` is the mean of the flags
    (indoor 0, outdoor 1) of the ten most probable labels, fewer where there are fewer (Zhou et al. 2017).
    """

    kind: EnvironmentKind
    outdoor_probability: float
    outdoor_vote: float

    @property
    def margin(self) -> float:
        """How far from undecided, 0 to 1."""
        return abs(2.0 * self.outdoor_probability - 1.0)


@dataclass(frozen=True, slots=True)
class Attribute:
    """What a place is made of, lit by or good for, its probability in [0, 1], and what that rests on.

    With the source ``photo`` the photo's own features had a say; with ``scene`` it is how often photos of such scenes
    have the attribute, whatever this one shows.
    """

    label: Label
    probability: float
    source: AttributeSource


@dataclass(frozen=True, slots=True)
class Evidence:
    """How much the photo looks like what the model knows, and the verdict at the bundle's threshold."""

    value: float
    threshold: float
    fits: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What the file itself tells about the photo.

    ``width`` and ``height`` are those of the upright photo, before any shrinking. ``taken`` is the camera's own
    time, ISO 8601 without a zone unless the file gives one; ``position`` is (latitude, longitude) in degrees.
    ``marks`` are short words for what a reader should know: ``cut off``, ``preview``, ``first frame``.
    """

    format: str
    width: int
    height: int
    taken: str | None = None
    position: tuple[float, float] | None = None
    marks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one model says about one photo.

    ``scores``, ``coarse`` and ``attributes`` are the most probable few, best first. ``probabilities`` is the whole
    distribution, float32 ``[classes]`` in the order of the model's labels, after dropped classes were masked. ``crop``
    is the part of the upright photo that the model saw.
    """

    model: str
    bundle_id: str
    precision: str
    facts: Facts
    crop: Box
    scores: tuple[Score, ...]
    calibrated: bool
    coarse: tuple[Score, ...] | None = None
    environment: Environment | None = None
    attributes: tuple[Attribute, ...] | None = None
    evidence: Evidence | None = None
    embedding: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    probabilities: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)

    @property
    def fits(self) -> bool:
        """False where the evidence says that none of the labels fits."""
        return self.evidence is None or self.evidence.fits


@dataclass(frozen=True, slots=True)
class Vote:
    """A first choice, and the models that made it, in the order of the models."""

    label: Label
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Surest:
    """A model, and its first choice with the probability that it gave to it."""

    model: str
    score: Score


@dataclass(frozen=True, slots=True)
class Combined:
    """What several models say together: the weighted mean of their probabilities.

    ``basis`` tells what was averaged: the ``labels`` where all models share them, else the ``coarse`` labels.
    ``weights`` are in the order of ``models`` and sum to one; ``weighted_on`` says what they were learnt from, None
    where nothing was learnt and each model weighs the same.

    ``votes`` are the first choices on the basis, the one of most models first; ``surest`` is the voter whose first
    choice has the highest probability, of the calibrated ones where there are any (uncalibrated scores can't be
    compared), None where nobody votes. A model whose evidence says that nothing fits does not vote: a choice among
    labels of which it says that none fits is none. It counts in the mean all the same, which is one rule for all
    photos, and the one that weights are learnt for.
    """

    models: tuple[str, ...]
    basis: Basis
    scores: tuple[Score, ...] | None
    coarse: tuple[Score, ...] | None
    environment: Environment | None
    weights: tuple[float, ...]
    votes: tuple[Vote, ...]
    surest: Surest | None
    weighted_on: str | None = None

    @property
    def agree(self) -> bool:
        """Whether no two models chose differently; where none votes, they agree that nothing fits."""
        return len(self.votes) <= 1

    @property
    def abstaining(self) -> tuple[str, ...]:
        """The models that did not vote, because they say that nothing fits."""
        voters = {model for vote in self.votes for model in vote.models}
        return tuple(model for model in self.models if model not in voters)


@dataclass(frozen=True, slots=True)
class Match:
    """A reference that a photo resembles: what it is called, the cosine of the two embeddings, and the digest of its
    content, where it is a photo.
    """

    id: str
    similarity: float
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Landmark:
    """A place with a name of its own.

    ``id`` is unique within an index. ``names`` are (language, name) pairs beside the usual ``name``; ``position`` is
    (latitude, longitude) in degrees; ``source`` says where it is known from (``Q243`` of Wikidata, ``own photos``).
    """

    id: str
    name: str
    city: str | None = None
    position: tuple[float, float] | None = None
    names: tuple[tuple[str, str], ...] = ()
    source: str | None = None

    def name_in(self, language: str) -> str:
        """Its name in a language, else the usual one."""
        return dict(self.names).get(language, self.name)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A landmark that a photo resembles.

    ``similarity`` is the largest cosine between the photo's embedding and the landmark's reference vectors, and
    ``threshold`` what it must reach. ``rejection`` says why it is not the answer, None where it may be.
    """

    landmark: Landmark
    similarity: float
    threshold: float
    rejection: Rejection | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class LandmarkAnswer:
    """Which landmark a photo shows, or that it shows none, and what that rests on.

    ``candidates`` are those that it resembles most, best first, vetoed ones among them. ``margin`` is how much more
    similar the first is than the second, None where there is one alone. ``references`` are the photos of the answer,
    else of the first candidate, that the photo resembles most.
    """

    landmark: Landmark | None
    candidates: tuple[Candidate, ...]
    margin: float | None
    references: tuple[Match, ...]
    index: str
    embedding_id: str

    @property
    def shown(self) -> Landmark | None:
        """Whose photos ``references`` are; None where there is no candidate."""
        return self.landmark or (self.candidates[0].landmark if self.candidates else None)

    @property
    def reason(self) -> str | None:
        """Why there is no landmark, in words; None where there is one."""
        if self.landmark is not None:
            return None
        return self.candidates[0].reason if self.candidates else "the index has no landmark"


@dataclass(frozen=True, slots=True)
class Failure:
    """A photo that got no answer: the error's class name and a sentence for people."""

    path: str
    error: str
    message: str
