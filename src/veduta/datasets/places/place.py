"""A famous place that a provider knows of, a city to ask about, and what providers have in common."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from veduta.errors import UsageError
from veduta.images.fetch import Fetcher
from veduta.images.limits import printable
from veduta.positions import distance_km, in_range

#: How far from a city's middle a place may lie, in km, where nobody says otherwise.
RADIUS_KM = 15.0
_MOST_KM = 100.0


@dataclass(frozen=True, slots=True)
class City:
    """A city by its name, and where that is known its middle in degrees; places within ``radius_km`` are its own."""

    name: str
    position: tuple[float, float] | None = None
    radius_km: float = RADIUS_KM


@dataclass(frozen=True, slots=True)
class Place:
    """A famous place.

    ``id`` is the provider's own (``Q243``, ``way/5013364``). ``fame`` is a number that larger for more famous places of
    the same provider: Wikipedias that have an article, or ratings. ``kind`` is the provider's word for what it is.
    ``wikidata`` is the entity's number where the provider knows it, "" elsewhere.
    """

    id: str
    name: str
    city: str
    position: tuple[float, float]
    kind: str
    provider: str
    fame: int = 0
    names: tuple[tuple[str, str], ...] = ()
    wikidata: str = ""

    @property
    def source(self) -> str:
        """Where it is known from, for a table."""
        return f"{self.provider}:{self.id}"


class PlacesProvider(Protocol):
    """Something that can be asked which famous places a city has."""

    @property
    def name(self) -> str:
        """How it is called on the command line."""
        ...

    def places(self, city: City, fetcher: Fetcher) -> list[Place]:
        """The famous places of a city, the most famous first.

        Raises SearchError where the provider refuses, does not know the city, or answers something else than it
        documents, and what ``Fetcher`` raises.
        """
        ...


@dataclass(frozen=True, slots=True)
class Wish:
    """Which places are wanted: at least so famous, at most so many of a city; ``kinds`` and ``names`` leave out what
    has one of these words in its kind or name.
    """

    least_fame: int = 5
    most: int = 30
    without_kinds: tuple[str, ...] = ()
    without_names: tuple[str, ...] = ()

    def chosen(self, places: Iterable[Place]) -> list[Place]:
        """Those of a city that are wanted, the most famous first; of one place under two ids the more famous."""
        wanted = [place for place in places if self._wants(place)]
        kept: list[Place] = []
        for place in sorted(wanted, key=lambda each: (-each.fame, each.id)):
            if not any(same_place(place, other) for other in kept):
                kept.append(place)
        return kept[: self.most]

    def _wants(self, place: Place) -> bool:
        kind, name = place.kind.casefold(), place.name.casefold()
        return (
            place.fame >= self.least_fame
            and not any(word.casefold() in kind for word in self.without_kinds)
            and not any(word.casefold() in name for word in self.without_names)
        )


def same_place(one: Place, other: Place) -> bool:
    """Whether two entries are of one place: by Wikidata's number, or by name within half a kilometre."""
    if one.wikidata and one.wikidata == other.wikidata:
        return True
    return one.name.casefold() == other.name.casefold() and distance_km(one.position, other.position) < 0.5


def read_cities(file: Path) -> list[City]:
    """A line for each city: ``Paris``, or ``Paris; 48.8566; 2.3522`` with its middle, or with a radius in km besides.

    Empty lines and those that begin with # say nothing. Raises UsageError, naming the line.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the cities {printable(str(file))} can't be read ({error}); give a text file.") from error
    cities: list[City] = []
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.lstrip().startswith("#"):
            cities.append(_city(line, f"{printable(str(file))}, line {number}"))
    if not cities:
        raise UsageError(f"{printable(str(file))} names no city; write one on each line.")
    names = [city.name.casefold() for city in cities]
    twice = next((city.name for place, city in enumerate(cities) if names.index(city.name.casefold()) < place), None)
    if twice is not None:
        raise UsageError(f"{printable(str(file))} names {printable(twice)} twice; tell them apart by other names.")
    return cities


def _city(line: str, where: str) -> City:
    name, *numbers = (part.strip() for part in line.split(";"))
    try:
        values = [float(number) for number in numbers]
    except ValueError:
        values = [math.nan]
    if not name or len(name) > 100 or len(values) not in (0, 2, 3) or (values and not in_range(*(values * 2)[:2])):
        raise UsageError(
            f"{where}: {printable(line.strip())!r} is no city; write its name, or name; latitude; longitude with "
            "degrees from -90 to 90 and -180 to 180."
        )
    city = City(name, (values[0], values[1]) if values else None)
    if len(values) == 3:
        if not 0 < values[2] <= _MOST_KM:
            raise UsageError(f"{where}: a radius of {values[2]:g} km is not possible; give one up to {_MOST_KM:g}.")
        city = replace(city, radius_km=values[2])
    return city
