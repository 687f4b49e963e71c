"""Google and Bing on loopback: their pages as icrawler knows them."""

from __future__ import annotations

import html
import json
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from veduta.datasets.search.engines import Engine, bing, google
from veduta.datasets.search.licences import Licences
from veduta.errors import FetchFailed, SearchError
from veduta.images.fetch import Fetcher

from .services import Services

pytest.importorskip("icrawler")
ANY = Licences()


def bing_page(first: int, count: int) -> bytes:
    told = ({"murl": f"https://photos.example/{number}.jpg"} for number in range(first, first + count))
    photos = [json.dumps(each, separators=(",", ":")) for each in told]
    return "".join(f'<div class="imgpt"><a m="{html.escape(each)}"></a></div>' for each in photos).encode()


def google_page(first: int, count: int) -> bytes:
    photos = "".join(f'["https://photos.example/{number}.jpg",400,300]' for number in range(first, first + count))
    return f"<html><script>nothing()</script><script>AF_initDataCallback({photos})</script></html>".encode()


def pages(services: Services, engine: str, whole: int) -> None:
    """The first page has so many photos, the next ones none that are new."""
    page = bing_page if engine == "bing" else google_page
    services.instead = lambda asked: page(0, whole) if asked["path"] in ("/search", "/images/async") else 404


@pytest.fixture(params=["google", "bing"])
def engine(request: pytest.FixtureRequest, services: Services) -> Engine:
    return (google if request.param == "google" else bing)(services.url)


def test_photos_of_a_page_are_found_and_nothing_is_told_of_whose_they_are(
    engine: Engine, services: Services, fetcher: Fetcher
) -> None:
    pages(services, engine.name, 3)
    found = list(engine.search("house cat", ANY, fetcher))
    assert [photo.url for photo in found] == [f"https://photos.example/{number}.jpg" for number in range(3)]
    assert {(photo.licence, photo.author, photo.provider) for photo in found} == {("unknown", "", engine.name)}
    assert services.asked[0]["q"] == "house cat"


def test_a_page_with_nothing_new_ends_the_search(engine: Engine, services: Services, fetcher: Fetcher) -> None:
    pages(services, engine.name, 3)
    list(engine.search("cat", ANY, fetcher))
    assert len(services.asked) == 2


def test_under_a_licence_it_has_no_photo_and_says_so(engine: Engine, services: Services, fetcher: Fetcher) -> None:
    with pytest.raises(SearchError, match="tells no licences"):
        list(engine.search("cat", Licences.read("free"), fetcher))
    assert not services.asked


def test_an_engine_that_refuses_is_told(engine: Engine, services: Services, fetcher: Fetcher) -> None:
    services.instead = lambda _asked: 403
    with pytest.raises(FetchFailed):
        list(engine.search("cat", ANY, fetcher))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b'{"not": "a page"}', b'<div class="imgpt"></div>' * 3])
def test_another_page_than_it_knows_brings_nothing_or_its_sentence(
    engine: Engine, services: Services, fetcher: Fetcher, content: bytes
) -> None:
    services.instead = lambda _asked: content
    with suppress(SearchError):
        assert list(engine.search("cat", ANY, fetcher)) == []


@pytest.mark.parametrize("beginning", [b"http", b'murl":"'])
def test_a_page_that_would_keep_it_scanning_for_hours_is_refused(
    engine: Engine, services: Services, fetcher: Fetcher, beginning: bytes
) -> None:
    services.instead = lambda _asked: b"<script>" + 100_000 * beginning + b"</script>"
    with pytest.raises(SearchError, match="too long to read"):
        list(engine.search("cat", ANY, fetcher))


def test_words_in_any_letters_are_asked_for(engine: Engine, services: Services, fetcher: Fetcher) -> None:
    pages(services, engine.name, 1)
    list(engine.search("кошка & собака", ANY, fetcher))
    assert services.asked[0]["q"] == "кошка & собака"


def test_each_names_its_terms() -> None:
    for engine in (google(), bing()):
        assert urlsplit(engine.terms).scheme == "https"
