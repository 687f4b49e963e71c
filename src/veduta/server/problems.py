"""The one table from errors to HTTP statuses and stable codes; ``docs/api.md`` shows it to users."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from veduta.errors import (
    BundleBusy,
    BundleError,
    BundleNotFound,
    BundleTooLarge,
    CorruptPhoto,
    DecoderDied,
    FetchError,
    FetchRefused,
    FetchTooLarge,
    FetchTooSlow,
    LandmarkIndexError,
    MissingExtra,
    NoAnswer,
    NoDecoder,
    PhotoError,
    PhotoTooLarge,
    PhotoTooSlow,
    TaxonomyError,
    UnsupportedFormat,
    UsageError,
    VedutaError,
)
from veduta.server.schema import Problem

MEDIA_TYPE = "application/problem+json"

#: What the library raises while it answers. A photo's fault is the sender's (4xx), a model's is the server's (5xx).
STATUSES: dict[type[VedutaError], tuple[int, str]] = {
    PhotoError: (422, "photo_unreadable"),
    UnsupportedFormat: (415, "unsupported_format"),
    CorruptPhoto: (422, "photo_corrupt"),
    PhotoTooLarge: (413, "photo_too_large"),
    PhotoTooSlow: (422, "photo_too_slow"),
    DecoderDied: (422, "photo_unreadable"),
    NoDecoder: (503, "decoders_down"),
    NoAnswer: (500, "model_gives_no_answer"),
    UsageError: (422, "invalid_request"),
    MissingExtra: (415, "unsupported_format"),
    BundleError: (500, "model_unusable"),
    BundleNotFound: (404, "unknown_model"),
    BundleBusy: (503, "model_busy"),
    BundleTooLarge: (500, "model_too_large"),
    LandmarkIndexError: (500, "landmarks_unusable"),
    TaxonomyError: (500, "model_unusable"),
    FetchError: (422, "url_failed"),
    FetchRefused: (422, "url_refused"),
    FetchTooLarge: (422, "url_too_large"),
    FetchTooSlow: (422, "url_too_slow"),
}

TITLES: dict[str, str] = {
    "photo_unreadable": "The photo can't be read",
    "unsupported_format": "The format is not supported",
    "photo_corrupt": "The photo is broken",
    "photo_too_large": "The photo is too large",
    "photo_too_slow": "The photo takes too long to decode",
    "photo_missing": "There is no photo",
    "photo_ambiguous": "There is more than one photo",
    "photo_empty": "The file is empty",
    "upload_too_slow": "The upload took too long",
    "unsupported_media_type": "The body is no form",
    "request_broken": "The request is no HTTP",
    "form_broken": "The form can't be read",
    "model_gives_no_answer": "The model gives no answer",
    "model_unusable": "The model can't be used",
    "model_busy": "The model is not in memory yet",
    "model_too_large": "The model is too large for the server",
    "landmarks_unusable": "The index of landmarks can't be used",
    "no_landmarks": "This server names no landmarks",
    "decoders_down": "The server can't decode photos",
    "unknown_model": "There is no such model",
    "unknown_sample": "There is no such sample",
    "unknown_label": "There is no such label",
    "invalid_request": "The request can't be meant",
    "invalid_parameter": "A parameter can't be meant",
    "url_failed": "The address gave no photo",
    "url_refused": "The address is not allowed",
    "url_too_large": "The address gives too much",
    "url_too_slow": "The address is too slow",
    "urls_off": "Photos by address are switched off",
    "not_acceptable": "That can't be drawn",
    "not_found": "There is no such page",
    "method_not_allowed": "The page does not take that method",
    "unauthorized": "A key is needed",
    "rate_limited": "Too many requests",
    "queue_full": "The server is busy",
    "answer_too_slow": "The answer took too long",
    "storage_full": "The server has no room",
    "internal": "A fault of the server",
}


class ProblemError(Exception):
    """A request that can't be answered, as the client will read it."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        choices: Sequence[str] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.choices = None if choices is None else list(choices)
        self.retry_after = retry_after


def problem_of(error: VedutaError) -> ProblemError:
    """The problem that an error of the library is to a client, by the nearest class in the table."""
    for kind in type(error).__mro__:
        if kind in STATUSES:
            status, code = STATUSES[kind]
            return ProblemError(status, code, _for_senders(error), retry_after=2 if status == 503 else None)
    return ProblemError(500, "internal", "The server has made a mistake; its log tells more.")


#: What a sender can do, in place of the advice that only who runs the server could follow.
_ADVICE: dict[type[VedutaError], str] = {
    PhotoTooLarge: "send a smaller photo",
    PhotoTooSlow: "save the photo anew and send that",
    UnsupportedFormat: "send another photo, or save this one as JPEG",
    FetchError: "send the photo itself, or another address",
}
#: In place of sentences that tell of the server's own machine and network, such as the address behind a name.
_INSTEAD: dict[type[VedutaError], str] = {
    NoDecoder: "No process that decodes photos starts here; the server's log tells why, ask again later.",
    FetchRefused: "The address is not allowed: it must be http or https, and lead to a public place.",
    FetchTooLarge: "The address gives more than the server takes; send a smaller photo.",
    FetchTooSlow: "The address gave no photo in time; send the photo itself.",
}


def _for_senders(error: VedutaError) -> str:
    for kind in type(error).__mro__:
        if kind in _INSTEAD:
            return _INSTEAD[kind]
        if kind in _ADVICE:
            what = str(error).rpartition("; ")[0] or str(error).rstrip(".")
            return f"{what}; {_ADVICE[kind]}."
    return str(error)


def problem_values(problem: ProblemError, request_id: str) -> Problem:
    """The body of a problem (RFC 9457)."""
    return Problem(
        type=f"urn:veduta:problem:{problem.code}",
        title=TITLES[problem.code],
        status=problem.status,
        detail=problem.detail,
        code=problem.code,
        id=request_id,
        choices=problem.choices,
    )


def problem_response(problem: ProblemError, request_id: str) -> Response:
    """The whole response, with Retry-After where it is worth to come back."""
    headers = {"cache-control": "no-store"}
    if problem.retry_after is not None:
        headers["retry-after"] = str(problem.retry_after)
    if problem.status == 401:
        headers["www-authenticate"] = "Bearer"
    body = problem_values(problem, request_id).model_dump_json(exclude_none=True)
    return Response(body, problem.status, headers, MEDIA_TYPE)
