"""The words of the reports themselves, in the languages that labels have."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources

from veduta.errors import UsageError
from veduta.labels.translations import LANGUAGES


def page_words(language: str) -> dict[str, str]:
    """The words of a report in one of ``LANGUAGES``, by key. Raises ``UsageError`` for another language."""
    if language not in LANGUAGES:
        raise UsageError(f"The language {language!r} is not known; choose one of {', '.join(LANGUAGES)}.")
    return dict(_words()[language])


def asset(name: str) -> str:
    """The text of a file that the reports are made of."""
    return (resources.files("veduta.reports") / "assets" / name).read_text(encoding="utf-8")


@cache
def _words() -> dict[str, dict[str, str]]:
    words: dict[str, dict[str, str]] = json.loads(asset("words.json"))
    return words
