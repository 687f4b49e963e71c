"""Photos that somebody asked to be forgotten: by address, by page or by author. They are never fetched again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from veduta.datasets.search.found import Found
from veduta.errors import OutputError
from veduta.whole_file import write_whole

FILE = "forgotten.json"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """``asked`` are addresses and authors, each with the day when that was; ``file`` keeps them."""

    file: Path
    asked: dict[str, str]

    @classmethod
    def read(cls, folder: Path) -> Forgotten:
        """Those of ``folder``, none where it has no such file. Raises OutputError for a file that can't be read: what
        was promised to be forgotten must not come back by accident.
        """
        file = folder / FILE
        try:
            told = json.loads(file.read_bytes())
            asked = {str(what): str(day) for what, day in told.items()}
        except FileNotFoundError:
            asked = {}
        except (OSError, ValueError, AttributeError) as error:
            raise OutputError(
                f"{file} can't be read ({error}), so nobody knows what must not be fetched again; repair or remove it."
            ) from error
        return cls(file, asked)

    def __contains__(self, photo: object) -> bool:
        return isinstance(photo, Found) and any(is_by(photo, what) for what in self.asked)

    @property
    def digest(self) -> str:
        """Changes with what is to be forgotten."""
        return hashlib.sha256(json.dumps(sorted(self.asked)).encode()).hexdigest()

    def add(self, what: str) -> Forgotten:
        """The same with ``what``, kept on the disk. Raises OutputError."""
        asked = {what: datetime.now(UTC).date().isoformat(), **self.asked}
        write_whole(self.file, json.dumps(asked, indent=1, ensure_ascii=False).encode("utf-8", "backslashreplace"))
        return Forgotten(self.file, asked)


def is_by(photo: Found, what: str) -> bool:
    """Whether ``what`` is the photo's address, its page, its path, or its author (case aside)."""
    if not what:
        return False
    return what in (photo.url, photo.page, photo.path) or what.casefold() == photo.author.casefold()
