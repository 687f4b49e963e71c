"""JSON that a server sent: every value is checked before it is used, for whoever answers there can say anything."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

Option = TypeVar("Option", bound=str)

#: Long enough for any id, name or sentence of the API; heat maps and cards are taken without this limit.
MOST_TEXT = 4000


class Unexpected(Exception):
    """What came is not what the API describes; the text says where, and what it should have been."""


@dataclass(frozen=True, slots=True)
class JsonObject:
    """An object of an answer, and where it stands: ``predictions[0].scores[2]``.

    Each method gives the value of one key, or raises Unexpected. Keys that nobody asks for may be anything: a newer
    server may say more.
    """

    values: dict[str, Any]
    place: str = ""

    def text(self, key: str, most: int = MOST_TEXT) -> str:
        """A string of at most so many characters."""
        value = self.values.get(key)
        if not isinstance(value, str) or len(value) > most:
            self._complain(key, f"a text of at most {most:,} characters")
        return value

    def optional_text(self, key: str) -> str | None:
        """A string, or None where it is absent."""
        return None if self.values.get(key) is None else self.text(key)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings."""
        value = self.values.get(key)
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            self._complain(key, "a list of texts")
        return tuple(value)

    def one_of(self, key: str, options: tuple[Option, ...]) -> Option:
        """One of the texts that the API knows here."""
        value = self.values.get(key)
        found = next((option for option in options if option == value), None)
        if found is None:
            self._complain(key, " or ".join(options))
        return found

    def number(self, key: str) -> float:
        """A finite number."""
        number = _finite(self.values.get(key))
        if number is None:
            self._complain(key, "a number")
        return number

    def share(self, key: str) -> float:
        """A probability, 0 to 1."""
        value = self.number(key)
        if not 0.0 <= value <= 1.0:
            self._complain(key, "a number from 0 to 1")
        return value

    def whole(self, key: str) -> int:
        """A whole number above zero."""
        value = self.values.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            self._complain(key, "a whole number above zero")
        return value

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self.values.get(key)
        if not isinstance(value, bool):
            self._complain(key, "true or false")
        return value

    def object(self, key: str) -> JsonObject:
        """An object within this one."""
        value = self.values.get(key)
        if not isinstance(value, dict):
            self._complain(key, "an object")
        return JsonObject(value, self._place(key))

    def optional_object(self, key: str) -> JsonObject | None:
        """An object within this one, or None where it is absent."""
        return None if self.values.get(key) is None else self.object(key)

    def objects(self, key: str) -> list[JsonObject]:
        """A list of objects."""
        value = self.values.get(key)
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            self._complain(key, "a list of objects")
        return [JsonObject(each, f"{self._place(key)}[{index}]") for index, each in enumerate(value)]

    def optional_objects(self, key: str) -> list[JsonObject] | None:
        """A list of objects, or None where it is absent."""
        return None if self.values.get(key) is None else self.objects(key)

    def numbers(self, key: str, count: int) -> list[float]:
        """A list of so many finite numbers."""
        value = self.values.get(key)
        found = [_finite(each) for each in value] if isinstance(value, list) and len(value) == count else []
        numbers = [each for each in found if each is not None]
        if len(numbers) != count:
            self._complain(key, f"a list of {count} numbers")
        return numbers

    def _place(self, key: str) -> str:
        return f"{self.place}.{key}" if self.place else key

    def _complain(self, key: str, expected: str) -> NoReturn:
        found = "absent" if key not in self.values else f"not {expected}"
        raise Unexpected(f"{self._place(key)} is {found}")


def parse(body: bytes) -> JsonObject:
    """The object that a body holds. Raises Unexpected where it is anything else."""
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Unexpected("what it sent is no JSON") from None
    if not isinstance(value, dict):
        raise Unexpected("what it sent is no JSON object")
    return JsonObject(value)


def one_line(text: str, most: int = 1000) -> str:
    """Somebody else's text for a sentence of ours: on one line, no control characters, its end cut off."""
    shown = "".join(each if each.isprintable() else " " for each in text[:most])
    return " ".join(shown.split())


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
