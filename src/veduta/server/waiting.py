"""Waiting for an answer for as long as its client does, and no longer than the server allows."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from veduta.server.problems import ProblemError

T = TypeVar("T")


async def while_connected(request: Request, work: Coroutine[Any, Any, T], seconds: float) -> T:
    """The result of ``work``, which is cancelled where the client hangs up or ``seconds`` have passed.

    The body of the request must have been read. Raises ClientDisconnect, or ProblemError where it took too long.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        done, _ = await asyncio.wait({task, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if task in done:
            return task.result()
        if gone in done:
            raise ClientDisconnect
        raise ProblemError(
            503, "answer_too_slow", f"The answer took longer than {seconds:g} seconds; ask again.", retry_after=5
        )
    finally:
        task.cancel()
        gone.cancel()


async def _disconnected(request: Request) -> None:
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            return
