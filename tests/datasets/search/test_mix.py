from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pytest

from veduta.datasets.search.found import Found
from veduta.datasets.search.licences import Licences
from veduta.datasets.search.mix import read_phrasings, search_all
from veduta.datasets.search.own import AddressList, Folder
from veduta.errors import FetchFailed, SearchError, UsageError
from veduta.images.fetch import Fetcher

ANY = Licences()


@dataclass(frozen=True)
class Made:
    """Gives so many photos of each query, then fails or ends."""

    name: str
    photos: int
    fails: bool = False

    def search(self, query: str, wanted: Licences, fetcher: Fetcher) -> Iterator[Found]:
        for number in range(self.photos):
            yield Found(f"https://{self.name}.example/{query}/{number}", self.name)
        if self.fails:
            raise FetchFailed("it is down.", 503)


def test_providers_and_phrasings_take_turns(fetcher: Fetcher) -> None:
    found = search_all([Made("one", 3), Made("two", 1)], ["cat", "kitten"], ANY, fetcher)
    assert [photo.url.removeprefix("https://") for photo in found] == [
        "one.example/cat/0",
        "two.example/cat/0",
        "one.example/kitten/0",
        "two.example/kitten/0",
        "one.example/cat/1",
        "one.example/kitten/1",
        "one.example/cat/2",
        "one.example/kitten/2",
    ]


def test_a_photo_that_several_know_is_given_once(fetcher: Fetcher) -> None:
    found = list(search_all([Made("one", 3), Made("one", 5)], ["cat"], ANY, fetcher))
    assert len(found) == len({photo.url for photo in found}) == 5


def test_one_that_fails_is_told_and_the_others_go_on(fetcher: Fetcher) -> None:
    told: list[str] = []
    found = list(search_all([Made("one", 1, fails=True), Made("two", 4)], ["cat"], ANY, fetcher, note=told.append))
    assert len(found) == 5
    assert told == ["one gives no more photos of 'cat': it is down."]


def test_where_all_fail_every_reason_is_told(fetcher: Fetcher) -> None:
    with pytest.raises(SearchError, match=r"no provider could be asked\. one: it is down\. two: it is down\."):
        list(search_all([Made("one", 0, fails=True), Made("two", 0, fails=True)], ["cat"], ANY, fetcher))
    assert not list(search_all([Made("one", 0)], ["cat"], ANY, fetcher))


def test_no_more_is_asked_for_than_is_taken(fetcher: Fetcher) -> None:
    assert len(list(islice(search_all([Made("one", 10, fails=True)], ["cat"], ANY, fetcher), 10))) == 10


def test_a_folder_gives_its_photos_of_that_name(tmp_path: Path, fetcher: Fetcher) -> None:
    for name in ("Cat/a.jpg", "Cat/b.png", "Cat/notes.txt", "dog/c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = list(Folder(tmp_path).search("cat", Licences.read("cc0"), fetcher))
    assert [photo.path for photo in found] == [str(tmp_path / "Cat" / "a.jpg"), str(tmp_path / "Cat" / "b.png")]
    assert len(list(search_all([Folder(tmp_path)], ["cat", "CAT"], ANY, fetcher))) == 2
    with pytest.raises(UsageError, match="is no folder"):
        Folder(tmp_path / "nowhere")


def test_a_list_tells_whose_its_photos_are(tmp_path: Path, fetcher: Fetcher) -> None:
    (tmp_path / "list.csv").write_text(
        "url,query,author,licence\nhttps://a.example/1.jpg,Cat,Ada,CC BY 4.0\nhttps://a.example/2.jpg,dog,,\n"
        "https://a.example/3.jpg,,,https://creativecommons.org/publicdomain/zero/1.0/\n"
    )
    listed = AddressList.read(tmp_path / "list.csv")
    first, last = listed.search("cat", ANY, fetcher)
    assert (first.url, first.author, first.licence) == ("https://a.example/1.jpg", "Ada", "by")
    assert (last.licence, last.licence_url) == ("cc0", "https://creativecommons.org/publicdomain/zero/1.0/")
    assert [photo.url for photo in listed.search("dog", Licences.read("free"), fetcher)] == ["https://a.example/3.jpg"]
    (tmp_path / "list.csv").write_text("address\nhttps://a.example/1.jpg\n")
    with pytest.raises(UsageError, match="has no column url"):
        AddressList.read(tmp_path / "list.csv")


def test_a_name_has_several_phrasings() -> None:
    assert read_phrasings(["cat=house cat, kitten", "dog=puppy", "cat=tomcat"]) == {
        "cat": ("house cat", "kitten", "tomcat"),
        "dog": ("puppy",),
    }
    for wrong in ("cat", "=kitten", "cat=", "cat= , "):
        with pytest.raises(UsageError, match="can't be meant; write a name and its phrasings"):
            read_phrasings([wrong])
