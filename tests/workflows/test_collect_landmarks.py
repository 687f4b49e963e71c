"""From cities to photos of their landmarks, with the providers of places on loopback."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from veduta.datasets.landmark_table import read_landmark_table
from veduta.datasets.manifest import read_manifest
from veduta.datasets.places.overpass import Overpass
from veduta.datasets.places.place import City, Wish
from veduta.datasets.places.wikidata import Wikidata
from veduta.datasets.search.own import Folder
from veduta.errors import OutputError, UsageError
from veduta.images.fetch import Fetcher, Politeness
from veduta.workflows.collect_landmarks import MANIFEST, TABLE, Search, collect_landmarks
from veduta.workflows.watch import Watch

from ..datasets.places.services import Made, PlacesServices
from .textured import noise_photos

PORTO, PARIS = City("Porto", (41.15, -8.61)), City("Paris", (48.86, 2.35))


@pytest.fixture
def services() -> Iterator[PlacesServices]:
    made = PlacesServices()
    made.places = [Made("Q1", "Tower", 40, names={"pt": "Torre"}), Made("Q2", "Bridge", 25), Made("Q3", "Bench", 1)]
    yield made
    made.close()


@pytest.fixture
def fetcher(services: PlacesServices) -> Iterator[Fetcher]:
    with Fetcher(allow_loopback=True, ports={services.port}, politeness=Politeness(interval_seconds=0)) as made:
        yield made


@pytest.fixture
def search(services: PlacesServices, tmp_path: Path) -> Search:
    noise_photos(tmp_path / "own", ("Tower", "Bridge"))
    (tmp_path / "own" / "Tower" / "00text.jpg").write_text("no photo")
    wikidata = Wikidata(services.url)
    return Search(
        (Overpass(services.url), wikidata),
        (Folder(tmp_path / "own"),),
        Wish(least_fame=5),
        per_landmark=4,
        fame=wikidata,
    )


def test_the_famous_places_of_a_city_get_photos_a_table_and_passports(
    search: Search, fetcher: Fetcher, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = collect_landmarks([PORTO], search, out, fetcher, Watch())
    assert (done.cities, done.landmarks, done.photos, done.failed) == (1, 2, 8, {})
    table = read_landmark_table(out / TABLE)
    assert {label: each.name for label, each in table.items()} == {"tower": "Tower", "bridge": "Bridge"}
    assert table["tower"].name_in("pt") == "Torre"
    assert table["tower"].city == "Porto"
    assert table["tower"].source == "Q1"
    assert read_manifest(out / MANIFEST).counts() == {"tower": 4, "bridge": 4}
    assert "00text.jpg" in (out / "photos" / "passport.csv").read_text("utf-8")


def test_a_second_run_asks_nobody_again(
    search: Search, services: PlacesServices, fetcher: Fetcher, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = collect_landmarks([PORTO], search, out, fetcher, Watch())
    services.asked.clear()
    assert collect_landmarks([PORTO], search, out, fetcher, Watch()) == first
    assert not services.asked
    file = out / "cities" / "porto.json"
    whole = file.read_text("utf-8")
    for damaged in ("{damaged", "[]", whole.replace('"places": [', '"places": ["x", '), whole.replace('"fame"', '"f"')):
        services.asked.clear()
        file.write_text(damaged, "utf-8")
        assert collect_landmarks([PORTO], search, out, fetcher, Watch()) == first
        assert services.asked


def test_two_of_one_name_in_two_cities_are_told_apart(search: Search, fetcher: Fetcher, tmp_path: Path) -> None:
    out = tmp_path / "out"
    collect_landmarks([PORTO, PARIS], search, out, fetcher, Watch())
    table = read_landmark_table(out / TABLE)
    assert set(table) == {"tower--porto", "tower--paris", "bridge--porto", "bridge--paris"}
    assert table["tower--paris"].id == "tower/paris"


def test_a_city_that_can_not_be_asked_is_told_and_asked_again(
    search: Search, services: PlacesServices, fetcher: Fetcher, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    services.instead = lambda asked: b"<html>" if "48.86" in asked.get("data", "") + asked.get("query", "") else None
    done = collect_landmarks([PORTO, PARIS], search, out, fetcher, Watch())
    assert set(done.failed) == {"Paris"}
    services.instead = lambda _asked: None
    assert not collect_landmarks([PORTO, PARIS], search, out, fetcher, Watch()).failed


def test_cities_without_a_famous_place_are_refused(search: Search, fetcher: Fetcher, tmp_path: Path) -> None:
    wish = Search(search.places, search.photos, Wish(least_fame=1000), fame=search.fame)
    with pytest.raises(UsageError, match="famous enough"):
        collect_landmarks([PORTO], wish, tmp_path / "out", fetcher, Watch())


def test_a_disk_without_room_is_told_and_the_next_run_goes_on(
    search: Search, fetcher: Fetcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"

    def no_room(*_given: object, **_named: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(Path, "replace", no_room)
        full.setattr(os, "replace", no_room)
        with pytest.raises(OutputError, match="No space left"):
            collect_landmarks([PORTO], search, out, fetcher, Watch())
    assert not (out / TABLE).exists()
    assert collect_landmarks([PORTO], search, out, fetcher, Watch()).photos == 8
