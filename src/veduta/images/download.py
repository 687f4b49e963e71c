"""A large file on disk: streamed beside its place, resumed where it was cut, moved to its place when it is whole."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from veduta.errors import FetchError, FetchFailed, FetchTooLarge, UsageError
from veduta.images.body import check_identity
from veduta.images.exchange import Answer, Exchange, check_length
from veduta.images.fetch_limits import FetchLimits
from veduta.images.network import Budget
from veduta.images.part_file import PartFile, has_sha256
from veduta.images.urls import WebAddress

Progress = Callable[[int, int | None], None]

# Without the length of the whole file ("/*") nobody could tell its last part from one before it.
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", re.ASCII)
_SECONDS_BETWEEN_REPORTS = 0.1


def download(
    exchange: Exchange,
    address: WebAddress,
    target: Path,
    limits: FetchLimits,
    sha256: str | None,
    on_progress: Progress | None,
) -> Path:
    """``Fetcher.download``, which says what it does and raises."""
    if sha256 is not None and not re.fullmatch(r"[0-9A-Fa-f]{64}", sha256, re.ASCII):
        raise UsageError(f"The SHA-256 {sha256[:80]!a} has not 64 hexadecimal digits.")
    if sha256 is not None and has_sha256(target, sha256):
        return target
    with PartFile(target, str(address)) as part:
        work = _Download(exchange, address, part, limits, sha256 is not None, on_progress)
        work.run()
        return part.finish(sha256)


@dataclass(slots=True)
class _Download:
    exchange: Exchange
    address: WebAddress
    part: PartFile
    limits: FetchLimits
    hash_is_known: bool
    on_progress: Progress | None
    reported: float = float("-inf")

    def run(self) -> None:
        """Ask until the file is whole. An attempt that got further than any before does not count among the retries."""
        budget = Budget(self.limits, self.exchange.clock)
        failures, furthest = 0, self.part.size
        while True:
            try:
                self._attempt(budget)
            except FetchError as error:
                failures = 1 if self.part.size > furthest else failures + 1
                furthest = max(furthest, self.part.size)
                if not error.passing or failures > self.limits.retries:
                    raise
                self.exchange.pause(failures - 1, budget)
            else:
                self._report(last=True)
                return

    def _attempt(self, budget: Budget) -> None:
        part = self.part
        headers = {}
        if part.size and part.validator:
            headers = {"Range": f"bytes={part.size}-", "If-Range": part.validator}
        body_bytes = self.limits.received_bytes
        accept = (200, 206, 416) if headers else (200,)
        with self.exchange.answer(
            self.address, budget, body_bytes=body_bytes, headers=headers, accept=accept
        ) as answer:
            check_identity(answer)
            match answer.status:
                case 200:
                    check_length(answer, self.limits.received_bytes)
                    part.restart(_validator(answer), answer.length)
                    end = answer.length
                case 206:
                    end = self._continue(answer)
                case _:
                    raise self._start_over("has no such part any more", answer.status)
            part.check_room()
            self._receive(answer, end)

    def _receive(self, answer: Answer, end: int | None) -> None:
        """Write what comes; ``end`` is how long the part will then be, as far as the server told."""
        part = self.part
        longest = self.limits.received_bytes if end is None else end
        for chunk in answer.chunks:
            if part.size + len(chunk) > longest:
                part.discard()
                raise FetchTooLarge(
                    f"{answer.address.shown} sends more than {longest:,} bytes, which is"
                    f" {'the limit' if end is None else 'the length that it told'}: nothing was kept."
                )
            part.append(chunk)
            self._report()
        if part.total is None and not (answer.end_is_marked or self.hash_is_known):
            part.discard()
            raise FetchFailed(
                f"{answer.address.shown} does not tell how long it is, so a cut would not be noticed: give its SHA-256."
            )
        if part.total is not None and part.size < part.total:
            failed = FetchFailed(
                f"{answer.address.shown} ended after {part.size:,} of {part.total:,} bytes: try again."
            )
            failed.passing = True
            raise failed

    def _continue(self, answer: Answer) -> int:
        """Check that a partial answer goes on where the part ends, and belongs to the same file; where it will end."""
        part = self.part
        told = _CONTENT_RANGE.fullmatch(answer.headers.get("content-range", ""))
        first, last, total = map(int, told.groups()) if told else (0, 0, 0)
        if first != part.size or not first <= last < total:
            raise self._start_over("does not send the part that was asked for, or not its place", answer.status)
        fresh = _validator(answer)
        if (part.total is not None and total != part.total) or (fresh is not None and fresh != part.validator):
            raise self._start_over("has changed since the download began", answer.status)
        if total > self.limits.received_bytes:
            raise FetchTooLarge(
                f"{answer.address.shown} has {total:,} bytes, at most {self.limits.received_bytes:,} are allowed: raise"
                " received_bytes (--max-bytes) if that is meant."
            )
        part.total = total
        return last + 1

    def _start_over(self, why: str, status: int) -> FetchFailed:
        self.part.discard()
        failed = FetchFailed(f"{self.address.shown} {why}: the download has to start over.", status)
        failed.passing = True
        return failed

    def _report(self, *, last: bool = False) -> None:
        now = time.monotonic()
        if self.on_progress is not None and (last or now - self.reported >= _SECONDS_BETWEEN_REPORTS):
            self.reported = now
            self.on_progress(self.part.size, self.part.total)


def _validator(answer: Answer) -> str | None:
    """What If-Range may carry (RFC 9110, 13.1.5): a strong ETag, else the Last-Modified date."""
    etag = answer.headers.get("etag", "").strip()
    if re.fullmatch(r'"[!#-~]{1,200}"', etag, re.ASCII):
        return etag
    modified = answer.headers.get("last-modified", "").strip()
    return modified if not etag and re.fullmatch(r"[A-Za-z0-9,: +-]{10,60}", modified, re.ASCII) else None
