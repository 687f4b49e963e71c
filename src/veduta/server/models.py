"""``GET /v1/models``: what can be asked, and what is known of each model."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from veduta.errors import VedutaError
from veduta.explanation.saliency import explained_head
from veduta.labels.taxonomy import Taxonomy
from veduta.labels.translations import LANGUAGES
from veduta.models.bundle import CARD, GRAPH, Bundle
from veduta.recognition.landmarks.index import LandmarkIndex
from veduta.recognition.tagger_cache import TaggerCache
from veduta.server.answers import named
from veduta.server.catalogue import Known
from veduta.server.house import House
from veduta.server.predictions import InLanguage, problems
from veduta.server.problems import ProblemError
from veduta.server.schema import LabelOut, LandmarksOut, ModelOut, ModelPageOut, ModelsOut

router = APIRouter()

#: A card is a page of text; what is longer is cut.
_MOST_OF_CARD = 200_000


@router.get("/v1/models", summary="Which models are there?", response_model_exclude_none=True, responses=problems(401))
def list_models(request: Request) -> ModelsOut:
    """All models of the store, looked up anew, and the one that answers where none is named."""
    house = House.of(request)
    if house.landmarks is not None:
        # Who asks about a photo is told what is wrong with an index; the list tells what it last was.
        with suppress(VedutaError):
            house.landmarks.refresh_now()
    models = [ModelOut(**_values(known, house.cache)) for known in house.catalogue.models()]
    return ModelsOut(
        default=house.catalogue.default,
        languages=list(LANGUAGES),
        max_upload_bytes=house.settings.max_upload_bytes,
        models=models,
        landmarks=None if house.landmarks is None else _landmarks(house.landmarks.index),
    )


@router.get(
    "/v1/models/{name}",
    summary="What is this model?",
    response_model_exclude_none=True,
    responses=problems(401, 404, 422, 500),
)
def show_model(
    request: Request, name: Annotated[str, Path(max_length=64)], language: InLanguage = "en"
) -> ModelPageOut:
    """One model with its card and all its labels."""
    house = House.of(request)
    known = house.catalogue.find(name)
    if known.bundle is None:
        raise ProblemError(500, "model_unusable", known.problem or f"{name} can't be used.")
    labels = Taxonomy.load().apply(explained_head(known.bundle).labels)
    all_labels = [
        LabelOut(**named(label, language), environment=label.environment, coarse=label.coarse) for label in labels
    ]
    return ModelPageOut(**_values(known, house.cache), card=_card(known.bundle), all_labels=all_labels)


def _landmarks(index: LandmarkIndex) -> LandmarksOut:
    return LandmarksOut(
        index=index.name,
        landmarks=len(index),
        model=index.embedding.model,
        false_alarms=index.thresholds.false_alarms,
        judged_on=index.thresholds.judged_on,
    )


def _values(known: Known, cache: TaggerCache) -> dict[str, Any]:
    values: dict[str, Any] = {
        "name": known.name,
        "place": known.installed.place,
        "loaded": cache.is_loaded(known.name),
        "problem": known.problem,
    }
    bundle = known.bundle
    if bundle is None:
        return values
    head = bundle.heads[0]
    return values | {
        "bundle_id": bundle.bundle_id,
        "task": head.task,
        "labels": len(head.labels),
        "calibrated": head.temperature is not None,
        "heatmaps": "class maps" if head.class_maps else "occlusion",
        "attributes": bundle.attributes is not None or any(each.task == "multi_label" for each in bundle.heads[1:]),
        "evidence": bundle.evidence is not None,
        "megabytes": _megabytes(bundle),
        "architecture": bundle.architecture,
        "license": bundle.license,
        "metrics": [
            {
                "name": each.name,
                "value": each.value,
                "data": each.data,
                "count": each.count,
                "interval": each.interval,
            }
            for each in bundle.metrics
        ],
    }


def _megabytes(bundle: Bundle) -> float | None:
    try:
        return round((bundle.path / GRAPH).stat().st_size / 2**20, 1)
    except OSError:
        return None


def _card(bundle: Bundle) -> str:
    try:
        with (bundle.path / CARD).open(encoding="utf-8", errors="replace") as file:
            return file.read(_MOST_OF_CARD)
    except OSError:
        return ""
