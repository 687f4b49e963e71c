"""From cities to photos of their landmarks, with the providers of places on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veduta.datasets.landmark_table import read_landmark_table
from veduta.datasets.manifest import read_manifest
from veduta.datasets.places.overpass import Overpass
from veduta.datasets.places.place import City, Wish
from veduta.datasets.places.wikidata import Wikidata
from veduta.datasets.search.own import Folder
from veduta.errors import UsageError
from veduta.images.fetch import Fetcher, Politeness
from veduta.workflows.collect_landmarks import MANIFEST, TABLE, Search, collect_landmarks
from veduta.workflows.watch import Watch

from ..datasets.places.services import Made, PlacesServices

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
    random = np.random.default_rng(0)
    for name in ("Tower", "Bridge"):
        (tmp_path / "own" / name).mkdir(parents=True)
        for number in range(4):
            # Coarse noise, so that no two are copies of each other.
            small = Image.fromarray(random.integers(0, 256, (12, 12, 3), np.uint8))
            small.resize((240, 240), Image.Resampling.BICUBIC).save(tmp_path / "own" / name / f"{number}.jpg")
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
