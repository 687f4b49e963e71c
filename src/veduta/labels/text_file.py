"""A text file that somebody else wrote, read under a limit, and how its words are shown in a sentence or a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from veduta.errors import VedutaError

#: Long enough for any id or name; a longer text is not one.
MAX_TEXT = 1000

#: What a spreadsheet takes for a formula, and what already looks like a neutralised one.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")


def read_text(path: Path, max_bytes: int, error: type[VedutaError]) -> str:
    """The text of a UTF-8 file, a byte order mark left out and line ends made ``\\n``.

    Raises ``error`` where the file is absent, no file, unreadable, over ``max_bytes``, or not UTF-8.
    """
    name = shown(str(path))
    try:
        # Opening a pipe would wait for its writer, for ever.
        if path.exists() and not path.is_file():
            raise error(f"{name} is not a file; give the path of a text file.")
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except FileNotFoundError as cause:
        raise error(f"There is no file {name}; check the path.") from cause
    except (OSError, ValueError) as cause:
        reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
        raise error(f"{name} can't be read ({reason}); check its permissions.") from cause
    if len(data) > max_bytes:
        raise error(f"{name} is larger than the limit of {max_bytes:,} bytes; is it the right file?")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        raise error(f"{name} is not UTF-8 at byte {cause.start:,}; save it again with the encoding UTF-8.") from cause
    return text.replace("\r\n", "\n")


def is_name(value: object) -> bool:
    """Whether a value can be an id or a name: printable text without spaces at its ends."""
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT and value.isprintable() and value == value.strip()


def shown(text: str) -> str:
    """A text on one line of bearable length, for a sentence; what can't be printed becomes an escape."""
    safe = text if text.isprintable() else ascii(text)[1:-1]
    return safe if len(safe) <= 200 else f"{safe[:197]}..."


def neutral(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: one that begins like a formula gets an apostrophe in front.

    A cell that already begins with apostrophes and then like a formula gets one more, so taking one away from such
    cells gives back the text.
    """
    return f"'{text}" if _FORMULA.match(text) else text


def listed(words: Sequence[str], most: int = 3) -> str:
    """``'a', 'b', 'c' and 4 more``."""
    first = [f"'{shown(word)}'" for word in words[:most]]
    if len(words) > most:
        return f"{', '.join(first)} and {len(words) - most:,} more"
    return " and ".join(filter(None, [", ".join(first[:-1]), first[-1]]))


def near_misses(wrong: str, ids: Sequence[str]) -> str:
    """``; did you mean 'kitchen'?`` where an id resembles the wrong one, else nothing."""
    near = get_close_matches(wrong, ids, 3, 0.7)
    return f"; did you mean {listed(near)}?" if near else ""
