"""The rows of a job: what the ledger stores, and what a user reads.

A stored row is the same for every path, language and day: no path, no name in words, no clock. A shown row adds the
schema version, the path and the names in the language asked for. docs/jobs.md describes each field.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from veduta.records import Attribute, Environment, Evidence, Facts, Failure, LandmarkAnswer, Prediction, Score

SCHEMA_VERSION = 1

# json.dumps with these settings would build an encoder for each row, which takes as long as encoding it.
_READABLE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_ASCII = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"))

Row = dict[str, Any]
Ancestors = Callable[[str], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Result:
    """One photo's shown row, and the parts that no row holds: float32 bytes, and encoded pictures for a report."""

    row: Row
    embedding: bytes | None = None
    thumbnail: bytes | None = None
    overlay: bytes | None = None


@dataclass(frozen=True, slots=True)
class Names:
    """Names in the ``language`` of the output: ``label(model, id)``, ``attribute(model, id)`` and ``coarse(id)``.

    A landmark brings its own.
    """

    label: Callable[[str, str], str]
    attribute: Callable[[str, str], str]
    coarse: Callable[[str], str]
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Layout:
    """What a table with fixed columns must know before its first row.

    ``models`` are the names under which models answer, in order; with one of them its fields stand at the top of the
    row. ``top_k`` is the number of scores in a row, and ``attributes`` whether a model tells any; ``landmarks`` whether
    they are asked for.
    """

    models: tuple[str, ...]
    top_k: int
    attributes: bool = False
    landmarks: bool = False

    @property
    def side_by_side(self) -> bool:
        """Whether several models answer."""
        return len(self.models) > 1


def probability(value: float) -> float:
    """Six digits: what is left of float32 after a softmax, and the same on every machine that agrees so far."""
    return round(float(value), 6)


def facts_values(facts: Facts) -> Row:
    """The photo's own facts; absent ones are left out."""
    values: Row = {"format": facts.format, "width": facts.width, "height": facts.height}
    if facts.taken is not None:
        values["taken"] = facts.taken
    if facts.position is not None:
        values["position"] = [round(float(degrees), 7) for degrees in facts.position]
    values["marks"] = list(facts.marks)
    return values


def score_values(scores: Sequence[Score]) -> list[Row]:
    """Ids and probabilities, in the order given."""
    return [{"id": score.label.id, "probability": probability(score.probability)} for score in scores]


def attribute_values(attributes: Sequence[Attribute]) -> list[Row]:
    """Ids, probabilities and what these rest on, in the order given."""
    return [
        {"id": each.label.id, "probability": probability(each.probability), "source": each.source}
        for each in attributes
    ]


def coarse_values(scores: Sequence[Score], ancestors: Ancestors) -> list[Row]:
    """Coarse labels with the coarser ones above each."""
    return [{**values, "ancestors": list(ancestors(values["id"]))} for values in score_values(scores)]


def environment_values(environment: Environment) -> Row:
    """Indoor or outdoor, both ways of reading it, and the margin."""
    return {
        "kind": environment.kind,
        "outdoor_probability": probability(environment.outdoor_probability),
        "outdoor_vote": probability(environment.outdoor_vote),
        "margin": probability(environment.margin),
    }


def evidence_values(evidence: Evidence) -> Row:
    """How much the photo looks like what the model knows, with the verdict."""
    values: Row = {
        "value": probability(evidence.value),
        "threshold": probability(evidence.threshold),
        "fits": evidence.fits,
    }
    if evidence.reason is not None:
        values["reason"] = evidence.reason
    return values


def prediction_values(prediction: Prediction, ancestors: Ancestors) -> Row:
    """What one model says, without the facts of the photo; parts that are absent are left out."""
    values: Row = {
        "crop": [round(float(edge), 2) for edge in prediction.crop],
        "scores": score_values(prediction.scores),
    }
    if prediction.coarse is not None:
        values["coarse"] = coarse_values(prediction.coarse, ancestors)
    if prediction.environment is not None:
        values["environment"] = environment_values(prediction.environment)
    if prediction.attributes is not None:
        values["attributes"] = attribute_values(prediction.attributes)
    if prediction.evidence is not None:
        values["evidence"] = evidence_values(prediction.evidence)
    values["model"] = prediction.model
    values["bundle_id"] = prediction.bundle_id
    values["precision"] = prediction.precision
    values["calibrated"] = prediction.calibrated
    return values


