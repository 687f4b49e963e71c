"""Requests to one server, and what comes back: the whole body under limits of bytes and time, or an ApiError."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from importlib.metadata import version
from random import uniform
from time import sleep

import httpcore2
import httpx2

from veduta.client.deadline import TimedNetwork
from veduta.client.messages import Question, Reply
from veduta.client.values import one_line
from veduta.errors import ApiError
from veduta.retry_after import retry_after

MOST_BYTES = 64_000_000
_KEPT_CONNECTIONS = 32
# Servers close an idle connection after some five seconds; it should be closed here first.
_KEPT_SECONDS = 3.0
_FIRST_PAUSE = 0.5
_SPREAD = 1.0
_BUSY = (429, 503)


class _BrokenOff(Exception):
    """The connection ended before the answer did; asking again is harmless, because no answer changes anything."""


class Transport:
    """The connections to a server. Thread-safe.

    Nothing is read from the environment, and no redirect is followed: the key goes to this server or nowhere.
    """

    def __init__(self, address: str, *, api_key: str | None, timeout: float, retries: int, longest_wait: float) -> None:
        self._address = address
        self._timeout = timeout
        self._retries = retries
        self._longest_wait = longest_wait
        # Plain bytes are asked for, because the limit of bytes is then the limit of memory.
        self._headers = {"User-Agent": f"Veduta/{version('veduta')} (Python client)", "Accept-Encoding": "identity"}
        if api_key is not None:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._network = TimedNetwork()
        self._pool = httpcore2.ConnectionPool(
            ssl_context=httpx2.create_ssl_context(trust_env=False) if address.startswith("https://") else None,
            max_connections=None,
            max_keepalive_connections=_KEPT_CONNECTIONS,
            keepalive_expiry=_KEPT_SECONDS,
            network_backend=self._network,
        )

    def close(self) -> None:
        """Close the kept connections."""
        self._pool.close()

    def ask(self, question: Question) -> Reply:
        """The reply, whatever its status; a busy server and a broken connection are tried again. Raises ApiError."""
        retries = self._retries if question.patient else 0
        for attempt in range(retries + 1):
            wait: float | None
            try:
                reply = self._exchange(question)
            except _BrokenOff as error:
                if attempt == retries:
                    raise ApiError(f"{self._address} broke off or spoke no HTTP ({error}): try later.") from error
                wait = min(_FIRST_PAUSE * 2 ** min(attempt, 6), self._longest_wait)
            else:
                wait = reply.retry_after if reply.status in _BUSY else None
                if wait is None or wait > self._longest_wait or attempt == retries:
                    return reply
            # Many who were told the same second would otherwise come back at once, and most be sent away again.
            sleep(wait + uniform(0.0, _SPREAD))
        raise AssertionError("the last attempt returns or raises")

    def _exchange(self, question: Question) -> Reply:
        request = self._request(question)
        try:
            with (
                self._network.within(self._timeout),
                self._pool.stream(
                    request.method, str(request.url), headers=request.headers.raw, content=request.read()
                ) as response,
            ):
                return self._read(response)
        except httpcore2.TimeoutException as error:
            raise ApiError(
                f"{self._address} gave no whole answer within {self._timeout:g} seconds: try later, or raise timeout."
            ) from error
        except httpcore2.ConnectError as error:
            raise ApiError(self._unreached(error)) from error
        except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
            raise _BrokenOff(one_line(str(error), 120).rstrip(".") or type(error).__name__) from error

    def _request(self, question: Question) -> httpx2.Request:
        files = [
            (question.file_field, (each.name, each.content, "application/octet-stream")) for each in question.files
        ]
        return httpx2.Request(
            question.method,
            f"{self._address}{question.path}",
            params=httpx2.QueryParams(list(question.query)) if question.query else None,
            headers={**self._headers, "Accept": question.accept},
            data=dict(question.fields) or None,
            files=files or None,
        )

    def _read(self, response: httpcore2.Response) -> Reply:
        headers = httpx2.Headers(response.headers)
        coding = headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("", "identity"):
            raise ApiError(
                f"{self._address} answers packed ({one_line(coding, 40)}), though plain bytes were asked for.",
                status=response.status,
            )
        body = bytearray()
        for chunk in response.iter_stream():
            body += chunk
            if len(body) > MOST_BYTES:
                raise ApiError(
                    f"{self._address} sends more than {MOST_BYTES:,} bytes, and no answer is that long: ask for fewer"
                    " photos or models at once, and check the address.",
                    status=response.status,
                )
        return Reply(
            status=response.status,
            kind=headers.get("content-type", "").partition(";")[0].strip().lower(),
            id=headers.get("x-request-id"),
            retry_after=retry_after(headers.get("retry-after", ""), datetime.now(UTC)),
            location=headers.get("location"),
            body=bytes(body),
        )

    def _unreached(self, error: httpcore2.ConnectError) -> str:
        cause = error.args[0] if error.args else None
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"{self._address} shows no valid certificate ({cause.verify_message}): it may be somebody else's"
                " server, so nothing was asked."
            )
        if isinstance(cause, ssl.SSLError):
            return (
                f"{self._address} can't agree on an encrypted connection ({cause.reason}): is it meant to be http://?"
            )
        reason = one_line(str(error), 120) or type(error).__name__
        return (
            f"No server answers at {self._address} ({reason}): start one with `veduta serve`, or give the address of"
            " yours as url."
        )
