"""HTTP as uvicorn and httptools speak it, but for what goes wrong before a request is one: problems, as everywhere."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from veduta.server.problems import MEDIA_TYPE, ProblemError, problem_response, problem_values

#: A connection that has not sent the head of a request by then is closed, so that idle ones do not fill the house.
_HEAD_SECONDS = 15.0


class Protocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, config: Any, server_state: Any, app_state: Any, _loop: Any = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # Uvicorn would answer with plain text.
        self._most_connections, self.limit_concurrency = self.limit_concurrency, None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(_HEAD_SECONDS, self._close_if_silent)
        if self._most_connections is not None and len(self.connections) > self._most_connections:
            self.app = _crowded

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP, or has an address or headers beyond all measure."""
        problem = ProblemError(400, "request_broken", "The request is no HTTP, or its address is too long; shorten it.")
        request_id = uuid.uuid4().hex
        body = problem_values(problem, request_id).model_dump_json(exclude_none=True).encode()
        head = (
            "HTTP/1.1 400 Bad Request\r\n"
            f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\nx-request-id: {request_id}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
        self.transport.close()

    def _close_if_silent(self) -> None:
        if self.cycle is None and not self.transport.is_closing():
            self.transport.close()


async def _crowded(scope: Scope, receive: Receive, send: Send) -> None:
    """The answer to everybody who comes when there are too many connections."""
    problem = ProblemError(503, "queue_full", "There are too many connections; ask again in a second.", retry_after=1)
    response = problem_response(problem, uuid.uuid4().hex)
    response.headers["connection"] = "close"
    await response(scope, receive, send)
