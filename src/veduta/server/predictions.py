"""``POST /v1/predictions`` and its batch."""

from __future__ import annotations

import asyncio
import io
import json
import time
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from veduta.jobs.rows import Row
from veduta.server.answering import Answering, Asked
from veduta.server.house import House
from veduta.server.problems import MEDIA_TYPE, ProblemError, problem_values
from veduta.server.schema import AnswerOut, BatchOut, Problem
from veduta.server.uploads import PhotoSource, photo_of, photos_of
from veduta.server.waiting import while_connected

router = APIRouter()

_HEADERS = {"vary": "accept", "cache-control": "no-store"}

Language = Literal["en", "de", "ru", "pt", "zh"]

Models = Annotated[
    list[Annotated[str, Query(max_length=300)]] | None,
    Query(max_length=16, description="names, repeated or with commas, or `all`; the default model where absent"),
]
TopK = Annotated[int, Query(ge=1, le=100, description="how many labels to tell")]
HeatMap = Annotated[bool, Query(description="where the most probable label of each model comes from")]
Explain = Annotated[
    list[Annotated[str, Query(max_length=100)]] | None,
    Query(max_length=10, description="ids of labels to explain instead; implies `heatmap`"),
]
Attributes = Annotated[bool, Query(description="attributes of the place, from models that tell any")]
Preview = Annotated[bool, Query(description="a picture of the upright photo, at most 1024 pixels long")]
AskLandmarks = Annotated[
    bool, Query(description="which landmark the photo shows, or none, where the server has an index")
]
InLanguage = Annotated[Language, Query(description="the language of names; ids are the same in all")]


async def _asked(
    request: Request,
    models: Models = None,
    top_k: TopK = 5,
    heatmap: HeatMap = False,
    explain: Explain = None,
    attributes: Attributes = True,
    preview: Preview = False,
    landmarks: AskLandmarks = False,
    language: InLanguage = "en",
) -> Asked:
    """The query of a request; raises ProblemError for a model that is not there."""
    chosen = tuple(House.of(request).catalogue.chosen(models or ()))
    return Asked(chosen, top_k, heatmap, tuple(dict.fromkeys(explain or ())), attributes, preview, landmarks, language)


Question = Annotated[Asked, Depends(_asked)]

_PHOTO_FIELDS: dict[str, Any] = {
    "url": {"type": "string", "description": "a public http or https address of a photo"},
    "sample": {"type": "string", "description": "the id of a sample picture"},
}
_FILE: dict[str, Any] = {
    "type": "string",
    "format": "binary",
    "contentMediaType": "application/octet-stream",
    "description": "the photo",
}


def _one_of(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": fields,
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }


