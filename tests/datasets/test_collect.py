"""Photos by name from a made internet, with noise among them, killed and gone on with."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veduta.datasets import collect as room
from veduta.datasets.collect import PASSPORT, Name, collect
from veduta.datasets.passport import Passport, Visa
from veduta.datasets.search.found import Found
from veduta.datasets.search.licences import Licences
from veduta.datasets.search.openverse import Openverse
from veduta.datasets.search.own import Folder
from veduta.errors import OutputError, SearchError, UsageError
from veduta.images.fetch import Clock, Fetcher, FetchLimits, Politeness

from .search.services import Record, Services

CAT = Name("cat", ("cat",))
# Collects eight photos and is killed when so many are there.
KILLED = """
import os, signal, sys
from pathlib import Path
from veduta.datasets.collect import PASSPORT, Name, collect
from veduta.datasets.passport import Passport
from veduta.datasets.search.licences import Licences
from veduta.datasets.search.openverse import Openverse
from veduta.images.fetch import Fetcher, Politeness

out, url, port, at = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

def kill(there, wanted):
    if there >= at:
        os.kill(os.getpid(), signal.SIGKILL)

with Fetcher(allow_loopback=True, ports={port}, politeness=Politeness(interval_seconds=0)) as fetcher:
    with Passport(out / PASSPORT) as passport:
        providers = [Openverse(url)]
        collect(Name("cat", ("cat",)), providers, Licences(), out, passport, fetcher, photos=8, on_photo=kill)
