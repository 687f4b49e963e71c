"""What the API answers, field by field: the OpenAPI description is made of this, and answers are built to it.

An absent part is left out, never guessed: a model whose labels have no environment gives no ``environment``.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Field(ge=0, le=1, description="a probability, 0 to 1")


class Answered(BaseModel):
    """The base of all answers: nothing that is not described here."""

    model_config = ConfigDict(extra="forbid")


class Named(Answered):
    """A label: its id, the same in every language, and its name in the language asked for."""

    id: str
    name: str


class ScoreOut(Named):
    """A label and its calibrated probability; ``coarse`` is the id of the everyday label that holds it."""

    probability: float = Share
    environment: Literal["indoor", "outdoor"] | None = None
    coarse: str | None = None


class CoarseOut(Named):
    """An everyday label: the sum over its members, and the wider labels that it lies in, nearest first."""

    probability: float = Share
    ancestors: list[Named]


class EnvironmentOut(Answered):
    """Indoors or outdoors: the mass of outdoor labels, the vote of the ten likeliest, and how far from undecided."""

    kind: Literal["indoor", "outdoor"]
    outdoor_probability: float = Share
    outdoor_vote: float = Share
    margin: float = Share


class AttributeOut(Named):
    """An attribute of the place; ``source`` says whether the photo had a say, or its scene alone."""

    probability: float = Share
    source: Literal["photo", "scene"]


class EvidenceOut(Answered):
    """How much the photo looks like what the model knows; ``fits`` is false where none of its labels does."""

    value: float
    threshold: float
    fits: bool
    reason: str | None = None


class HeatMapOut(Named):
    """Where in the photo a label comes from: a small transparent picture to lay over the whole upright photo."""

    probability: float = Share
    method: Literal["class maps", "occlusion"]
    image: str = Field(description="a data URL of a WebP with transparency, of the photo's shape")


class ModelUsed(Answered):
    """Which model answered, in which version (``bundle_id`` changes with anything that changes answers)."""

    name: str
    bundle_id: str
    precision: Literal["float32", "bfloat16"]


class PredictionOut(Answered):
    """What one model says about the photo; ``crop`` is the part that it saw: left, top, right, bottom in pixels."""

    model: ModelUsed
    task: Literal["single_label", "multi_label"]
    calibrated: bool
    crop: tuple[float, float, float, float]
    scores: list[ScoreOut]
    coarse: list[CoarseOut] | None = None
    environment: EnvironmentOut | None = None
    attributes: list[AttributeOut] | None = None
    evidence: EvidenceOut | None = None
    heatmaps: list[HeatMapOut] | None = None
    milliseconds: float = Field(description="computing, this model alone")


class FailureOut(Answered):
    """A model that gave no answer, and why; the others' answers stand. The index of landmarks counts as one."""

    model: str
    code: str
    detail: str


class VoteOut(Named):
    """A first choice, and the models that made it."""

    models: list[str]


class SurestOut(Named):
    """The model whose first choice is the most probable."""

    model: str
    probability: float = Share


class GroupOut(Answered):
    """Models whose labels can be compared: what they say together, and where they disagree.

    ``basis`` says what was averaged: their ``labels`` where all share them, else the everyday (``coarse``) labels.
    ``weights`` are in the order of ``models`` and sum to one; ``weighted_on`` says what they were learnt from, and is
    absent where each model weighs the same.
    """

    models: list[str]
    basis: Literal["labels", "coarse"]
    weights: list[float]
    weighted_on: str | None = None
    scores: list[ScoreOut] | None = None
    coarse: list[CoarseOut] | None = None
    environment: EnvironmentOut | None = None
    surest: SurestOut | None = None
    agree: bool
    votes: list[VoteOut]
    abstaining: list[str] = Field(description="models that say that none of their labels fits; they count in the mean")


class ComparisonOut(Answered):
    """Several models side by side: groups that can be averaged, and the models that stand apart."""

    groups: list[GroupOut]
    apart: list[str]


class CandidateOut(Named):
    """A landmark that the photo resembles, by the largest cosine with its reference vectors, and what is needed.

    ``rejection`` is absent where nothing speaks against it; ``reason`` says it in words.
    """

    city: str | None = None
    position: tuple[float, float] | None = Field(None, description="latitude and longitude in degrees")
    similarity: float
    threshold: float
    rejection: Literal["similarity", "scene", "position"] | None = None
    reason: str | None = None


