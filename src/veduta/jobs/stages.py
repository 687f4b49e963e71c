"""The steps that answer decoded photos: plain functions of what they are given, so that they can run anywhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from veduta.errors import NoAnswer, UsageError
from veduta.images.decode import Photo
from veduta.jobs.plan import Plan
from veduta.jobs.rows import (
    Row,
    coarse_values,
    compact_json,
    environment_values,
    landmark_values,
    prediction_values,
    probability,
    score_values,
    stored_row,
)
from veduta.records import Combined, Prediction


@dataclass(frozen=True, slots=True)
class Answered:
    """What the models say about one content: the stored row, its JSON, and the parts that no row holds."""

    stored: Row
    text: str
    embedding: bytes | None
    overlay: bytes | None


def answer_photos(photos: Sequence[Photo], plan: Plan) -> list[Answered | NoAnswer]:
    """Ask each model about each photo, and draw the heat maps if the plan wants them.

    Where a model gives no number for a photo, its place holds the error.
    """
    if not photos:
        return []
    try:
        return [*_answer_all(photos, plan)]
    except NoAnswer as error:
        if len(photos) == 1:
            return [error]
        return [answer for photo in photos for answer in answer_photos([photo], plan)]


def _answer_all(photos: Sequence[Photo], plan: Plan) -> list[Answered]:
    said = [tagger.predict_photos(photos, index) for tagger, index in zip(plan.taggers, plan.inputs, strict=True)]
    landmarks = _landmarks(photos, said[0], plan)
    rows = [
        _stored(predictions, landmark, plan)
        for predictions, landmark in zip(zip(*said, strict=True), landmarks, strict=True)
    ]
    overlays = draw_overlays(photos, rows, plan)
    return [
        Answered(row, compact_json(row), _embedding(first, plan), overlay)
        for row, first, overlay in zip(rows, said[0], overlays, strict=True)
    ]


def answer_batch(photos: Sequence[Photo], known: Sequence[str | None], plan: Plan) -> list[Answered | NoAnswer]:
    """``answer_photos`` where ``known`` has None; where it has a stored row in JSON, only the heat map is drawn."""
    new = iter(answer_photos([photo for photo, row in zip(photos, known, strict=True) if row is None], plan))
    rows = [(photo, text, json.loads(text)) for photo, text in zip(photos, known, strict=True) if text is not None]
    overlays = draw_overlays([photo for photo, _, _ in rows], [row for _, _, row in rows], plan)
    drawn = (Answered(row, text, None, overlay) for (_, text, row), overlay in zip(rows, overlays, strict=True))
    return [next(new) if text is None else next(drawn) for text in known]


def draw_overlays(photos: Sequence[Photo], rows: Sequence[Row], plan: Plan) -> list[bytes | None]:
    """The heat map of the first model's most probable class for each photo, as a picture to lay over it, or None."""
    drawn: list[bytes | None] = [None] * len(photos)
    if plan.map_input is None:
        return drawn
    from veduta.explanation.overlay import layer_bytes
    from veduta.explanation.saliency import heat_maps

    tagger = plan.taggers[0]
    places = {label.id: index for index, label in enumerate(tagger.labels)}
    by_size: dict[tuple[int, ...], list[int]] = {}
    inputs = [cast("NDArray[np.uint8]", photo.inputs[plan.map_input]) for photo in photos]
    for at, (pixels, row) in enumerate(zip(inputs, rows, strict=True)):
        if _first_scores(row, plan):
            by_size.setdefault(pixels.shape, []).append(at)
    for group in by_size.values():
        classes = [places[_first_scores(rows[at], plan)[0]["id"]] for at in group]
        maps, _ = heat_maps(tagger.session, tagger.bundle, np.stack([inputs[at] for at in group]), classes)
        for at, values in zip(group, maps, strict=True):
            drawn[at] = layer_bytes(values, (photos[at].facts.width, photos[at].facts.height))
    return drawn


def _landmarks(photos: Sequence[Photo], scenes: Sequence[Prediction], plan: Plan) -> list[Row | None]:
    """Which landmark each photo shows, where they are asked for."""
    recogniser = plan.options.landmarks
    if recogniser is None or plan.landmark_input is None:
        return [None] * len(photos)
    from veduta.recognition.landmarks.vetoes import Scene

    answers = recogniser.recognise_photos(photos, [Scene.of(each) for each in scenes], plan.landmark_input)
    return [landmark_values(answer) for answer in answers]


def _stored(predictions: Sequence[Prediction], landmark: Row | None, plan: Plan) -> Row:
    answers = {
        model: prediction_values(prediction, tagger.taxonomy.ancestors)
        for model, prediction, tagger in zip(plan.layout.models, predictions, plan.taggers, strict=True)
    }
    combined = None if plan.ensemble is None else plan.ensemble.combine(predictions)
    together = None if combined is None else _combined_values(combined, plan)
    return stored_row(predictions[0].facts, answers, together, landmark)


def _combined_values(combined: Combined, plan: Plan) -> Row:
    values: Row = {"basis": combined.basis}
    if combined.weighted_on is not None:
        models = zip(plan.layout.models, combined.weights, strict=True)
        values["weights"] = {model: probability(weight) for model, weight in models}
    if combined.scores is not None:
        values["scores"] = score_values(combined.scores)
    if combined.coarse is not None:
        values["coarse"] = coarse_values(combined.coarse, plan.taggers[0].taxonomy.ancestors)
    if combined.environment is not None:
        values["environment"] = environment_values(combined.environment)
    return values


def _first_scores(row: Row, plan: Plan) -> list[Row]:
    scores: list[Row] = (row["models"][plan.layout.models[0]] if plan.layout.side_by_side else row)["scores"]
    return scores


def _embedding(prediction: Prediction, plan: Plan) -> bytes | None:
    if not plan.options.embedding:
        return None
    if prediction.embedding is None:
        raise UsageError(f"The model {prediction.model} was loaded without its embedding; load it with embedding=True.")
    return np.ascontiguousarray(prediction.embedding, dtype="<f4").tobytes()