"""
ANY = Licences()


@pytest.fixture
def services() -> Iterator[Services]:
    made = Services()
    made.records["cat"] = [Record(number) for number in range(12)]
    for number in range(12):
        made.files[f"/photos/{number}.jpg"] = _photo(number)
    yield made
    made.close()


@pytest.fixture
def fetcher(services: Services) -> Iterator[Fetcher]:
    limits = FetchLimits(
        received_bytes=2**20, decoded_bytes=2**20, read_seconds=0.5, total_seconds=2.0, retries=1, longest_wait=5.0
    )
    with Fetcher(
        allow_loopback=True,
        ports={services.port},
        politeness=Politeness(interval_seconds=0),
        limits=limits,
        clock=Clock(sleep=lambda _seconds: None),
    ) as made:
        yield made


@pytest.fixture
def passport(tmp_path: Path) -> Iterator[Passport]:
    with Passport(tmp_path / "photos" / PASSPORT) as made:
        yield made


def _photo(number: int) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


def _files(folder: Path) -> set[bytes]:
    return {file.read_bytes() for file in folder.glob("cat/*")}


def test_the_first_photos_of_the_search_are_there_with_all_that_is_known_of_them(
    services: Services, fetcher: Fetcher, passport: Passport, tmp_path: Path
) -> None:
    out, told = tmp_path / "photos", list[tuple[int, int]]()
    found = collect(
        CAT, [Openverse(services.url)], ANY, out, passport, fetcher, photos=5, on_photo=lambda *each: told.append(each)
    )
    assert (found.label, found.photos, found.failures) == ("cat", 5, 0)
    assert _files(out) == {_photo(number) for number in range(5)}
    assert told[-1] == (5, 5)
    for number, visa in enumerate(passport.of_label("cat")):
        assert visa.photo.place == f"{services.url}/photos/{number}.jpg"
        assert (visa.photo.author, visa.photo.licence, visa.photo.page) == (
            "Ada",
            "by",
            f"https://museum.example/{number}",
        )
        assert visa.sha256 == hashlib.sha256((out / visa.file).read_bytes()).hexdigest()
        assert visa.seen.endswith("+00:00")


def test_what_is_no_photo_or_can_not_be_had_is_told_and_others_take_its_place(
    services: Services, fetcher: Fetcher, passport: Passport, tmp_path: Path
) -> None:
    services.files["/photos/0.jpg"] = b"<!doctype html><title>Log in</title>"
    services.files["/photos/1.jpg"] = 404
    services.files["/photos/2.jpg"] = b"\xff\xd8\xff" + bytes(2**21)
    services.moved["/photos/3.jpg"] = "http://10.0.0.1/secret.jpg"
    services.cut["/photos/4.jpg"] = 100
    services.files["/photos/5.jpg"] = b""
    found = collect(CAT, [Openverse(services.url)], ANY, tmp_path / "photos", passport, fetcher, photos=6)
    assert (found.photos, found.failures) == (6, 6)
    assert _files(tmp_path / "photos") == {_photo(number) for number in range(6, 12)}
    failures = {visa.photo.place.rpartition("/")[2]: visa.failure for visa in passport if visa.failure}
    assert failures["0.jpg"].startswith("it is an HTML page")
    assert "404" in failures["1.jpg"]
    assert "at most 1,048,576" in failures["2.jpg"]
    assert "10.0.0.1" in failures["3.jpg"]
    assert "4.jpg" not in failures  # it may be whole another time
    assert failures["5.jpg"]


def test_a_run_that_goes_on_fetches_nothing_twice_and_ends_the_same(
    services: Services, fetcher: Fetcher, tmp_path: Path
) -> None:
    services.files["/photos/1.jpg"] = 404
    whole = tmp_path / "whole"
    with Passport(whole / PASSPORT) as passport:
        collect(CAT, [Openverse(services.url)], ANY, whole, passport, fetcher, photos=8)
        expected = [visa.file for visa in passport]
    services.asked.clear()
    out = tmp_path / "killed"

    def killed(there: int, _wanted: int) -> None:
        if there == 3:
            raise KeyboardInterrupt

    with Passport(out / PASSPORT) as passport, pytest.raises(KeyboardInterrupt):
        collect(CAT, [Openverse(services.url)], ANY, out, passport, fetcher, photos=8, on_photo=killed)
    with Passport(out / PASSPORT) as passport:
        noted = {visa.photo.place for visa in passport}
        services.asked.clear()
        found = collect(CAT, [Openverse(services.url)], ANY, out, passport, fetcher, photos=8)
        assert found.photos == 8
        assert sorted(visa.file for visa in passport) == sorted(expected)
    again = {services.url + each["path"] for each in services.asked if each["path"].startswith("/photos/")}
    assert not again & noted
    services.asked.clear()
    with Passport(out / PASSPORT) as passport:
        collect(CAT, [Openverse(services.url)], ANY, out, passport, fetcher, photos=8)
    assert not [each for each in services.asked if each["path"].startswith("/photos/")]


@pytest.mark.parametrize("at", [0, 1, 4, 7])
def test_a_killed_process_leaves_what_it_had_and_the_next_ends_the_same(
    services: Services, fetcher: Fetcher, tmp_path: Path, at: int
) -> None:
    services.files["/photos/1.jpg"] = 404
    out = tmp_path / "photos"
    command = [sys.executable, "-c", KILLED, str(out), services.url, str(services.port), str(at)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    with Passport(out / PASSPORT) as passport:
        noted = {visa.photo.url for visa in passport}
        assert len(noted) >= at
        services.asked.clear()
        assert collect(CAT, [Openverse(services.url)], ANY, out, passport, fetcher, photos=8).photos == 8
        assert all((out / visa.file).is_file() for visa in passport if visa.file)
    assert _files(out) == {_photo(number) for number in (0, *range(2, 9))}
    assert not noted & {services.url + each["path"] for each in services.asked}


def test_a_file_whose_row_was_not_written_is_fetched_again_in_its_place(
    services: Services, fetcher: Fetcher, tmp_path: Path
) -> None:
    out = tmp_path / "photos"
    for _ in range(2):
        (out / PASSPORT).unlink(missing_ok=True)
        with Passport(out / PASSPORT) as passport:
            collect(CAT, [Openverse(services.url)], ANY, out, passport, fetcher, photos=3)
    assert len(list(out.glob("cat/*"))) == 3


def test_who_interrupts_it_waits_for_no_photo_that_was_not_begun(
    services: Services, fetcher: Fetcher, passport: Passport, tmp_path: Path
) -> None:
    services.records["cat"] = [Record(number) for number in range(200)]
    services.files |= {f"/photos/{number}.jpg": _photo(0) for number in range(200)}
    services.slow = {f"/photos/{number}.jpg": 0.02 for number in range(200)}

    def interrupted(there: int, _wanted: int) -> None:
        if there:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect(CAT, [Openverse(services.url)], ANY, tmp_path, passport, fetcher, photos=200, on_photo=interrupted)
    assert sum(each["path"].startswith("/photos/") for each in services.asked) < 100


def test_silence_and_a_busy_server_cost_a_photo_its_place_for_this_run_alone(
    services: Services, fetcher: Fetcher, passport: Passport, tmp_path: Path
) -> None:
    services.slow["/photos/0.jpg"] = 3.0
    services.later["/photos/1.jpg"] = 3600
    found = collect(CAT, [Openverse(services.url)], ANY, tmp_path, passport, fetcher, photos=3)
    assert (found.photos, found.failures) == (3, 2)
    assert _files(tmp_path) == {_photo(number) for number in (2, 3, 4)}
    services.slow.clear()
    services.later.clear()
    collect(CAT, [Openverse(services.url)], ANY, tmp_path, passport, fetcher, photos=5)
    assert _files(tmp_path) == {_photo(number) for number in range(5)}


@pytest.mark.parametrize("full", ["photos", "passport"])
def test_a_full_disk_is_one_sentence_and_what_was_fetched_stays(
    services: Services, fetcher: Fetcher, passport: Passport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: str
) -> None:
    out = tmp_path / "photos"
    collect(CAT, [Openverse(services.url)], ANY, out, passport, fetcher, photos=2)
    if full == "photos":

        def no_room(path: Path, _content: bytes) -> None:
            raise OutputError(f"{path} can't be written (No space left on device).")

        monkeypatch.setattr(room, "write_whole", no_room)
    else:
        pages = passport._connection.execute("PRAGMA page_count").fetchone()[0]
        passport._connection.execute(f"PRAGMA max_page_count = {pages}")
        many = [Record(number, "long " * 390, "long " * 390) for number in range(2, 12)]
        services.records["cat"] = [*services.records["cat"][:2], *many]
    with pytest.raises(OutputError, match=r"No space left|is full"):
        collect(CAT, [Openverse(services.url)], ANY, out, passport, fetcher, photos=12)
    assert {_photo(0), _photo(1)} <= _files(out)
    assert len(passport.of_label("cat")) >= 2


def test_a_photo_that_was_deleted_comes_back(
    services: Services, fetcher: Fetcher, passport: Passport, tmp_path: Path
) -> None:
    out = tmp_path / "photos"
    collect(CAT, [Openverse(services.url)], ANY, out, passport, fetcher, photos=3)
    (out / passport.of_label("cat")[1].file).unlink()
    assert collect(CAT, [Openverse(services.url)], ANY, out, passport, fetcher, photos=3).photos == 3
    assert _files(out) == {_photo(number) for number in range(3)}


def test_fewer_are_found_than_are_wanted(
    services: Services, fetcher: Fetcher, passport: Passport, tmp_path: Path
) -> None:
    assert collect(CAT, [Openverse(services.url)], ANY, tmp_path, passport, fetcher, photos=600).photos == 12
    nothing = Name("unicorn", ("unicorn",))
    assert collect(nothing, [Openverse(services.url)], ANY, tmp_path, passport, fetcher, photos=600).photos == 0
    services.instead = lambda _asked: 403
    with pytest.raises(SearchError, match="no provider could be asked"):
        collect(CAT, [Openverse(services.url)], ANY, tmp_path, passport, fetcher, photos=600)


def test_photos_of_ones_own_are_copied(fetcher: Fetcher, passport: Passport, tmp_path: Path) -> None:
    (tmp_path / "mine" / "cat").mkdir(parents=True)
    (tmp_path / "mine" / "cat" / "a.jpg").write_bytes(_photo(7))
    (tmp_path / "mine" / "cat" / "b.jpg").write_bytes(b"no photo")
    found = collect(CAT, [Folder(tmp_path / "mine")], ANY, tmp_path / "photos", passport, fetcher, photos=9)
    assert (found.photos, found.failures) == (1, 1)
    assert _files(tmp_path / "photos") == {_photo(7)}


@pytest.mark.skipif(sys.platform != "linux", reason="names there are letters")
def test_a_file_whose_name_is_no_text_is_taken_once(fetcher: Fetcher, passport: Passport, tmp_path: Path) -> None:
    (tmp_path / "mine" / "cat").mkdir(parents=True)
    Path(os.fsdecode(os.fsencode(tmp_path / "mine" / "cat") + b"/\xff.jpg")).write_bytes(_photo(7))
    for _ in range(2):
        found = collect(CAT, [Folder(tmp_path / "mine")], ANY, tmp_path / "photos", passport, fetcher, photos=9)
        assert (found.photos, found.failures) == (1, 0)
    assert len(passport.of_label("cat")) == 1


@pytest.mark.parametrize(
    "label",
    ["", " ", "../x", "a/b", "a\\b", ".hidden", "a\nb", " cat", "x" * 101, "c:d", "é" * 51, "cat.", "NUL", "com1.x"],
)
def test_a_name_that_can_not_be_a_folder_is_refused(label: str) -> None:
    with pytest.raises(UsageError, match="can't be a folder's name"):
        Name(label, ("cat",))


def test_a_passport_that_is_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / PASSPORT).write_bytes(b"not a database at all" * 100)
    with pytest.raises(OutputError, match="can't be used"):
        Passport(tmp_path / PASSPORT)
    assert (tmp_path / PASSPORT).read_bytes().startswith(b"not a database")


def test_visas_are_written_together_or_not_at_all(passport: Passport) -> None:
    visa = Visa("cat", Found("https://a.example/1.jpg", "list", author="Ada", licence="by"), file="cat/1.jpg")
    passport.add([visa])
    assert passport.visa("cat", visa.photo.place) == visa
    assert passport.visa("dog", visa.photo.place) is None
    assert list(passport) == passport.of_label("cat") == [visa]