class ReferenceOut(Answered):
    """A reference photo of the landmark, else of the first candidate, and how much the photo resembles it."""

    similarity: float
    image: str | None = Field(None, description="a data URL of a small JPEG, where the index keeps one")


class LandmarkOut(Answered):
    """Which landmark the photo shows; ``id`` and ``name`` are null where it shows none, and ``reason`` says why.

    ``candidates`` are those that it resembles most, best first; ``margin`` is how much more it resembles the first than
    the second.
    """

    id: str | None
    name: str | None
    reason: str | None = None
    margin: float | None = None
    candidates: list[CandidateOut]
    references: list[ReferenceOut]
    index: str
    embedding_id: str
    milliseconds: float


class PhotoOut(Answered):
    """The photo's own facts; where and when it was taken is never told."""

    name: str | None = None
    format: str
    width: int
    height: int
    marks: list[str]
    preview: str | None = Field(None, description="a data URL of a JPEG of the whole upright photo, where asked for")


class TimingsOut(Answered):
    """Milliseconds: until the photo was there, decoded, answered, and in all."""

    receive: float
    decode: float
    predict: float
    total: float


class AnswerOut(Answered):
    """What the models say about one photo."""

    id: str = Field(description="the request's id, as in the header X-Request-ID and the log")
    version: str = Field(description="the version of Veduta")
    language: str
    photo: PhotoOut
    predictions: list[PredictionOut]
    failures: list[FailureOut]
    comparison: ComparisonOut | None = None
    landmark: LandmarkOut | None = None
    timings: TimingsOut


class Problem(BaseModel):
    """What went wrong, as problem+json (RFC 9457). ``code`` is stable; ``detail`` is a sentence for people."""

    model_config = ConfigDict(extra="forbid")

    type: str
    title: str
    status: int
    detail: str
    code: str
    id: str = Field(description="the request's id")
    choices: list[str] | None = Field(None, description="what could have been asked for instead")


class BatchItemOut(Answered):
    """One photo of a batch: its answer, or its problem."""

    name: str
    answer: AnswerOut | None = None
    problem: Problem | None = None


class BatchOut(Answered):
    """The answers about several photos, in the order in which they were sent."""

    id: str
    results: list[BatchItemOut]


class MetricOut(Answered):
    """A measured figure of a model, on which data and how many photos, with its 95 % interval where known."""

    name: str
    value: float
    data: str
    count: int
    interval: tuple[float, float] | None = None


class ModelOut(Answered):
    """A model that can be asked; ``problem`` says why one can't be used."""

    name: str
    place: Literal["bundled", "store"]
    loaded: bool
    problem: str | None = None
    bundle_id: str | None = None
    task: Literal["single_label", "multi_label"] | None = None
    labels: int | None = None
    calibrated: bool | None = None
    heatmaps: Literal["class maps", "occlusion"] | None = None
    attributes: bool | None = None
    evidence: bool | None = None
    megabytes: float | None = Field(None, description="of the network's file; weights to train from come on top")
    architecture: str | None = None
    license: str | None = None
    metrics: list[MetricOut] | None = None


class LandmarksOut(Answered):
    """The index of landmarks that may be asked: how many it has, and what its thresholds were chosen for."""

    index: str
    landmarks: int
    model: str = Field(description="whose embedding it was made by")
    false_alarms: float = Field(description="the wanted share of photos without a landmark that get one")
    judged_on: int = Field(
        description="photos without a landmark that the thresholds were chosen by; 0: they are a guess"
    )


class ModelsOut(Answered):
    """All models, by name, and the one that answers where none is named; ``landmarks`` where the server names any."""

    default: str
    languages: list[str]
    max_upload_bytes: int
    models: list[ModelOut]
    landmarks: LandmarksOut | None = None


class LabelOut(Named):
    """A label that a model knows."""

    environment: Literal["indoor", "outdoor"] | None = None
    coarse: str | None = None


class ModelPageOut(ModelOut):
    """A model with its card (Markdown) and all its labels."""

    card: str
    all_labels: list[LabelOut]


class SampleOut(Answered):
    """A sample picture, whose it is, and where to get it here."""

    id: str
    shows: str
    credit: str
    scene: bool
    image: str
    thumbnail: str


class SamplesOut(Answered):
    """The sample pictures that are installed (extra ``samples``)."""

    samples: list[SampleOut]


class Health(Answered):
    """Whether the server lives, or is ready; ``detail`` says what is missing."""

    status: Literal["ok", "not ready"]
    detail: str | None = None
