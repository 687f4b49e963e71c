"""Results into an HTML report, and thumbnails back out of it, so that a second run need not decode for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from veduta.jobs.rows import Result
from veduta.records import Failure


class Report(Protocol):
    """What a report offers to a job; ``reports.tags.TagReport`` is one."""

    folder: Path

    def add(self, row: Mapping[str, Any], thumbnail: bytes | None = None, overlay: bytes | None = None) -> None:
        """Show a photo."""
        ...

    def fail(self, failure: Failure) -> None:
        """List a photo that got no answer."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop what was written, unless the report is closed."""
        ...


class ReportSink:
    """Hands results to a report. Its owner closes it after the job, with the summary, or leaves it unclosed."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def kept_thumbnail(self, digest: str) -> bytes | None:
        """The thumbnail that an earlier run left in the report's folder for a content, if it is whole."""
        try:
            content = (self._report.folder / "thumbs" / digest[:2] / f"{digest}.jpg").read_bytes()
        except OSError:
            return None
        return content if content.startswith(b"\xff\xd8") and content.endswith(b"\xff\xd9") else None

    def write(self, result: Result) -> None:
        """Add the photo or the failure."""
        row = result.row
        if "error" in row:
            self._report.fail(Failure(row["path"], row["error"], row["message"]))
        else:
            self._report.add(row, result.thumbnail, result.overlay)

    def finish(self) -> None:
        """Nothing: the owner closes the report, for only then is the summary known."""

    def abandon(self) -> None:
        """Let the report drop what it wrote; what was there before stays. Does nothing to a closed one."""
        self._report.__exit__(None, None, None)
