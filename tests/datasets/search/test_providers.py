"""What the providers find, on a server that answers as they document it."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veduta.datasets.search.answers import without_markup
from veduta.datasets.search.flickr import Flickr
from veduta.datasets.search.found import Found, Provider
from veduta.datasets.search.licences import Licences
from veduta.datasets.search.openverse import Openverse
from veduta.datasets.search.wikimedia import Wikimedia
from veduta.errors import FetchFailed, SearchError, UsageError
from veduta.images.fetch import Fetcher

from .services import KEY, Record, Services

Make = Callable[[str], Provider]
MAKERS: dict[str, Make] = {
    "openverse": Openverse,
    "wikimedia": Wikimedia,
    "flickr": lambda address: Flickr(KEY, address),
}
EACH = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
ANY = Licences()


@EACH
def test_all_pages_are_given_in_the_services_order(services: Services, fetcher: Fetcher, make: Make) -> None:
    services.records["cat"] = [Record(number) for number in range(130)]
    found = list(make(services.url).search("cat", ANY, fetcher))
    numbers = [int("".join(filter(str.isdigit, photo.url.rpartition("/")[2]))) for photo in found]
    assert numbers == list(range(130))
    assert not list(make(services.url).search("unicorn", ANY, fetcher))


@EACH
def test_no_page_is_asked_for_before_it_is_needed(services: Services, fetcher: Fetcher, make: Make) -> None:
    services.records["cat"] = [Record(number) for number in range(600)]
    found = make(services.url).search("cat", ANY, fetcher)
    assert not services.asked
    list(islice(found, 3))
    assert len(services.asked) <= 2


@EACH
def test_what_is_not_wanted_is_not_given(services: Services, fetcher: Fetcher, make: Make) -> None:
    services.records["cat"] = [Record(1, licence="by"), Record(2, licence="by-nc-sa")]
    found = list(make(services.url).search("cat", Licences.read("free"), fetcher))
    assert [photo.licence for photo in found] == ["by"]
    assert not list(make(services.url).search("cat", Licences.read("by-nd"), fetcher))


def test_openverse_tells_whose_a_photo_is(services: Services, fetcher: Fetcher) -> None:
    services.records["cat"] = [Record(5, "A cat  at rest", "Zoë")]
    assert list(Openverse(services.url).search("cat", ANY, fetcher)) == [
        Found(
            f"{services.url}/photos/5.jpg",
            "openverse",
            "https://museum.example/5",
            "A cat at rest",
            "Zoë",
            "by",
            "https://creativecommons.org/licenses/by/4.0/",
        )
    ]


def test_wikimedia_tells_it_without_markup_and_gives_a_preview_of_a_large_one(
    services: Services, fetcher: Fetcher
) -> None:
    services.records["cat"] = [Record(5, "Cat", "Zoë & Co", width=6000), Record(6, author="<b>B</b>", licence="cc0")]
    large, small = Wikimedia(services.url).search("cat", ANY, fetcher)
    assert (large.url, large.page) == (
        f"{services.url}/photos/1280px-5.jpg",
        "https://commons.example/wiki/File:5.jpg",
    )
    assert (large.title, large.author, large.licence) == ("Cat.jpg", "Zoë & Co", "by")
    assert small.url == f"{services.url}/photos/6.jpg"
    assert (small.author, small.licence) == ("B", "cc0")


def test_flickr_gives_the_largest_handy_size_and_the_page(services: Services, fetcher: Fetcher) -> None:
    services.records["cat"] = [Record(5, width=1024), Record(6, licence="all-rights-reserved")]
    large, small = Flickr(KEY, services.url).search("cat", ANY, fetcher)
    assert large.url == f"{services.url}/photos/5_l.jpg"
    assert large.page == "https://www.flickr.com/photos/7@N00/5"
    assert (large.licence, large.licence_url) == ("by", "https://creativecommons.org/licenses/by/2.0/")
    assert (small.url, small.licence) == (f"{services.url}/photos/6_z.jpg", "all-rights-reserved")


def test_flickr_without_a_good_key_says_so(services: Services, fetcher: Fetcher) -> None:
    with pytest.raises(SearchError, match="flickr refuses: Invalid API Key"):
        list(Flickr("wrong", services.url).search("cat", ANY, fetcher))
    with pytest.raises(UsageError, match="letters and digits alone"):
        Flickr("key&method=evil")


@EACH
@pytest.mark.parametrize(
    "nonsense",
    [b"", b"<html>busy</html>", b"[1, 2]", b"{}", b'{"results": 5, "query": 5, "stat": "ok"}', b"[" * 100_000],
    ids=["empty", "a page", "a list", "nothing", "no records", "deep"],
)
def test_an_answer_that_makes_no_sense_is_an_error(
    services: Services, fetcher: Fetcher, make: Make, nonsense: bytes
) -> None:
    services.instead = lambda _asked: nonsense
    search = make(services.url).search("cat", ANY, fetcher)
    if nonsense == b"{}" and make is MAKERS["wikimedia"]:
        assert not list(search)  # that is how it says that it found nothing
        return
    with pytest.raises(SearchError):
        list(search)


@EACH
def test_records_of_any_shape_are_passed_over(services: Services, fetcher: Fetcher, make: Make) -> None:
    odd: list[object] = [None, 3, "x", {}, {"url": 5}, {"imageinfo": [3]}, {"imageinfo": [{"mime": "image/jpeg"}]}]

    def answer(asked: dict[str, str]) -> bytes | None:
        if asked.get("method") == "flickr.photos.licenses.getInfo":
            return None
        told = {"results": odd, "query": {"pages": odd}, "photos": {"photo": odd}, "stat": "ok"}
        return json.dumps(told).encode()

    services.instead = answer
    assert not list(make(services.url).search("cat", ANY, fetcher))


@EACH
def test_a_service_that_is_down_is_an_error_that_tells_its_status(
    services: Services, fetcher: Fetcher, make: Make
) -> None:
    services.instead = lambda _asked: 403
    with pytest.raises(FetchFailed) as caught:
        list(make(services.url).search("cat", ANY, fetcher))
    assert caught.value.status == 403


@EACH
def test_words_that_no_file_can_hold_and_markup_that_means_nothing_are_read_all_the_same(
    services: Services, fetcher: Fetcher, make: Make
) -> None:
    services.records["cat"] = [Record(1, "half \ud800 letter", "Ada <![x[ ]]>"), Record(2, author="<!-- <" * 500)]
    first, _ = make(services.url).search("cat", ANY, fetcher)
    first.title.encode()
    assert first.title.startswith("half ?")
    assert first.author.startswith("Ada")


@given(st.text())
def test_any_markup_has_words(html: str) -> None:
    without_markup(html).encode("utf-8", "surrogatepass")


def test_openverse_ends_where_it_gives_no_more_pages(services: Services, fetcher: Fetcher) -> None:
    services.records["cat"] = [Record(number) for number in range(100)]
    services.instead = lambda asked: 401 if int(asked["page"]) > 3 else None
    assert len(list(Openverse(services.url).search("cat", ANY, fetcher))) == 60


def test_wikimedia_that_goes_round_in_a_circle_is_left(services: Services, fetcher: Fetcher) -> None:
    services.instead = lambda _asked: json.dumps({"continue": {"gsroffset": 0}}).encode()
    with pytest.raises(SearchError, match="without a next page that is farther on"):
        list(Wikimedia(services.url).search("cat", ANY, fetcher))
