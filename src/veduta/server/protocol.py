"""HTTP as uvicorn and httptools speak it, but for what goes wrong around requests: deadlines, limits, and problems.

Uvicorn bounds neither how long a head may take, nor how large it is, nor how long it waits for a client that sends the
rest of a refused body, or reads nothing of an answer. Each would hold a connection, or memory, for ever.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from veduta.server.problems import MEDIA_TYPE, ProblemError, problem_response, problem_values

#: From the first byte of a request, or from the connection, to the end of its head.
HEAD_SECONDS = 15.0
#: Bytes of a request's line and headers.
MOST_HEAD_BYTES = 64 * 2**10
#: After an answer: how long the rest of the request may still come, and the answer wait to be taken.
LINGER_SECONDS = 60.0

_BROKEN = "The request is no HTTP, or its address and headers are too long; shorten them."


class Protocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, config: Any, server_state: Any, app_state: Any, _loop: Any = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # Uvicorn would answer with plain text.
        self._most_connections, self.limit_concurrency = self.limit_concurrency, None
        self._head_ends: asyncio.TimerHandle | None = None
        self._lingers: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._in_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()
        if self._most_connections is not None and len(self.connections) > self._most_connections:
            self.app = _Crowded(self.app)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for timer in (self._head_ends, self._lingers):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        between = not self._in_body and (self.cycle is None or self.cycle.response_complete)
        if between and self._head_ends is None:
            self._await_head()
        super().data_received(data)
        if self._head_ends is not None and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self.send_400_response(_BROKEN)

    def on_headers_complete(self) -> None:
        self._in_body = True
        if self._head_ends is not None:
            self._head_ends.cancel()
            self._head_ends = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_body or self.transport.get_write_buffer_size():
            self._lingers = self.loop.call_later(LINGER_SECONDS, self._end_if_stuck, self.cycle)

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP, or has an address or headers beyond all measure."""
        request_id = uuid.uuid4().hex
        problem = ProblemError(400, "request_broken", _BROKEN)
        body = problem_values(problem, request_id).model_dump_json(exclude_none=True).encode()
        head = (
            "HTTP/1.1 400 Bad Request\r\n"
            f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\nx-request-id: {request_id}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
        self.transport.close()

    def _await_head(self) -> None:
        self._head_bytes = 0
        self._head_ends = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _end_if_stuck(self, cycle: object) -> None:
        """Nothing else has happened since: the answer was not taken, or the body never came to its end."""
        if self.cycle is cycle and (self._in_body or self.transport.get_write_buffer_size()):
            self.transport.abort()


class _Crowded:
    """What everybody gets who comes when there are too many connections; but for health, which is well."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == "/healthz":
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        detail = "There are too many connections; ask again in a second."
        response = problem_response(ProblemError(503, "queue_full", detail, retry_after=1), request_id)
        response.headers["connection"] = "close"
        response.headers["x-request-id"] = request_id
        await response(scope, receive, send)
