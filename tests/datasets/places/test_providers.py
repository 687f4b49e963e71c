"""Which famous places a city has, on a server that answers as the providers document it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from veduta.datasets.places.google_places import GooglePlaces
from veduta.datasets.places.overpass import Overpass
from veduta.datasets.places.place import City, PlacesProvider
from veduta.datasets.places.wikidata import Wikidata
from veduta.errors import FetchFailed, FetchRefused, SearchError, UsageError
from veduta.images.fetch import Fetcher

from .services import KEY, Made, PlacesServices

Make = Callable[[str], PlacesProvider]
MAKERS: dict[str, Make] = {
    "overpass": Overpass,
    "wikidata": Wikidata,
    "google": lambda address: GooglePlaces(KEY, address),
}
EACH = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
PORTO = City("Porto", (41.15, -8.61))
CLERIGOS = Made("Q1", "Clérigos Tower", 40, names={"pt": "Torre dos Clérigos", "de": "Clérigos-Turm"})
BRIDGE = Made("Q2", "Arrábida Bridge", 25)


@EACH
def test_the_places_of_a_city_are_found_with_name_and_position(
    services: PlacesServices, fetcher: Fetcher, make: Make
) -> None:
    services.places = [BRIDGE, CLERIGOS]
    found = {place.name: place for place in make(services.url).places(PORTO, fetcher)}
    assert set(found) == {"Clérigos Tower", "Arrábida Bridge"}
    place = found["Clérigos Tower"]
    assert place.position == pytest.approx((41.15, -8.61))
    assert place.city == "Porto"
    assert place.kind


@EACH
def test_a_city_without_any_has_none(services: PlacesServices, fetcher: Fetcher, make: Make) -> None:
    assert make(services.url).places(PORTO, fetcher) == []


@pytest.mark.parametrize("name", ["wikidata", "google"])
def test_the_most_famous_comes_first(services: PlacesServices, fetcher: Fetcher, name: str) -> None:
    services.places = [BRIDGE, CLERIGOS]
    found = MAKERS[name](services.url).places(PORTO, fetcher)
    assert [place.fame for place in found] == [40, 25]


def test_wikidata_tells_fame_and_names_of_what_overpass_found(services: PlacesServices, fetcher: Fetcher) -> None:
    services.places = [BRIDGE, CLERIGOS]
    of_map = Overpass(services.url).places(PORTO, fetcher)
    found = Wikidata(services.url).with_fame(of_map, fetcher)
    assert [(place.name, place.fame, place.id) for place in found] == [
        ("Clérigos Tower", 40, "way/2"),
        ("Arrábida Bridge", 25, "way/1"),
    ]
    assert dict(found[0].names) == {"en": "Clérigos Tower", "pt": "Torre dos Clérigos", "de": "Clérigos-Turm"}


def test_more_entities_than_one_question_takes_are_asked_in_turn(services: PlacesServices, fetcher: Fetcher) -> None:
    services.places = [Made(f"Q{number}", f"Tower {number}", number) for number in range(1, 321)]
    assert len(Wikidata(services.url).with_fame(Overpass(services.url).places(PORTO, fetcher), fetcher)) == 320


@pytest.mark.parametrize("name", ["overpass", "wikidata"])
def test_of_two_cities_of_one_name_the_larger_is_meant(services: PlacesServices, fetcher: Fetcher, name: str) -> None:
    services.cities["Paris"] = [(25_000, 33.66, -95.56), (2_100_000, 48.86, 2.35)]
    MAKERS[name](services.url).places(City("Paris"), fetcher)
    told = [asked.get("data", "") + asked.get("query", "") for asked in services.asked]
    assert any("48.86" in query and "33.66" not in query for query in told)


@pytest.mark.parametrize("name", ["overpass", "wikidata"])
def test_a_city_that_is_not_known_asks_for_its_middle(services: PlacesServices, fetcher: Fetcher, name: str) -> None:
    with pytest.raises(SearchError, match="Atlantis; latitude; longitude"):
        MAKERS[name](services.url).places(City("Atlantis"), fetcher)


def test_a_name_with_quotes_can_not_change_the_question(services: PlacesServices, fetcher: Fetcher) -> None:
    evil = City('X"];out;node["name"="Porto')
    for name in ("overpass", "wikidata"):
        with pytest.raises(SearchError):
            MAKERS[name](services.url).places(evil, fetcher)


def test_google_gives_all_pages_and_no_more_than_it_has(services: PlacesServices, fetcher: Fetcher) -> None:
    services.places = [Made(f"Q{number}", f"Tower {number}", number) for number in range(90)]
    assert len(GooglePlaces(KEY, services.url).places(PORTO, fetcher)) == 60


def test_google_leaves_out_what_lies_elsewhere(services: PlacesServices, fetcher: Fetcher) -> None:
    services.places = [CLERIGOS, Made("Q9", "Belém Tower", 90, (38.69, -9.22))]
    assert [place.name for place in GooglePlaces(KEY, services.url).places(PORTO, fetcher)] == ["Clérigos Tower"]


def test_a_wrong_key_is_said(services: PlacesServices, fetcher: Fetcher) -> None:
    with pytest.raises(SearchError, match="the key is wrong"):
        GooglePlaces("other", services.url).places(PORTO, fetcher)
    with pytest.raises(UsageError):
        GooglePlaces("no key!", services.url)


def test_a_key_is_never_sent_on_to_where_a_redirect_leads(services: PlacesServices, fetcher: Fetcher) -> None:
    services.instead = lambda asked: 307 if asked["path"] == "/v1/places:searchText" else None
    with pytest.raises(FetchRefused, match="redirects"):
        GooglePlaces(KEY, services.url).places(PORTO, fetcher)
    assert [asked["path"] for asked in services.asked] == ["/v1/places:searchText"]


def test_a_question_that_ran_out_of_time_is_no_empty_city(services: PlacesServices, fetcher: Fetcher) -> None:
    services.instead = lambda _asked: json.dumps(
        {"elements": [], "remark": 'runtime error: Query timed out in "query" at line 1 after 61 seconds.'}
    ).encode()
    with pytest.raises(SearchError, match="timed out"):
        Overpass(services.url).places(PORTO, fetcher)


@EACH
@pytest.mark.parametrize(
    "content",
    [
        b"<html>busy</html>",
        b"[]",
        b'{"elements": 7, "results": 7, "places": 7}',
        b'{"results": {"bindings": "x"}, "elements": {}, "places": "x"}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_a_changed_answer_is_an_error_with_a_sentence(
    services: PlacesServices, fetcher: Fetcher, make: Make, content: bytes
) -> None:
    services.instead = lambda _asked: content
    with pytest.raises(SearchError):
        make(services.url).places(PORTO, fetcher)


@EACH
def test_records_that_are_none_are_passed_over(services: PlacesServices, fetcher: Fetcher, make: Make) -> None:
    wild: list[object] = [
        7, None, {}, {"id": {}, "tags": [], "lat": "x"}, {"item": 3, "where": {"value": "Point(1e999 0)"}},
        {"id": 5, "type": "node", "lat": 200, "lon": 0, "tags": {"name": "A", "wikidata": "Q1"}},
        {"item": {"value": "http://x/Q5"}, "where": {"value": "Point(200 100)"}, "links": {"value": "many"}},
        {"id": "x", "displayName": {"text": "A"}, "location": {"latitude": 900, "longitude": 0}},
    ]  # fmt: skip
    services.instead = lambda _asked: json.dumps(
        {"elements": wild, "results": {"bindings": wild}, "places": wild}
    ).encode()
    assert make(services.url).places(PORTO, fetcher) == []


@EACH
def test_a_server_that_fails_is_told(services: PlacesServices, fetcher: Fetcher, make: Make) -> None:
    services.instead = lambda _asked: 404
    with pytest.raises(FetchFailed):
        make(services.url).places(PORTO, fetcher)
