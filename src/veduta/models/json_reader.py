"""Reading a JSON file that somebody else wrote: every value's type is checked, every complaint names file and key."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from veduta.errors import BundleCorrupt

#: Long enough for any id, name or licence sentence; a longer text is not one.
MAX_TEXT = 1000

ADVICE = "correct it or get the model again"


@dataclass(frozen=True, slots=True)
class JsonObject:
    """One object of a JSON file, and where it stands: ``model.json`` at ``heads[0].labels[3]``.

    ``advice`` ends each complaint.
    """

    file: Path
    at: str
    values: dict[str, Any]
    advice: str = ADVICE

    def only(self, *known: str) -> None:
        """Refuse keys that the format does not know: a misspelt ``temperature`` must not pass for none."""
        for key in self.values:
            if key not in known:
                self.refuse(key, f"is not a key of this format; known here: {', '.join(known)}")

    def has(self, key: str) -> bool:
        """Whether the key is there with a value; ``null`` means the same as leaving it out."""
        return self.values.get(key) is not None

    def text(self, key: str) -> str:
        """A text of 1 to ``MAX_TEXT`` printable characters."""
        value = self._value(key)
        if not isinstance(value, str) or not is_text(value):
            self.refuse(key, f"must be a text of 1 to {MAX_TEXT} printable characters", value)
        return value

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        """One of the given words."""
        value = self._value(key)
        if not isinstance(value, str) or value not in choices:
            self.refuse(key, f"must be one of {', '.join(choices)}", value)
        return value

    def number(self, key: str, low: float = -math.inf, high: float = math.inf) -> float:
        """A finite number of the closed range."""
        value = self._value(key)
        if not _is_number(value) or not math.isfinite(value) or not low <= value <= high:
            self.refuse(key, f"must be a finite number{_range(low, high)}", value)
        return float(value)

    def integer(self, key: str, low: int, high: int) -> int:
        """A whole number of the closed range."""
        value = self._value(key)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self.refuse(key, f"must be a whole number{_range(low, high)}", value)
        return value

    def flag(self, key: str) -> bool:
        """true or false."""
        value = self._value(key)
        if not isinstance(value, bool):
            self.refuse(key, "must be true or false", value)
        return value

    def items(self, key: str, most: int) -> list[Any]:
        """A list of at most ``most`` entries."""
        value = self._value(key)
        if not isinstance(value, list) or len(value) > most:
            self.refuse(key, f"must be a list of at most {most} entries", value)
        return value

    def numbers(self, key: str, count: int) -> list[float]:
        """A list of so many finite numbers."""
        found = self.items(key, count)
        if len(found) != count or not all(_is_number(value) and math.isfinite(value) for value in found):
            self.refuse(key, f"must be a list of {count} finite numbers", found)
        return [float(value) for value in found]

    def entry(self, key: str) -> JsonObject:
        """An object inside this one."""
        value = self._value(key)
        if not isinstance(value, dict):
            self.refuse(key, "must be an object", value)
        return JsonObject(self.file, self._inside(key), value, self.advice)

    def entries(self, key: str, most: int) -> list[JsonObject]:
        """A list of objects inside this one."""
        found = []
        for index, value in enumerate(self.items(key, most)):
            if not isinstance(value, dict):
                self.refuse(f"{key}[{index}]", "must be an object", value)
            found.append(JsonObject(self.file, f"{self._inside(key)}[{index}]", value, self.advice))
        return found

    def refuse(self, key: str, expected: str, value: object = None) -> NoReturn:
        """Raise ``BundleCorrupt`` for a key."""
        told = "" if value is None else f", not {_short(value)}"
        raise BundleCorrupt(f"{self.file}: '{self._inside(key)}' {expected}{told}; {self.advice}.")

    def _value(self, key: str) -> Any:
        if not self.has(key):
            self.refuse(key, "is missing")
        return self.values[key]

    def _inside(self, key: str) -> str:
        return f"{self.at}.{key}" if self.at else key


def is_text(value: str) -> bool:
    """Whether ``JsonObject.text`` takes it: 1 to ``MAX_TEXT`` characters, every one printable."""
    return 0 < len(value) <= MAX_TEXT and value.isprintable()


def read_object(file: Path, data: bytes, advice: str = ADVICE) -> JsonObject:
    """Parse the bytes of a JSON file whose top is an object; ``advice`` ends each complaint about it.

    Raises ``BundleCorrupt`` for anything else, a key written twice and numbers that JSON does not have included.
    """
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_without_repeats, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BundleCorrupt(f"{file}: is not readable as JSON ({error}); {advice}.") from error
    if not isinstance(value, dict):
        raise BundleCorrupt(f"{file}: must hold one JSON object, not {_short(value)}; {advice}.")
    return JsonObject(file, "", value, advice)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("an object has the same key twice")
    return values


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _is_number(value: object) -> bool:
    # A whole number past the range of a float has no finite float to compare with.
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63)


def _range(low: float, high: float) -> str:
    if math.isinf(low) and math.isinf(high):
        return ""
    if math.isinf(high):
        return f" of at least {low:g}"
    return f" from {low:g} to {high:g}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
