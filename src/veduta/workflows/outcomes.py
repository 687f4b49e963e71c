"""What a model says about the photos of a comparison, how fast, and how that is kept on disk."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veduta.errors import UsageError
from veduta.evaluation.answers import ask
from veduta.evaluation.comparison import Effort, Outcome
from veduta.evaluation.names import match_label
from veduta.evaluation.speed import Speed, measure_speed, measure_whole_way
from veduta.images.pool import DecodePool
from veduta.labels.text_file import listed
from veduta.models.bundle import Bundle
from veduta.models.onnx_file import inspect_onnx
from veduta.recognition.tagger import Tagger
from veduta.whole_file import write_whole
from veduta.workflows.compared_photos import ComparedPhotos

SCHEMA_VERSION = 1

# Numbers of float32 come back as they were.
_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Measuring:
    """How speeds are measured: ``rounds`` of ``seconds`` for the graph, and of at most ``photos`` from their files."""

    rounds: int = 5
    seconds: float = 0.5
    photos: int = 256


@dataclass(frozen=True, slots=True)
class About:
    """What is known of a model before it is asked; see ``Outcome``."""

    name: str
    model: str
    size: int
    recipe: str = ""
    effort: Effort | None = None


def places_of(tagger: Tagger, photos: ComparedPhotos) -> dict[int, int]:
    """The place among the model's labels of each of the set's labels that it knows.

    Raises UsageError where model and set are of different tasks, no label is known to the model, or two labels of a
    set of many labels are one of the model's.
    """
    name, task = tagger.bundle.name, tagger.head.task
    if task != photos.task:
        told = {"single_label": "one label for each photo", "multi_label": "any number of labels"}
        raise UsageError(f"{name} tells {told[task]}, and {photos.name} has {told[photos.task]}; compare one kind.")
    ids = {label.id: place for place, label in enumerate(tagger.labels)}
    found = {}
    for own, label in enumerate(photos.labels):
        place = ids[label] if label in ids else match_label(label, tagger.labels)
        if place is not None:
            found[own] = place
    if not found:
        raise UsageError(
            f"{photos.name}: {listed(photos.labels)} are no labels of {name}; name them as `veduta models info` does."
        )
    if task == "multi_label" and len(set(found.values())) < len(found):
        raise UsageError(f"{photos.name} has two labels that are one of {name}; leave one of them.")
    return found


def judge(
    tagger: Tagger,
    photos: ComparedPhotos,
    pool: DecodePool,
    about: About,
    *,
    measuring: Measuring = Measuring(),
    on_photo: Callable[[int, int], None] = lambda _done, _all: None,
) -> Outcome:
    """Ask a model about all photos of a set whose labels it knows, and measure its speed.

    Raises UsageError as ``places_of``, and where no photo can be read.
    """
    places = places_of(tagger, photos)
    tagger.warm_up()
    asked = [place for place in range(len(photos.samples)) if _known(photos, place, places)]
    samples = [photos.samples[place] for place in asked]
    answers = ask(tagger, samples, pool, lambda done, _failed: on_photo(done, len(samples)))
    if not answers.samples:
        raise UsageError(
            f"{photos.name}: none of its {len(samples):,} photos can be read; {answers.failures[0].message}"
        )
    row_of = {sample.path: place for place, sample in enumerate(photos.samples)}
    rows = np.array([row_of[sample.path] for sample in answers.samples], np.int64)
    size = tagger.preprocessing.sizes[0]
    graph = measure_speed(
        tagger.session, size, [tagger.head.logits], seconds=measuring.seconds, rounds=measuring.rounds
    )
    spread = np.linspace(0, len(samples) - 1, min(measuring.photos, len(samples))).astype(np.int64)
    whole_way = measure_whole_way(tagger, [samples[place] for place in spread], pool, rounds=measuring.rounds)
    single = photos.task == "single_label"
    return Outcome(
        name=about.name,
        data=photos.name,
        task=photos.task,
        model=about.model,
        size=about.size,
        recipe=about.recipe,
        classes=len(tagger.labels),
        unknown=tuple(label for own, label in enumerate(photos.labels) if own not in places),
        failures=len(answers.failures),
        effort=about.effort,
        graph=graph,
        whole_way=whole_way,
        parameters=inspect_onnx(tagger.bundle.graph, tagger.bundle.graph.read_bytes()).parameters,
        disk_bytes=_disk_bytes(tagger.bundle),
        bundle=str(tagger.bundle.path),
        bundle_id=tagger.bundle.bundle_id,
        ranks=_ranks(photos, places, rows, answers.probabilities) if single else None,
        scores=None if single else _scores(photos, places, rows, answers.probabilities),
    )


def keep_outcome(file: Path, key: str, outcome: Outcome) -> None:
    """Write an outcome with the key of what it depends on. Raises OutputError."""
    values = asdict(outcome)
    if outcome.ranks is not None:
        values["ranks"] = outcome.ranks.tolist()
    if outcome.scores is not None:
        values["scores"] = [[_number(value) for value in row] for row in outcome.scores.tolist()]
    told = {"schema_version": SCHEMA_VERSION, "key": key, "outcome": values}
    write_whole(
        file, (json.dumps(told, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8", "backslashreplace")
    )


def kept_outcome(file: Path, key: str) -> Outcome | None:
    """What ``keep_outcome`` wrote; None where there is nothing, something else, or what depends on another key."""
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        if told["schema_version"] != SCHEMA_VERSION or told["key"] != key:
            return None
        values: dict[str, Any] = told["outcome"]
        effort = values["effort"]
        arrays = {
            "ranks": None if values["ranks"] is None else np.array(values["ranks"], np.int64),
            "scores": None if values["scores"] is None else np.array(values["scores"], np.float32),
        }
        return Outcome(
            **(
                values
                | arrays
                | {
                    "unknown": tuple(values["unknown"]),
                    "effort": None if effort is None else Effort(**effort),
                    "graph": Speed(**values["graph"]),
                    "whole_way": Speed(**values["whole_way"]),
                }
            )
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None  # damaged: the cell is done anew


def _known(photos: ComparedPhotos, place: int, places: dict[int, int]) -> bool:
    return photos.task == "multi_label" or int(photos.targets[place]) in places


def _ranks(
    photos: ComparedPhotos, places: dict[int, int], rows: NDArray[np.int64], said: NDArray[np.float32]
) -> NDArray[np.int64]:
    ranks = np.zeros(len(photos.samples), np.int64)
    truth = np.array([places[int(photos.targets[row])] for row in rows], np.int64)
    order = np.argsort(-said, axis=1, kind="stable")
    ranks[rows] = (order == truth[:, None]).argmax(axis=1) + 1
    return ranks


def _scores(
    photos: ComparedPhotos, places: dict[int, int], rows: NDArray[np.int64], said: NDArray[np.float32]
) -> NDArray[np.float32]:
    scores = np.full((len(photos.samples), len(photos.labels)), np.nan, np.float32)
    for own, place in places.items():
        scores[rows, own] = said[:, place]
    return scores


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(f"{value:.{_DIGITS}g}")


def _disk_bytes(bundle: Bundle) -> int:
    return sum(file.stat().st_size for file in bundle.path.iterdir() if file.is_file())
