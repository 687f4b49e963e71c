"""From what models say to what the API answers: plain JSON values, as ``schema`` describes them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from veduta.images.limits import printable
from veduta.jobs.rows import Row, environment_values, evidence_values, named_landmark, probability
from veduta.jobs.rows import landmark_values as jobs_values
from veduta.labels.taxonomy import Taxonomy
from veduta.labels.translations import coarse_name, name_of
from veduta.recognition.scoring import best
from veduta.recognition.tagger import Tagger
from veduta.records import Attribute, Combined, Facts, Label, Prediction, Score
from veduta.server.landmarks import LandmarkSaid


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Where in the photo a label comes from: ``layer`` is a WebP with transparency, of the photo's shape."""

    score: Score
    method: str
    layer: bytes


@dataclass(frozen=True, slots=True)
class Said:
    """What one model says about one photo, and how long it computed, in milliseconds."""

    tagger: Tagger
    prediction: Prediction
    maps: tuple[HeatMap, ...]
    milliseconds: float


def photo_values(facts: Facts, name: str | None, preview: bytes | None) -> Row:
    """The photo's own facts, but for where and when it was taken; ``preview`` is a JPEG of it."""
    values: Row = {} if name is None else {"name": printable(name)}
    values |= {"format": facts.format, "width": facts.width, "height": facts.height, "marks": list(facts.marks)}
    if preview is not None:
        values["preview"] = _data_url("image/jpeg", preview)
    return values


def prediction_values(said: Said, language: str, top_k: int, attributes: bool) -> Row:
    """One model's answer; parts that it can't give are left out."""
    prediction, tagger = said.prediction, said.tagger
    values: Row = {
        "model": {
            "name": prediction.model,
            "bundle_id": prediction.bundle_id,
            "precision": prediction.precision,
        },
        "task": tagger.head.task,
        "calibrated": prediction.calibrated,
        "crop": [round(float(edge), 2) for edge in prediction.crop],
        "scores": score_values(_scores(prediction, tagger, top_k), language),
    }
    coarse = _coarse(prediction, tagger, top_k)
    if coarse is not None:
        values["coarse"] = coarse_values(coarse, tagger.taxonomy, language)
    if prediction.environment is not None:
        values["environment"] = environment_values(prediction.environment)
    if attributes and prediction.attributes is not None:
        values["attributes"] = _attribute_values(prediction.attributes)
    if prediction.evidence is not None:
        values["evidence"] = evidence_values(prediction.evidence)
    if said.maps:
        values["heatmaps"] = [_map_values(each, language) for each in said.maps]
    values["milliseconds"] = round(said.milliseconds, 2)
    return values


def landmark_values(said: LandmarkSaid, language: str) -> Row:
    """Which landmark, or none and why; the nearest reference photos by their pictures, for their paths are private."""
    answer = said.answer
    values = named_landmark(jobs_values(answer), language)
    values["references"] = [
        {
            "similarity": probability(each.similarity),
            **({} if picture is None else {"image": _data_url("image/jpeg", picture)}),
        }
        for each, picture in zip(answer.references, said.pictures, strict=True)
    ]
    return values | {"embedding_id": answer.embedding_id, "milliseconds": round(said.milliseconds, 2)}


def score_values(scores: Sequence[Score], language: str) -> list[Row]:
    """Ids, names, probabilities, and of each label that has them its environment and its everyday label."""
    return [
        {
            **named(score.label, language),
            "probability": probability(score.probability),
            **({} if score.label.environment is None else {"environment": score.label.environment}),
            **({} if score.label.coarse is None else {"coarse": score.label.coarse}),
        }
        for score in scores
    ]


def coarse_values(scores: Sequence[Score], taxonomy: Taxonomy, language: str) -> list[Row]:
    """Everyday labels, each with the wider ones that it lies in."""
    return [
        {
            **named_coarse(score.label.id, language),
            "probability": probability(score.probability),
            "ancestors": [named_coarse(id, language) for id in taxonomy.ancestors(score.label.id)],
        }
        for score in scores
    ]


def combined_values(combined: Combined, taxonomy: Taxonomy, language: str, top_k: int) -> Row:
    """What a group of models says together."""
    by_labels = combined.basis == "labels"

    def name(label: Label) -> Row:
        return named(label, language) if by_labels else named_coarse(label.id, language)

    values: Row = {
        "models": list(combined.models),
        "basis": combined.basis,
        "weights": [round(weight, 6) for weight in combined.weights],
    }
    if combined.weighted_on is not None:
        values["weighted_on"] = combined.weighted_on
    if combined.scores is not None:
        values["scores"] = score_values(combined.scores[:top_k], language)
    if combined.coarse is not None:
        values["coarse"] = coarse_values(combined.coarse[:top_k], taxonomy, language)
    if combined.environment is not None:
        values["environment"] = environment_values(combined.environment)
    if combined.surest is not None:
        score = combined.surest.score
        values["surest"] = {
            **name(score.label),
            "model": combined.surest.model,
            "probability": probability(score.probability),
        }
    values["agree"] = combined.agree
    values["votes"] = [{**name(vote.label), "models": list(vote.models)} for vote in combined.votes]
    values["abstaining"] = list(combined.abstaining)
    return values


def named(label: Label, language: str) -> Row:
    """A label's id and its name in a language."""
    return {"id": label.id, "name": name_of(label, language)}


def named_coarse(id: str, language: str) -> Row:
    """An everyday label's id and its name in a language."""
    return {"id": id, "name": coarse_name(id, language)}


def _scores(prediction: Prediction, tagger: Tagger, top_k: int) -> Sequence[Score]:
    if top_k <= tagger.top_k:
        return prediction.scores[:top_k]
    assert prediction.probabilities is not None
    return best(prediction.probabilities, tagger.labels, top_k)


def _coarse(prediction: Prediction, tagger: Tagger, top_k: int) -> Sequence[Score] | None:
    if prediction.coarse is None or top_k <= tagger.top_k:
        return None if prediction.coarse is None else prediction.coarse[:top_k]
    assert prediction.probabilities is not None
    return best(tagger.coarse_sums(prediction.probabilities[None])[0], tagger.coarse_sums.labels, top_k)


def _attribute_values(attributes: Sequence[Attribute]) -> list[Row]:
    # An attribute may be called as a scene is, and has no name in another language than its model's.
    return [
        {
            "id": each.label.id,
            "name": each.label.name,
            "probability": probability(each.probability),
            "source": each.source,
        }
        for each in attributes
    ]


def _map_values(heat_map: HeatMap, language: str) -> Row:
    return {
        **named(heat_map.score.label, language),
        "probability": probability(heat_map.score.probability),
        "method": heat_map.method,
        "image": _data_url("image/webp", heat_map.layer),
    }


def _data_url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
