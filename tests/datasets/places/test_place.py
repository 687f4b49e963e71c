"""Which places of a city are wanted, and how cities are written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from veduta.datasets.places.place import City, Place, Wish, read_cities, same_place
from veduta.errors import UsageError

TOWER = Place("Q1", "Tower", "Porto", (41.1458, -8.6139), "bell tower", "wikidata", 40, (), "Q1")


def test_the_famous_are_kept_and_no_more_than_wanted() -> None:
    places = [replace(TOWER, id=f"Q{fame}", name=f"Tower {fame}", wikidata=f"Q{fame}", fame=fame) for fame in range(20)]
    chosen = Wish(least_fame=5, most=3).chosen(places)
    assert [place.fame for place in chosen] == [19, 18, 17]


def test_kinds_and_names_leave_out() -> None:
    hotel = replace(TOWER, id="Q2", wikidata="Q2", name="Grand Hotel", kind="hotel")
    school = replace(TOWER, id="Q3", wikidata="Q3", name="Tower School", kind="school")
    wish = Wish(without_kinds=("Hotel",), without_names=("school",))
    assert wish.chosen([TOWER, hotel, school]) == [TOWER]


def test_one_place_under_two_ids_is_kept_once() -> None:
    on_map = replace(TOWER, id="way/7", provider="overpass", fame=12)
    nameless = replace(on_map, id="way/8", wikidata="", position=(41.1460, -8.6139))
    assert Wish().chosen([on_map, TOWER, nameless]) == [TOWER]
    assert not same_place(TOWER, replace(nameless, position=(38.7, -9.1)))


def test_cities_are_lines_of_text(tmp_path: Path) -> None:
    file = tmp_path / "cities.txt"
    file.write_text("# mine\nPorto\n\nParis; 48.8566; 2.3522\nRome; 41.9; 12.5; 8\n", "utf-8")
    assert read_cities(file) == [City("Porto"), City("Paris", (48.8566, 2.3522)), City("Rome", (41.9, 12.5), 8.0)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no city"),
        ("# nothing\n", "names no city"),
        ("Porto\nporto\n", "twice"),
        ("Porto; 91; 0", "line 1"),
        ("\nPorto; 0; 181", "line 2"),
        ("Porto; north; west", "no city"),
        ("Porto; 41", "no city"),
        ("Porto; 41; -8; 900", "radius"),
        ("Porto; nan; nan", "no city"),
        ("; 41; -8", "no city"),
    ],
)
def test_what_is_no_city_is_refused_by_its_line(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "cities.txt"
    file.write_text(text, "utf-8")
    with pytest.raises(UsageError, match=words):
        read_cities(file)


def test_a_file_that_can_not_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00\xd8")
    for name in ("none.txt", "binary.txt"):
        with pytest.raises(UsageError, match="can't be read"):
            read_cities(tmp_path / name)
