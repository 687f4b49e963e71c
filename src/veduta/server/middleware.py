"""Around every request: its id, its line in the log, its figures, its headers; and who may ask, and how often.

Plain ASGI, since Starlette's ``BaseHTTPMiddleware`` would hide from the routes that a client has hung up.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
import uuid
from collections.abc import Sequence

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from veduta.images.limits import printable
from veduta.server.metrics import Metrics
from veduta.server.problems import ProblemError, problem_response
from veduta.server.rate import Rate, RateLimiter, client_of

log = structlog.stdlib.get_logger("veduta.request")

#: What the page needs, and nothing else: no other origin, no inline script or style, no frame around it.
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "content-security-policy": CONTENT_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(self), geolocation=(), microphone=(), payment=(), usb=()",
    "cross-origin-opener-policy": "same-origin",
}

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_QUIET = ("/healthz", "/readyz", "/metrics")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Around:
    """The outermost layer: what is the same for every request, and a problem for a fault that nobody caught."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = _request_id(scope)
        scope.setdefault("state", {}).update(request_id=request_id, began=began)
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:
            log.exception("fault", error=type(error).__name__)
            if not status:
                problem = ProblemError(500, "internal", "The server has made a mistake; its log tells more.")
                await problem_response(problem, request_id)(scope, receive, send_with_headers)
        finally:
            self._tell(scope, status, time.perf_counter() - began)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        # 499: the client hung up before there was an answer.
        self._metrics.request(method, _route(scope), status or 499, seconds)
        if scope["path"] in _QUIET and status == 200:
            return
        client = scope.get("client")
        log.info(
            "request",
            method=method,
            path=printable(scope["path"][:200]),
            status=status or 499,
            ms=round(1000 * seconds, 1),
            client=client[0] if client else None,
            **scope["state"].get("told", {}),
        )


class Gate:
    """Who may ask, and how often. The page, its files and the health of the server are open to everybody."""

    def __init__(self, app: ASGIApp, keys: Sequence[str], rate: str | None, workers: int) -> None:
        self._app = app
        self._keys = [hashlib.sha256(key.encode()).digest() for key in keys]
        # Each worker counts for itself, and the system spreads connections over them.
        self._limiter = None if rate is None else RateLimiter(_share(Rate.parse(rate), workers))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_guarded(scope):
            await self._app(scope, receive, send)
            return
        try:
            key = self._checked_key(Headers(scope=scope))
            if scope["method"] == "POST":
                self._count(key or client_of((scope.get("client") or ("unknown",))[0]))
        except ProblemError as problem:
            scope["state"]["told"] = {"code": problem.code}
            await problem_response(problem, scope["state"]["request_id"])(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _checked_key(self, headers: Headers) -> str | None:
        if not self._keys:
            return None
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        given = bearer.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        digest = hashlib.sha256(given.encode("utf-8", "surrogateescape")).digest()
        # Digests are compared, each in the same time, so that the time tells nothing of the keys.
        if not any(hmac.compare_digest(digest, known) for known in self._keys):
            what = "not known" if given else "missing"
            raise ProblemError(
                401, "unauthorized", f"The API key is {what}; send it as the header Authorization: Bearer KEY."
            )
        return digest.hex()

    def _count(self, who: str) -> None:
        if self._limiter is None:
            return
        wait = self._limiter.wait(who)
        if wait:
            raise ProblemError(
                429, "rate_limited", f"That was more than this server answers; ask again in {wait} s.", retry_after=wait
            )


def _share(rate: Rate, workers: int) -> Rate:
    return Rate(max(1, rate.amount // workers), rate.seconds)


def _is_guarded(scope: Scope) -> bool:
    path = scope["path"]
    # A picture on a page can't send a key with its request, and the samples are no secret.
    is_open = path.startswith("/v1/samples") or path == "/v1/openapi.json"
    return path.startswith("/v1/") and not is_open


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _route(scope: Scope) -> str:
    """The template of the route, since paths of strangers would make a figure each."""
    route = scope.get("route")
    return getattr(route, "path", None) or "other"