_ONE_PHOTO = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": _one_of({"file": _FILE, **_PHOTO_FIELDS})},
            "application/x-www-form-urlencoded": {"schema": _one_of(_PHOTO_FIELDS)},
        },
    }
}
_MANY_PHOTOS = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "files": {"type": "array", "items": _FILE},
                        "file": {"type": "array", "items": _FILE},
                        "url": {"type": "array", "items": _PHOTO_FIELDS["url"]},
                        "sample": {"type": "array", "items": _PHOTO_FIELDS["sample"]},
                    },
                    "additionalProperties": False,
                    "minProperties": 1,
                }
            }
        },
    }
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documented problems of a route."""
    schema = {"$ref": f"#/components/schemas/{Problem.__name__}"}
    return {
        status: {"description": _MEANINGS[status], "content": {MEDIA_TYPE: {"schema": schema}}} for status in statuses
    }


_MEANINGS = {
    400: "The form can't be used",
    401: "A key is needed",
    403: "Switched off",
    404: "No such model or sample",
    406: "That can't be drawn",
    408: "The upload took too long",
    413: "Too large",
    415: "No form, or a format that is not supported",
    422: "A parameter or the photo can't be used",
    429: "Too many requests; Retry-After says when to come back",
    500: "The model can't be used",
    503: "Busy; Retry-After says when to come back",
}
_ALL = (400, 401, 403, 404, 406, 408, 413, 415, 422, 429, 500, 503)


@router.post(
    "/v1/predictions",
    summary="What place does a photo show?",
    response_class=Response,
    responses={
        200: {
            "model": AnswerOut,
            "description": "What the models say; with `Accept: image/png` a bar graph of one model's answer",
            "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
        },
        **problems(*_ALL),
    },
    openapi_extra=_ONE_PHOTO,
)
async def predict(request: Request, asked: Question) -> Response:
    """The body is a form with exactly one of `file`, `url` and `sample`."""
    house = House.of(request)
    drawn = _wants_picture(request)
    if drawn and len(asked.models) > 1:
        raise ProblemError(406, "not_acceptable", "A bar graph shows one model; name one, or ask for JSON.")
    async with photo_of(request, house.settings, house.places) as source:
        with house.places.place():
            if drawn:
                work = _draw(house.answering, source, asked)
                return await while_connected(request, work, house.settings.answer_seconds)
            answer = house.answering.answer(source, asked, _id(request), request.state.began)
            values = await while_connected(request, answer, house.settings.answer_seconds)
    _tell(request, values)
    return _json(values)


@router.post(
    "/v1/predictions/batch",
    summary="What places do several photos show?",
    response_class=Response,
    responses={
        200: {"model": BatchOut, "description": "An answer or a problem for each photo, in order"},
        **problems(*(status for status in _ALL if status != 406)),
    },
    openapi_extra=_MANY_PHOTOS,
)
async def predict_batch(request: Request, asked: Question) -> Response:
    """The body is a form with several files, each in a field `files` (or `file`); `url` and `sample` count as well."""
    house = House.of(request)
    async with photos_of(request, house.settings, house.places) as sources:
        with house.places.place():
            work = _answer_all(house, sources, asked, _id(request))
            results = await while_connected(request, work, house.settings.answer_seconds * len(sources))
    request.state.told = {"photos": len(results), "models": [model.name for model in asked.models]}
    # With heat maps and pictures of many photos it is some megabytes.
    return await asyncio.to_thread(_json, {"id": _id(request), "results": results})


async def _answer_all(
    house: House, sources: list[PhotoSource | ProblemError], asked: Asked, request_id: str
) -> list[Row]:
    """All photos of a batch; those of all batches together take turns, so that single photos are served as well."""

    async def one(place: int, source: PhotoSource | ProblemError) -> Row:
        name = f"photo {place + 1}"
        problem: ProblemError
        if isinstance(source, ProblemError):
            problem = source
        else:
            name = source.name or source.url or source.sample or name
            async with house.batch_room:
                try:
                    answer = await house.answering.answer(source, asked, request_id, time.perf_counter())
                    return {"name": name, "answer": answer}
                except ProblemError as error:
                    problem = error
        return {"name": name, "problem": problem_values(problem, request_id).model_dump(exclude_none=True)}

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(place, source)) for place, source in enumerate(sources)]
    return [task.result() for task in tasks]


async def _draw(answering: Answering, source: PhotoSource, asked: Asked) -> Response:
    """The bar graph of one model's answer, as ``veduta.reports.bars`` draws it."""
    prediction = await answering.predict(source, asked)

    def encoded() -> bytes:
        from veduta.reports import bars

        buffer = io.BytesIO()
        bars(prediction, asked.language).save(buffer, "PNG")
        return buffer.getvalue()

    return Response(
        await asyncio.to_thread(encoded),
        media_type="image/png",
        headers=_HEADERS,
    )


def _wants_picture(request: Request) -> bool:
    """Whether PNG goes before JSON in the Accept header; who takes anything gets JSON."""
    weights: dict[str, float] = {}
    for part in request.headers.get("accept", "").split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = float(parameter[2:])
                except ValueError:
                    weight = 0.0
        weights[kind] = weight
    png = weights.get("image/png", 0.0)
    return png > 0 and png > weights.get("application/json", weights.get("*/*", 0.0) - 1e-9)


def _tell(request: Request, values: Row) -> None:
    """What the log says of the answer beside its status; nothing of the photo's content or name."""
    request.state.told = {
        "models": [each["model"]["name"] for each in values["predictions"]],
        "failed": [each["model"] for each in values["failures"]],
        "timings": values["timings"],
    }


def _id(request: Request) -> str:
    return cast(str, request.state.request_id)


def _json(values: Row) -> Response:
    # The answers are built to the schema, and tests hold them against it: to check each again would take as long as
    # to make it.
    body = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return Response(
        body.encode("utf-8", "backslashreplace"),
        media_type="application/json",
        headers=_HEADERS,
    )
