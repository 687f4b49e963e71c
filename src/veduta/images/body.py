"""The body of an answer, decoded under a limit: a small gzip file can hold gigabytes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from veduta.errors import FetchFailed, FetchTooLarge
from veduta.images.exchange import Answer, check_length
from veduta.images.fetch_limits import FetchLimits

_GZIP = 16 + zlib.MAX_WBITS


def whole_body(answer: Answer, limits: FetchLimits) -> bytes:
    """All bytes, as they were before any content coding. Raises FetchTooLarge, FetchFailed."""
    check_length(answer, limits.received_bytes)
    if not answer.end_is_marked:
        raise FetchFailed(
            f"{answer.address.shown} does not tell how long it is, so a cut would not be noticed: take it from another"
            " address."
        )
    body = bytearray()
    for piece in _decoded(answer, _counted(answer, limits), limits):
        body += piece
        if len(body) > limits.decoded_bytes:
            raise FetchTooLarge(
                f"{answer.address.shown} unpacks to more than {limits.decoded_bytes:,} bytes: raise decoded_bytes if"
                " that is meant."
            )
    return bytes(body)


def check_identity(answer: Answer) -> None:
    """Refuse a content coding, which was not asked for. Raises FetchFailed."""
    coding = _coding(answer)
    if coding:
        raise FetchFailed(
            f"{answer.address.shown} is sent packed as {coding[:40]!a}, though plain bytes were asked for: it can't be"
            " downloaded in parts."
        )


def _coding(answer: Answer) -> str:
    coding = answer.headers.get("content-encoding", "").strip().lower()
    return "" if coding == "identity" else coding


def _counted(answer: Answer, limits: FetchLimits) -> Iterator[bytes]:
    received = 0
    for chunk in answer.chunks:
        received += len(chunk)
        if received > limits.received_bytes:
            raise FetchTooLarge(
                f"{answer.address.shown} sends more than {limits.received_bytes:,} bytes: raise received_bytes if that"
                " is meant."
            )
        yield chunk


def _decoded(answer: Answer, chunks: Iterator[bytes], limits: FetchLimits) -> Iterator[bytes]:
    match _coding(answer):
        case "":
            yield from chunks
        case "gzip" | "x-gzip":
            yield from _inflated(answer, chunks, _GZIP, limits)
        case "deflate":
            yield from _inflated(answer, chunks, None, limits)
        case coding:
            raise FetchFailed(
                f"{answer.address.shown} is sent packed as {coding[:40]!a}, though plain bytes were asked for."
            )


def _inflated(answer: Answer, chunks: Iterator[bytes], bits: int | None, limits: FetchLimits) -> Iterator[bytes]:
    """gzip, or with ``bits`` None what servers call deflate: zlib's format by the standard, often the bare stream."""
    inflater = None if bits is None else zlib.decompressobj(bits)
    step = min(limits.decoded_bytes + 1, 1 << 20)
    try:
        for chunk in chunks:
            if inflater is None:
                zlib_header = chunk[:1] and chunk[0] & 0x0F == 8
                inflater = zlib.decompressobj(zlib.MAX_WBITS if zlib_header else -zlib.MAX_WBITS)
            rest, more = chunk, True
            while more and not inflater.eof:
                piece = inflater.decompress(rest, step)
                yield piece
                rest = inflater.unconsumed_tail
                # All input may be taken in while output is still held back.
                more = bool(rest) or len(piece) == step
            if inflater.unused_data or (rest and inflater.eof):
                raise zlib.error("bytes after the end")
        if inflater is not None and not inflater.eof:
            raise zlib.error("cut short")
    except zlib.error as error:
        raise FetchFailed(f"{answer.address.shown} is packed, but can't be unpacked ({error}).") from error
