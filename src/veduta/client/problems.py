"""Replies that are no answers, as an ApiError with a sentence."""

from __future__ import annotations

from veduta.client.messages import Reply
from veduta.client.values import Unexpected, one_line, parse
from veduta.errors import ApiError

PROBLEM = "application/problem+json"


def problem(reply: Reply, address: str) -> ApiError:
    """The error for a reply with a status other than 200: the server's own sentence, where it speaks the API."""
    try:
        if reply.kind != PROBLEM:
            raise Unexpected
        told = parse(reply.body)
        return ApiError(
            one_line(told.text("detail")),
            status=reply.status,
            code=one_line(told.text("code"), 100),
            choices=tuple(map(one_line, told.texts("choices"))) if told.values.get("choices") is not None else (),
            id=one_line(told.text("id"), 200),
            retry_after=reply.retry_after,
        )
    except Unexpected:
        return _stranger(reply, address)


def nonsense(reply: Reply, address: str, what: str) -> ApiError:
    """The error for a reply of status 200 that is none of the API's answers."""
    return ApiError(
        f"{address} answers something else than Veduta's API: {what}. Check the address, and that server and client are"
        " of the same version.",
        status=reply.status,
        id=None if reply.id is None else one_line(reply.id, 200),
    )


def _stranger(reply: Reply, address: str) -> ApiError:
    if 300 <= reply.status < 400:
        where = f" to {one_line(reply.location, 200)}" if reply.location else ""
        sentence = (
            f"{address} redirects{where}, which is not followed, for your key would go along: give the address where"
            " the server really is."
        )
    else:
        kind = one_line(reply.kind, 60) or "nothing"
        sentence = (
            f"{address} answers with status {reply.status}, and not as Veduta's API would ({kind}): check the address,"
            " and what stands in front of the server."
        )
    return ApiError(sentence, status=reply.status, retry_after=reply.retry_after)
