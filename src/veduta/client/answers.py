"""What the client gives back: the API's answers as Veduta's own records, as far as there are such."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from veduta.client.values import JsonObject, Unexpected
from veduta.records import (
    Attribute,
    AttributeSource,
    Candidate,
    Environment,
    EnvironmentKind,
    Evidence,
    Facts,
    Label,
    Landmark,
    LandmarkAnswer,
    Prediction,
    Rejection,
    Score,
)

HeatMapMethod = Literal["class maps", "occlusion"]

_KINDS: tuple[EnvironmentKind, ...] = get_args(EnvironmentKind)
_SOURCES: tuple[AttributeSource, ...] = get_args(AttributeSource)
_REJECTIONS: tuple[Rejection, ...] = get_args(Rejection)
_METHODS: tuple[HeatMapMethod, ...] = get_args(HeatMapMethod)

_PICTURE = "data:image/webp;base64,"
_MOST_PICTURE = 16_000_000


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Where in the photo a label comes from.

    ``picture`` is a small WebP with transparency, as bytes; it is meant to be stretched over the whole upright photo.
    """

    model: str
    label: Label
    probability: float
    method: HeatMapMethod
    picture: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server says about one photo.

    ``predictions`` has one for each model that answered, as a local tagger gives them, with two differences: the
    labels' names are in the language that was asked for, and ``embedding`` and ``probabilities`` are None.
    ``heatmaps`` are those of all models, in the order of the predictions. ``failures`` (``model``, ``code``,
    ``detail``) are the models that gave no answer; ``comparison`` is what several say together, None where one was
    asked. Both are plain values, as docs/api.md describes them, and ``raw`` is the whole answer so. ``landmark`` is
    None where none was asked for, or the index failed; ``references`` are its nearest reference photos, as pictures,
    since their paths stay with the server. ``timings`` are the server's milliseconds, and ``id`` is the request's, as
    in the server's log.
    """

    id: str
    version: str
    language: str
    photo: Facts
    predictions: tuple[Prediction, ...]
    heatmaps: tuple[HeatMap, ...]
    failures: tuple[dict[str, str], ...]
    comparison: dict[str, Any] | None
    landmark: LandmarkAnswer | None
    references: tuple[ReferencePicture, ...]
    timings: dict[str, float]
    raw: dict[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class ReferencePicture:
    """A reference photo of a landmark, small (a JPEG, None where the index keeps none), and how much the photo that was
    asked about resembles it.
    """

    similarity: float
    picture: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a server lives, or is ready to answer; ``detail`` says what is missing. Counts as true where it does."""

    ok: bool
    detail: str | None = None

    def __bool__(self) -> bool:
        return self.ok


def read_answer(answer: JsonObject) -> Answer:
    """An Answer from its JSON. Raises Unexpected."""
    photo = answer.object("photo")
    facts = Facts(photo.text("format"), photo.whole("width"), photo.whole("height"), marks=photo.texts("marks"))
    found = answer.objects("predictions")
    comparison = answer.optional_object("comparison")
    landmark = answer.optional_object("landmark")
    timings = answer.object("timings")
    return Answer(
        id=answer.text("id"),
        version=answer.text("version"),
        language=answer.text("language"),
        photo=facts,
        predictions=tuple(_prediction(each, facts) for each in found),
        heatmaps=tuple(_heatmap(drawn, each) for each in found for drawn in each.optional_objects("heatmaps") or ()),
        failures=tuple(
            {key: each.text(key) for key in ("model", "code", "detail")} for each in answer.objects("failures")
        ),
        comparison=None if comparison is None else comparison.values,
        landmark=None if landmark is None else _landmark_answer(landmark),
        references=() if landmark is None else tuple(map(_reference, landmark.objects("references"))),
        timings={key: timings.number(key) for key in timings.values},
        raw=answer.values,
    )


def _prediction(answer: JsonObject, facts: Facts) -> Prediction:
    model = answer.object("model")
    left, top, right, bottom = answer.numbers("crop", 4)
    coarse = answer.optional_objects("coarse")
    attributes = answer.optional_objects("attributes")
    return Prediction(
        model=model.text("name"),
        bundle_id=model.text("bundle_id"),
        precision=model.text("precision"),
        facts=facts,
        crop=(left, top, right, bottom),
        scores=tuple(map(_score, answer.objects("scores"))),
        calibrated=answer.flag("calibrated"),
        coarse=None if coarse is None else tuple(map(_score, coarse)),
        environment=_environment(answer.optional_object("environment")),
        attributes=None if attributes is None else tuple(map(_attribute, attributes)),
        evidence=_evidence(answer.optional_object("evidence")),
    )


def _label(answer: JsonObject) -> Label:
    environment = None if answer.values.get("environment") is None else answer.one_of("environment", _KINDS)
    return Label(answer.text("id"), answer.text("name"), environment, answer.optional_text("coarse"))


def _score(answer: JsonObject) -> Score:
    return Score(_label(answer), answer.share("probability"))


def _attribute(answer: JsonObject) -> Attribute:
    return Attribute(_label(answer), answer.share("probability"), answer.one_of("source", _SOURCES))


def _environment(answer: JsonObject | None) -> Environment | None:
    if answer is None:
        return None
    return Environment(answer.one_of("kind", _KINDS), answer.share("outdoor_probability"), answer.share("outdoor_vote"))


def _evidence(answer: JsonObject | None) -> Evidence | None:
    if answer is None:
        return None
    return Evidence(
        answer.number("value"), answer.number("threshold"), answer.flag("fits"), answer.optional_text("reason")
    )


def _landmark_answer(answer: JsonObject) -> LandmarkAnswer:
    candidates = tuple(map(_candidate, answer.objects("candidates")))
    id = answer.optional_text("id")
    found = next((each.landmark for each in candidates if each.landmark.id == id), None)
    if id is not None and found is None:
        raise Unexpected(f"{answer.place}.id is none of its candidates")
    margin = None if answer.values.get("margin") is None else answer.number("margin")
    return LandmarkAnswer(found, candidates, margin, (), answer.text("index"), answer.text("embedding_id"))


def _candidate(answer: JsonObject) -> Candidate:
    position = None
    if answer.values.get("position") is not None:
        latitude, longitude = answer.numbers("position", 2)
        position = (latitude, longitude)
    rejection = None if answer.values.get("rejection") is None else answer.one_of("rejection", _REJECTIONS)
    return Candidate(
        Landmark(answer.text("id"), answer.text("name"), answer.optional_text("city"), position),
        answer.number("similarity"),
        answer.number("threshold"),
        rejection,
        answer.optional_text("reason"),
    )


def _reference(answer: JsonObject) -> ReferencePicture:
    picture = None if answer.values.get("image") is None else _picture(answer, "image", "data:image/jpeg;base64,")
    return ReferencePicture(answer.number("similarity"), picture)


def _heatmap(answer: JsonObject, prediction: JsonObject) -> HeatMap:
    return HeatMap(
        model=prediction.object("model").text("name"),
        label=_label(answer),
        probability=answer.share("probability"),
        method=answer.one_of("method", _METHODS),
        picture=_picture(answer, "image", _PICTURE),
    )


def _picture(answer: JsonObject, key: str, beginning: str) -> bytes:
    address = answer.text(key, _MOST_PICTURE)
    try:
        if not address.startswith(beginning):
            raise ValueError
        return base64.b64decode(address.removeprefix(beginning), validate=True)
    except (ValueError, binascii.Error):
        kind = beginning.removeprefix("data:image/").partition(";")[0]
        raise Unexpected(f"{answer.place}.{key} is not a data URL of a picture as {kind}") from None
