"""Positions on Earth: (latitude, longitude) in degrees, north and east positive."""

from __future__ import annotations

import math

Position = tuple[float, float]

_EARTH_KM = 6371.0


def in_range(latitude: float, longitude: float) -> bool:
    """Whether these are degrees of a place on Earth."""
    return math.isfinite(latitude) and math.isfinite(longitude) and abs(latitude) <= 90 and abs(longitude) <= 180


def distance_km(one: Position, other: Position) -> float:
    """Along the great circle between two positions, by the haversine formula."""
    (north, east), (other_north, other_east) = (tuple(map(math.radians, each)) for each in (one, other))
    half = (
        math.sin((other_north - north) / 2) ** 2
        + math.cos(north) * math.cos(other_north) * math.sin((other_east - east) / 2) ** 2
    )
    return 2 * _EARTH_KM * math.asin(math.sqrt(min(1.0, half)))
