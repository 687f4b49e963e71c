"""Whether the server lives and is ready, and its figures."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from veduta.server.house import House
from veduta.server.metrics import CONTENT_TYPE
from veduta.server.predictions import problems
from veduta.server.problems import ProblemError
from veduta.server.schema import Health

router = APIRouter()


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", summary="Does the server live?", response_model_exclude_none=True)
async def healthz() -> Health:
    """Answers for as long as the event loop turns, whatever models load or photos wait."""
    return Health(status="ok")


@router.head("/readyz", include_in_schema=False)
@router.get(
    "/readyz",
    summary="Should photos be sent here?",
    responses={503: {"model": Health, "description": "Not yet, or no more"}},
)
async def readyz(request: Request) -> Response:
    """Not before the default model is in memory, and not without decoding processes."""
    house = House.of(request)
    lacking = None
    if not house.ready:
        lacking = "the default model is not loaded yet"
    elif not house.decoders.processes:
        lacking = "no decoding process lives"
    if lacking is None:
        return JSONResponse({"status": "ok"})
    return JSONResponse({"status": "not ready", "detail": lacking}, 503)


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus's text format"}, **problems(404)},
)
def metrics(request: Request) -> Response:
    """Requests, seconds, photos in the house, models in memory, of all workers."""
    house = House.of(request)
    if not house.settings.metrics:
        raise ProblemError(404, "not_found", "There is nothing at /metrics; its setting switches it off.")
    return Response(house.metrics.text(), media_type=CONTENT_TYPE)
