"""JSON from a provider, which may hold anything: read under limits, and taken for what it is alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

from veduta.errors import SearchError
from veduta.images.fetch import Fetcher
from veduta.images.limits import printable

# Longer ones are no titles, names or addresses.
_LONGEST = 2000


def ask(provider: str, fetcher: Fetcher, address: str, parameters: Mapping[str, str | int]) -> dict[str, Any]:
    """The JSON object that ``address`` answers to these parameters.

    Raises SearchError where it is none, and what ``Fetcher.get`` raises.
    """
    return as_object(provider, fetcher.get(f"{address}?{urlencode(parameters)}").content)


def as_object(provider: str, content: bytes) -> dict[str, Any]:
    """The JSON object that a provider answered. Raises SearchError where it is none."""
    try:
        told = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise SearchError(
            f"{provider} answered something that is no JSON; try it later, or another provider."
        ) from error
    if not isinstance(told, dict):
        raise unexpected(provider, "an object")
    return told


def unexpected(provider: str, wanted: str) -> SearchError:
    """What to raise for an answer that is not what the provider documents."""
    return SearchError(f"{provider} answered without {wanted}; it may have changed. Take another provider.")


def refused(provider: str, reason: object) -> SearchError:
    """What to raise where the provider itself says why it gives nothing."""
    return SearchError(f"{provider} refuses: {printable(str(reason)[:300])}.")


def records(holder: object, key: str, provider: str) -> list[dict[str, Any]]:
    """The objects of the list under ``key``; what is none of them is passed over. Raises SearchError."""
    found = holder.get(key) if isinstance(holder, dict) else None
    if not isinstance(found, list):
        raise unexpected(provider, f"a list of {key}")
    return [each for each in found if isinstance(each, dict)]


def text(record: Mapping[str, Any], key: str) -> str:
    """A string, in one line; "" for anything else. Half letters, which JSON can hold and no file, become ?."""
    value = record.get(key)
    whole = value[:_LONGEST].encode("utf-8", "replace").decode() if isinstance(value, str) else ""
    return " ".join(whole.split())


def count(record: Mapping[str, Any], key: str) -> int:
    """A number, which some providers write as a string; 0 for anything else."""
    value = record.get(key)
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value[:9])
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def without_markup(html: str) -> str:
    """The words of a piece of HTML, in one line."""
    parser = _Words()
    # It gives up on some declarations that mean nothing; the words before them stay.
    with suppress(AssertionError):
        parser.feed(html[:_LONGEST])
        parser.close()
    return " ".join("".join(parser.words).split())


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []

    def handle_data(self, data: str) -> None:
        self.words.append(data)