def landmark_values(answer: LandmarkAnswer) -> Row:
    """Which landmark, or none and why, with what that rests on."""
    values: Row = {"id": None if answer.landmark is None else answer.landmark.id}
    if answer.reason is not None:
        values["reason"] = answer.reason
    if answer.margin is not None:
        values["margin"] = probability(answer.margin)
    values["candidates"] = []
    for each in answer.candidates:
        candidate: Row = {"id": each.landmark.id, "name": each.landmark.name}
        if each.landmark.names:
            candidate["names"] = dict(each.landmark.names)
        if each.landmark.city is not None:
            candidate["city"] = each.landmark.city
        if each.landmark.position is not None:
            candidate["position"] = [round(degrees, 7) for degrees in each.landmark.position]
        candidate |= {"similarity": probability(each.similarity), "threshold": probability(each.threshold)}
        if each.rejection is not None:
            candidate |= {"rejection": each.rejection, "reason": each.reason}
        values["candidates"].append(candidate)
    values["references"] = [{"path": each.id, "similarity": probability(each.similarity)} for each in answer.references]
    values["index"] = answer.index
    return values


def stored_row(facts: Facts, answers: Mapping[str, Row], combined: Row | None, landmark: Row | None = None) -> Row:
    """The row that the ledger keeps: the one answer at the top, or several side by side and what they say together."""
    row: Row = {"facts": facts_values(facts)}
    if len(answers) == 1:
        row |= next(iter(answers.values()))
    else:
        row["models"] = dict(answers)
        if combined is not None:
            row["combined"] = combined
    if landmark is not None:
        row["landmark"] = landmark
    return row


def shown_row(stored: Row, path: str, digest: str, layout: Layout, names: Names) -> Row:
    """The row that a user reads: version, path, digest, and the names of all labels."""
    row: Row = {"schema_version": SCHEMA_VERSION, "path": path, "digest": digest}
    if not layout.side_by_side:
        row |= _named(stored, layout.models[0], names)
    else:
        row["facts"] = stored["facts"]
        row["models"] = {model: _named(answer, model, names) for model, answer in stored["models"].items()}
        if "combined" in stored:
            row["combined"] = _named(stored["combined"], layout.models[0], names)
    if "landmark" in stored:
        row["landmark"] = named_landmark(stored["landmark"], names.language)
    return row


def named_landmark(stored: Row, language: str) -> Row:
    """With names in one language alone; the answer's own name stands beside its id."""
    candidates = []
    for each in stored["candidates"]:
        told = dict(each)
        told["name"] = told.pop("names", {}).get(language, told["name"])
        candidates.append(told)
    name = next((each["name"] for each in candidates if each["id"] == stored["id"]), None)
    return {"id": stored["id"], "name": name, **stored, "candidates": candidates}


def failure_row(failure: Failure) -> Row:
    """The row of a photo that got no answer."""
    return {
        "schema_version": SCHEMA_VERSION,
        "path": failure.path,
        "error": failure.error,
        "message": failure.message,
    }


def fits(row: Row) -> bool:
    """Whether any model found that one of its labels fits; a model without evidence always does."""
    answers = row["models"].values() if "models" in row else [row]
    return any(answer.get("evidence", {}).get("fits", True) for answer in answers)


def compact_json(row: Row) -> str:
    """One line of ASCII, without spaces."""
    return _ASCII.encode(row)


def json_line(row: Row) -> bytes:
    """One line of JSON in UTF-8, with its line feed.

    Letters of all scripts stand as they are. A row that has half a surrogate pair (a file name that is no Unicode) or
    a character that some readers take for the end of a line is written in ASCII, with ``\\u`` escapes that every JSON
    reader turns back.
    """
    line = _READABLE.encode(row)
    if not line.isascii():
        try:
            if len(line.splitlines()) == 1:
                return line.encode() + b"\n"
        except UnicodeEncodeError:
            pass
        line = compact_json(row)
    return line.encode() + b"\n"


def _named(answer: Row, model: str, names: Names) -> Row:
    named = dict(answer)
    if "scores" in named:
        named["scores"] = [
            {"id": score["id"], "name": names.label(model, score["id"]), "probability": score["probability"]}
            for score in named["scores"]
        ]
    if "attributes" in named:
        named["attributes"] = [
            {
                "id": each["id"],
                "name": names.attribute(model, each["id"]),
                "probability": each["probability"],
                "source": each["source"],
            }
            for each in named["attributes"]
        ]
    if "coarse" in named:
        named["coarse"] = [
            {
                "id": score["id"],
                "name": names.coarse(score["id"]),
                "probability": score["probability"],
                "ancestors": score["ancestors"],
            }
            for score in named["coarse"]
        ]
    return named
