"""The page: files that lie beside this one, as they are."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from fastapi import APIRouter, Request
from starlette.responses import Response

from veduta.server.problems import ProblemError

router = APIRouter(include_in_schema=False)

_KINDS = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "svg": "image/svg+xml",
    "png": "image/png",
    "webmanifest": "application/manifest+json",
}


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    kind: str
    etag: str


@router.api_route("/", methods=["GET", "HEAD"])
async def start(request: Request) -> Response:
    """The start page."""
    return _answer(request, "index.html")


@router.api_route("/about", methods=["GET", "HEAD"])
async def about(request: Request) -> Response:
    """What the models are, and their limits."""
    return _answer(request, "about.html")


@router.api_route("/page/{name}", methods=["GET", "HEAD"])
async def file(request: Request, name: str) -> Response:
    """A file of the page."""
    return _answer(request, name)


@router.api_route("/favicon.ico", methods=["GET", "HEAD"])
async def icon(request: Request) -> Response:
    """The icon that browsers ask for unasked."""
    return _answer(request, "favicon.svg")


def _answer(request: Request, name: str) -> Response:
    found = _files().get(name)
    if found is None:
        raise ProblemError(404, "not_found", f"There is no page {name!r:.100} here.")
    # Asked again each time, and answered with 304 where nothing has changed: no page of an older version lingers.
    headers = {"etag": found.etag, "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == found.etag:
        return Response(status_code=304, headers=headers)
    return Response(found.content, media_type=found.kind, headers=headers)


@cache
def _files() -> dict[str, _File]:
    """All files of the page, read once: only what is in this table can be asked for."""
    found = {}
    for each in (files("veduta.server") / "page").iterdir():
        kind = _KINDS.get(each.name.rpartition(".")[2])
        if each.is_file() and kind is not None:
            content = each.read_bytes()
            found[each.name] = _File(content, kind, f'"{hashlib.sha256(content).hexdigest()[:16]}"')
    return found
