"""The folder that a report is written into: whether it is free, and the page that tells whose it is."""

from __future__ import annotations

import html
import os
import re
import string
from dataclasses import dataclass
from pathlib import Path

from veduta.errors import UsageError
from veduta.reports.words import asset, page_words
from veduta.whole_file import PART, not_written, write_whole

PAGE = "index.html"

#: The names under which reports keep pictures, and those of pictures that a killed run left half written.
PICTURE = re.compile(rf"\.?[0-9a-f]{{8,128}}\.(jpg|png|webp)({re.escape(PART)})?")

# A marker stands in the head of a page; a larger part of a file that may be anybody's need not be read.
_HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class ReportFolder:
    """What one kind of report leaves in its folder: a page with its ``generator``, and ``entries`` beside that."""

    generator: str
    entries: tuple[str, ...]

    @property
    def marker(self) -> str:
        """What stands in the head of the page, and tells that the folder is a report of this kind."""
        return f'<meta name="generator" content="{self.generator}">'

    def check_free(self, folder: Path) -> None:
        """Raise UsageError where the report would replace or delete what it did not write.

        That is a file in place of the folder, a page that is not of this kind, and an entry of its names without such
        a page; other things may lie in the folder. Raises OutputError where the folder can't be looked into.
        """
        page = folder / PAGE
        try:
            if folder.exists() and not folder.is_dir():
                raise UsageError(f"{folder}: is a file, and a report is a folder; name another.")
            if self._is_ours(page):
                return
            ours = (page, *(folder / entry for entry in self.entries))
            foreign = next(filter(os.path.lexists, ours), None)
        except OSError as error:
            raise not_written(page, error) from error
        if foreign is not None:
            raise UsageError(
                f"{foreign}: is there already, and this kind of report did not write it; name another folder for it."
            )

    def claim(self, folder: Path, language: str = "en") -> None:
        """Check as ``check_free`` and mark the folder, so that a report that is killed can be written again.

        Until the report's own page takes its place, the mark is a page that says that the report is not finished. A
        page of before stays. Raises also OutputError.
        """
        self.check_free(folder)
        if not (folder / PAGE).exists():
            page = string.Template(asset("unfinished.html")).substitute(
                marker=self.marker,
                language=html.escape(language),
                sentence=html.escape(page_words(language)["unfinished"]),
            )
            write_whole(folder / PAGE, page.encode())

    def _is_ours(self, page: Path) -> bool:
        if not page.is_file():
            return False
        with page.open("rb") as file:
            return self.marker.encode() in file.read(_HEAD_BYTES)
