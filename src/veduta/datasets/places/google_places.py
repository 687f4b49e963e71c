"""Google Places (New), with the user's own key (developers.google.com/maps/documentation/places/web-service).

Its text search is asked for the tourist attractions of a city. Its terms forbid to keep most of what it tells for long,
the places' ids excepted; whoever uses it must look.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from veduta.datasets.places.place import City, Place
from veduta.datasets.search.answers import as_object, count, records, refused, text
from veduta.errors import FetchFailed, UsageError
from veduta.images.fetch import Fetcher
from veduta.positions import distance_km, in_range

# The service gives pages of 20, and three of them.
_PAGE, _PAGES = 20, 3
_FIELDS = (
    *("places.id", "places.displayName", "places.location", "places.primaryType", "places.userRatingCount"),
    "nextPageToken",
)


@dataclass(frozen=True, slots=True)
class GooglePlaces:
    """``key`` is the user's; ``address`` the service."""

    key: str
    address: str = "https://places.googleapis.com"
    name: str = "google"

    def __post_init__(self) -> None:
        if not self.key.isascii() or not self.key.replace("-", "").replace("_", "").isalnum():
            raise UsageError("the key of google has letters, digits, - and _ alone; make one in its cloud console.")

    def places(self, city: City, fetcher: Fetcher) -> list[Place]:
        """See ``PlacesProvider.places``; fame is the number of ratings."""
        asked: dict[str, Any] = {
            "textQuery": f"tourist attractions in {city.name}",
            "languageCode": "en",
            "pageSize": _PAGE,
        }
        if city.position is not None:
            latitude, longitude = city.position
            # The service takes circles of up to 50 km.
            radius = min(50_000.0, 1000 * city.radius_km)
            centre = {"latitude": latitude, "longitude": longitude}
            asked["locationBias"] = {"circle": {"center": centre, "radius": radius}}
        found: list[Place] = []
        for _ in range(_PAGES):
            told = self._ask(asked, fetcher)
            # A city without any has no list at all.
            records_found = records(told, "places", self.name) if "places" in told else []
            found += [place for each in records_found if (place := self._place(each, city)) is not None]
            token = text(told, "nextPageToken")
            if not token:
                break
            asked["pageToken"] = token
        return sorted(found, key=lambda place: (-place.fame, place.id))

    def _ask(self, asked: dict[str, Any], fetcher: Fetcher) -> dict[str, Any]:
        headers = {
            "Content-Type": "application/json",
            "X-Goog-Api-Key": self.key,
            "X-Goog-FieldMask": ",".join(_FIELDS),
        }
        try:
            answer = fetcher.post(f"{self.address}/v1/places:searchText", json.dumps(asked).encode(), headers)
        except FetchFailed as error:
            if error.status in (400, 401, 403):
                raise refused(self.name, "the key is wrong, or may not search places") from error
            raise
        return as_object(self.name, answer.content)

    def _place(self, record: dict[str, Any], city: City) -> Place | None:
        shown, where = record.get("displayName"), record.get("location")
        name = text(shown, "text") if isinstance(shown, dict) else ""
        values = [where.get(key) if isinstance(where, dict) else None for key in ("latitude", "longitude")]
        if not name or not text(record, "id") or not all(isinstance(value, int | float) for value in values):
            return None
        position = float(values[0] or 0), float(values[1] or 0)
        if not in_range(*position):
            return None
        if city.position is not None and distance_km(city.position, position) > city.radius_km:
            return None
        kind, ratings = text(record, "primaryType"), count(record, "userRatingCount")
        return Place(text(record, "id"), name, city.name, position, kind, self.name, ratings, (("en", name),))
