"""The application: routes, what is around them, and what becomes of errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from veduta import __version__
from veduta.errors import VedutaError
from veduta.images.fetch import Fetcher
from veduta.server import health, models, page, predictions, samples
from veduta.server.house import House
from veduta.server.metrics import Metrics
from veduta.server.middleware import Around, Gate
from veduta.server.problems import ProblemError, problem_of, problem_response
from veduta.server.schema import Problem
from veduta.server.settings import Settings

log = structlog.stdlib.get_logger("veduta.server")

DESCRIPTION = """What place a photo shows: its scene, whether it is indoors, its attributes, and why.

Every error is `application/problem+json` with a stable `code` and a sentence in `detail`."""


def create_app(settings: Settings, *, fetcher: Fetcher | None = None) -> FastAPI:
    """The application of one worker process. ``fetcher`` stands in for the guarded one, in tests.

    Raises UsageError where the API keys can't be read.
    """
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        house = await asyncio.to_thread(House.open, settings, metrics, fetcher)
        app.state.house = house
        warming = asyncio.create_task(house.warm_up())
        try:
            yield
        finally:
            warming.cancel()
            await asyncio.to_thread(house.close)

    app = FastAPI(
        title="Veduta",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        openapi_url="/v1/openapi.json",
        # Their pages load scripts from elsewhere, which this server's policy forbids.
        docs_url=None,
        redoc_url=None,
        # A redirect would be made of whatever Host the client names.
        redirect_slashes=False,
        swagger_ui_oauth2_redirect_url=None,
    )
    for each in (predictions, models, samples, health, page):
        app.include_router(each.router)
    _describe_problems(app)
    _turn_errors_into_problems(app)
    app.add_middleware(Gate, keys=settings.all_keys(), rate=settings.rate_limit, workers=settings.workers)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "x-api-key", "x-request-id"],
            expose_headers=["x-request-id", "retry-after"],
            max_age=3600,
        )
    app.add_middleware(Around, metrics=metrics)
    return app


def _describe_problems(app: FastAPI) -> None:
    """Put the schema of problems among the components, which the routes refer to."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = made()
            schemas = schema.setdefault("components", {}).setdefault("schemas", {})
            schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _turn_errors_into_problems(app: FastAPI) -> None:
    @app.exception_handler(ProblemError)
    async def _problem(request: Request, error: ProblemError) -> Response:
        request.state.told = {"code": error.code}
        return problem_response(error, request.state.request_id)

    @app.exception_handler(VedutaError)
    async def _library(request: Request, error: VedutaError) -> Response:
        return await _problem(request, problem_of(error))

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = [str(part) for part in first["loc"][1:]]
        name = where[0] if where else "the request"
        given = first.get("input")
        shown = f" is {given!r:.100} and" if isinstance(given, str | int | float | bool) else ""
        detail = f"{name}{shown} can't be meant: {str(first['msg'])[:1].lower()}{str(first['msg'])[1:]}."
        return await _problem(request, ProblemError(422, "invalid_parameter", detail))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        if error.status_code == 405:
            allowed = (error.headers or {}).get("Allow", "")
            problem = ProblemError(
                405,
                "method_not_allowed",
                f"{request.method:.20} is not for this page; it takes {allowed or 'another'}.",
            )
            response = await _problem(request, problem)
            response.headers["allow"] = allowed
            return response
        if error.status_code == 404:
            return await _problem(
                request, ProblemError(404, "not_found", "There is nothing here; /v1/openapi.json lists what there is.")
            )
        return await _problem(request, ProblemError(error.status_code, "invalid_request", str(error.detail)))

    @app.exception_handler(ClientDisconnect)
    async def _gone(request: Request, error: ClientDisconnect) -> Response:
        # Nobody reads it; the log says 499.
        return Response(status_code=499)
