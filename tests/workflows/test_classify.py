"""From names to sorted photos: colours as classes, a made internet that knows photos of them, a made embedding."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from veduta.datasets.collect import Name
from veduta.datasets.manifest import read_data, read_manifest
from veduta.datasets.search.licences import Licences
from veduta.datasets.search.openverse import Openverse
from veduta.datasets.search.own import Folder
from veduta.errors import OutputError, SearchError, UsageError
from veduta.images.fetch import Clock, Fetcher, FetchLimits, Politeness
from veduta.jobs.ledger import Ledger
from veduta.models.bundle import Bundle
from veduta.models.installing import FORGOTTEN, forgotten_photos
from veduta.models.store import home
from veduta.workflows.classify import Asked, decide, find_model, make_model, read_names, sort_photos
from veduta.workflows.collection import Collection, collection_name
from veduta.workflows.forget import forget
from veduta.workflows.gather import Wanted
from veduta.workflows.teach import PASSPORT_TABLE, Learning
from veduta.workflows.watch import Watch

from ..datasets.search.services import Record, Services
from .textured import COLOURS, photo

NAMES = (Name("red", ("red",)), Name("blue", ("blue",)))
PHOTOS = 24


def logo() -> bytes:
    file = io.BytesIO()
    picture = Image.new("RGB", (300, 200), (255, 255, 255))
    picture.paste((200, 30, 30), (100, 60, 160, 120))
    picture.save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def internet() -> Iterator[Services]:
    made = Services()
    for first, colour in enumerate(COLOURS):
        numbers = range(100 * first, 100 * first + PHOTOS)
        made.records[colour] = [Record(number, colour, author=f"{colour} author") for number in numbers]
        for number in numbers:
            made.files[f"/photos/{number}.jpg"] = photo(colour, number)
    yield made
    made.close()


@pytest.fixture
def fetcher(internet: Services) -> Iterator[Fetcher]:
    with Fetcher(
        allow_loopback=True,
        ports={internet.port},
        politeness=Politeness(interval_seconds=0),
        limits=FetchLimits(total_seconds=3.0, read_seconds=1.0, retries=0, longest_wait=1.0),
        clock=Clock(sleep=lambda _seconds: None),
    ) as made:
        yield made


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEDUTA_HOME", str(tmp_path / "home"))


@pytest.fixture
def learning(make_model: Callable[..., Bundle]) -> Learning:
    return Learning(str(make_model().path))


@pytest.fixture
def wanted(internet: Services) -> Wanted:
    return Wanted(NAMES, (Openverse(internet.url),), per_class=PHOTOS)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """Photos of the user's own, four of each colour and one that is none."""
    for colour in COLOURS:
        (tmp_path / "mine" / colour).mkdir(parents=True)
        for number in range(4):
            (tmp_path / "mine" / colour / f"{number}.jpg").write_bytes(photo(colour, 900 + number))
    (tmp_path / "mine" / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    return tmp_path / "mine"


def heard() -> tuple[list[str], Watch]:
    said: list[str] = []
    return said, Watch(note=said.append)


def sort(bundle: Bundle, mine: Path, out: Path, threshold: float = 0.6, **options: Any) -> Any:
    decision = decide(bundle, Asked(NAMES, threshold), Watch())
    with Ledger.temporary() as ledger:
        return sort_photos(bundle, [str(mine)], out, decision, ledger=ledger, **{"pictures": False, **options})


def test_names_become_a_model_in_the_store_with_its_passport_beside_it(
    wanted: Wanted, learning: Learning, fetcher: Fetcher, internet: Services
) -> None:
    bundle = make_model(wanted, learning, fetcher, Watch())
    assert bundle.path == home() / "blue-red"
    assert [label.id for label in bundle.heads[0].labels] == ["blue", "red"]
    rows = _rows(bundle)
    assert len(rows) == 2 * PHOTOS
    assert rows[0]["url"] == f"{internet.url}/photos/0.jpg"
    assert (rows[0]["author"], rows[0]["licence"], rows[0]["page"]) == ("red author", "by", "https://museum.example/0")
    assert len(rows[0]["sha256"]) == 64
    assert len(rows[0]["hash"]) == 64
    assert rows[0]["seen"].endswith("+00:00")
    assert find_model([Name("Blue", ("x",)), Name("reds", ("y",))], retrain=False, watch=Watch()) == bundle


def test_the_set_that_it_learns_from_is_rgb_jpeg(
    wanted: Wanted, learning: Learning, fetcher: Fetcher, internet: Services
) -> None:
    for number in range(3):
        file = io.BytesIO()
        Image.open(io.BytesIO(photo("red", number))).convert("CMYK").save(file, "TIFF")
        internet.files[f"/photos/{number}.jpg"] = file.getvalue()
    make_model(wanted, learning, fetcher, Watch())
    kept = read_manifest(Collection.of(["red", "blue"]).manifest).kept
    for entry in kept:
        with Image.open(entry.path) as picture:
            assert (picture.format, picture.mode) == ("JPEG", "RGB")
    assert len(kept) >= 2 * PHOTOS - 8


def test_small_photos_drawings_copies_and_the_disowned_are_left_out_and_why_is_told(
    wanted: Wanted, learning: Learning, fetcher: Fetcher, internet: Services
) -> None:
    files = internet.files
    files["/photos/0.jpg"] = photo("red", 0, side=100)
    files["/photos/1.jpg"] = logo()
    files["/photos/2.jpg"] = files["/photos/3.jpg"]
    files["/photos/4.jpg"] = photo("blue", 500)
    said, watch = heard()
    make_model(wanted, learning, fetcher, watch)
    with Collection.of(["red", "blue"]).passport() as passport:
        dropped = {Path(visa.photo.url).stem: visa.dropped for visa in passport if visa.dropped}
    assert dropped["0"] == "small: 133 by 100 pixels"
    assert dropped["1"].startswith("drawing: no photograph?")
    assert dropped["3"].startswith("copy: of red/") or dropped["2"].startswith("copy: of red/")
    assert dropped["4"].startswith("disowned: the other photos call it blue")
    assert any(words.startswith("dropped: ") and "1 drawing" in words for words in said)
    kept = read_manifest(Collection.of(["red", "blue"]).manifest).counts()
    assert kept["red"] == kept["blue"], "classes are equal unless somebody asks for more"


def test_a_photo_that_is_found_under_two_names_stays_where_the_others_want_it(
    wanted: Wanted, learning: Learning, fetcher: Fetcher, internet: Services
) -> None:
    internet.files["/photos/0.jpg"] = internet.files["/photos/100.jpg"]
    make_model(wanted, learning, fetcher, Watch())
    with Collection.of(["red", "blue"]).passport() as passport:
        fates = {Path(visa.photo.url).stem: visa.dropped for visa in passport}
    assert fates["0"].startswith("disowned: the other photos call it blue")
    assert not fates["100"].startswith(("copy", "ambiguous", "disowned"))


def test_the_same_call_again_asks_nobody_and_learns_nothing_anew(
    wanted: Wanted, learning: Learning, fetcher: Fetcher, internet: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_model(wanted, learning, fetcher, Watch())
    asked = len(internet.asked)
    monkeypatch.setattr("veduta.workflows.teach.transfer", None)
    again = make_model(wanted, learning, fetcher, Watch())
    assert (again.bundle_id, len(internet.asked)) == (first.bundle_id, asked)


def test_retrain_forgets_the_model_and_keeps_what_was_fetched(
    wanted: Wanted, learning: Learning, fetcher: Fetcher, internet: Services
) -> None:
    first = make_model(wanted, learning, fetcher, Watch())
    assert find_model(NAMES, retrain=True, watch=Watch()) is None
    assert not first.path.exists()
    fetched = [each["path"] for each in internet.asked if each["path"].startswith("/photos/")]
    again = make_model(wanted, learning, fetcher, Watch())
    assert [each["path"] for each in internet.asked if each["path"].startswith("/photos/")] == fetched
    assert again.bundle_id == first.bundle_id


def test_a_class_of_which_too_few_photos_are_found_is_told_and_what_was_fetched_stays(
    wanted: Wanted, learning: Learning, fetcher: Fetcher, internet: Services
) -> None:
    for few in (5, 0):
        internet.records["blue"] = internet.records["blue"][:few]
        with pytest.raises(UsageError, match=rf"too few photos are found: {few} of blue.*--query \"blue="):
            make_model(wanted, learning, fetcher, Watch())
        assert len(list((Collection.of(["red", "blue"]).photos / "red").iterdir())) == PHOTOS


def test_that_all_providers_are_down_is_told_with_their_reasons(
    wanted: Wanted, learning: Learning, fetcher: Fetcher, internet: Services
) -> None:
    internet.instead = lambda _asked: 500
    with pytest.raises(SearchError, match=r"no provider could be asked\. openverse: "):
        make_model(wanted, learning, fetcher, Watch())


def test_photos_lie_in_the_folder_of_their_class_or_are_unsure(
    wanted: Wanted, learning: Learning, fetcher: Fetcher, mine: Path, tmp_path: Path
) -> None:
    bundle = make_model(wanted, learning, fetcher, Watch())
    out = tmp_path / "results"
    done = sort(bundle, mine, out)
    assert (done.summary.answered, done.summary.failed) == (8, 1)
    for colour in COLOURS:
        for number in range(4):
            linked = next(
                each for each in out.glob(f"*/{number}*.jpg") if each.resolve() == mine / colour / f"{number}.jpg"
            )
            assert linked.parent.name in (colour, "unsure")
    rows = _table(out / "results.csv")
    assert len(rows) == 9
    assert rows[0]["error"] or rows[0]["class"]
    told = [json.loads(line) for line in (out / "results.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["path"] for row in told] == [row["path"] for row in rows]
    table = _table(out / "thresholds.csv")
    assert sum(row["chosen"] == "yes" for row in table) == 1
    assert int(table[0]["photos_above"]) == 8
    assert int(table[0]["held_out_above"]) > 2 * PHOTOS - 8


def test_results_are_a_set_that_a_training_takes_without_heat_maps_and_the_unsure(
    wanted: Wanted, learning: Learning, fetcher: Fetcher, mine: Path, tmp_path: Path
) -> None:
    bundle = make_model(wanted, learning, fetcher, Watch())
    sort(bundle, mine, tmp_path / "results", threshold=0.5, pictures=True)
    assert list((tmp_path / "results").glob("*/*.heatmap.jpg"))
    manifest = read_data(tmp_path / "results")
    assert len(manifest) == 8
    assert all(not Path(entry.path).name.endswith((".heatmap.jpg", ".segmentation.jpg")) for entry in manifest.entries)
    sort(bundle, mine, tmp_path / "results", threshold=1.0)
    assert not read_data(tmp_path / "results").kept
    assert not list((tmp_path / "results" / "red").glob("*")), "what was sorted otherwise before is gone"


def test_a_precision_that_so_few_photos_can_not_promise_is_not_promised(
    wanted: Wanted, learning: Learning, fetcher: Fetcher
) -> None:
    bundle = make_model(wanted, learning, fetcher, Watch())
    said, watch = heard()
    decision = decide(bundle, Asked(NAMES, precision=0.997), watch)
    assert decision.threshold == 0.99
    assert "Too few photos to promise this" in said[0]
    decision = decide(bundle, Asked(NAMES, precision=0.6), watch)
    assert decision.promise is not None
    assert decision.promise.threshold == decision.threshold


def test_what_is_to_be_forgotten_goes_its_models_are_marked_and_it_never_comes_back(
    wanted: Wanted, learning: Learning, fetcher: Fetcher, internet: Services
) -> None:
    bundle = make_model(wanted, learning, fetcher, Watch())
    collection = Collection.of(["red", "blue"])
    with collection.passport() as passport:
        used = next(visa for visa in passport if not visa.dropped)
    removed = forget(used.photo.url)
    assert (removed.photos, removed.collections, removed.models) == (1, ("blue-red",), ("blue-red",))
    assert not (collection.photos / used.file).exists()
    assert not list(collection.jpegs.glob(f"*/{Path(used.file).stem}.jpg"))
    assert forgotten_photos(bundle.path)[0] == 1
    said, watch = heard()
    find_model(NAMES, retrain=False, watch=watch)
    assert any("to be forgotten" in words for words in said)
    find_model(NAMES, retrain=True, watch=Watch())
    before = len(internet.asked)
    again = make_model(wanted, learning, fetcher, Watch())
    assert used.photo.url.removeprefix(internet.url) not in [each["path"] for each in internet.asked[before:]]
    assert not (again.path / FORGOTTEN).exists()
    assert used.photo.title not in [row["title"] for row in _rows(again) if row["url"] == used.photo.url]


def test_a_kill_while_a_model_is_marked_leaves_none_unmarked(
    wanted: Wanted, learning: Learning, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = make_model(wanted, learning, fetcher, Watch())

    def killed(*_rest: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("veduta.workflows.forget.write_table", killed)
    with pytest.raises(KeyboardInterrupt):
        forget("red author")
    assert forgotten_photos(bundle.path)[0] > 0
    monkeypatch.undo()


@pytest.mark.parametrize("content", [b"", b"\xff", b"a,b\n1,2\n", b"url\n"])
def test_a_passport_table_that_somebody_changed_is_told_and_stops_no_sorting(
    wanted: Wanted, learning: Learning, fetcher: Fetcher, mine: Path, tmp_path: Path, content: bytes
) -> None:
    bundle = make_model(wanted, learning, fetcher, Watch())
    (bundle.path / PASSPORT_TABLE).write_bytes(content)
    assert sort(bundle, mine, tmp_path / "results").summary.answered == 8
    if content in (b"\xff", b"a,b\n1,2\n"):
        with pytest.raises(OutputError, match="make the model anew"):
            forget("red author")


def test_an_author_is_forgotten_with_all_photos_and_by_name_no_more(
    wanted: Wanted, learning: Learning, fetcher: Fetcher
) -> None:
    bundle = make_model(wanted, learning, fetcher, Watch())
    removed = forget("Red Author")
    assert removed.photos == PHOTOS
    assert "red author" not in (bundle.path / PASSPORT_TABLE).read_text(encoding="utf-8")
    with Collection.of(["red", "blue"]).passport() as passport:
        assert {visa.photo.author for visa in passport} == {"", "blue author"}


def test_the_users_own_folders_are_a_provider(learning: Learning, fetcher: Fetcher, tmp_path: Path) -> None:
    for colour in COLOURS:
        (tmp_path / "own" / colour).mkdir(parents=True)
        for number in range(PHOTOS):
            (tmp_path / "own" / colour / f"{number}.jpg").write_bytes(photo(colour, number))
    wanted = Wanted(NAMES, (Folder(tmp_path / "own"),), per_class=PHOTOS)
    assert make_model(wanted, learning, fetcher, Watch()).path.is_dir()


def test_other_settings_make_only_what_depends_on_them_anew(
    wanted: Wanted, learning: Learning, fetcher: Fetcher, internet: Services
) -> None:
    make_model(wanted, learning, fetcher, Watch())
    asked = len(internet.asked)
    make_model(replace(wanted, least_side=0), learning, fetcher, Watch())
    assert len(internet.asked) == asked, "another cleaning fetches nothing"
    make_model(replace(wanted, licences=Licences.read("by")), learning, fetcher, Watch())
    assert not [each for each in internet.asked[asked:] if each["path"].startswith("/photos/")]


def _rows(bundle: Bundle) -> list[dict[str, str]]:
    return _table(bundle.path / PASSPORT_TABLE)


def _table(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))


class TestNames:
    def test_are_looked_for_by_themselves_or_by_their_phrasings(self) -> None:
        names = read_names("cat, dog", {"cat": ("house cat", "kitten")})
        assert names == (Name("cat", ("house cat", "kitten")), Name("dog", ("dog",)))

    @pytest.mark.parametrize(
        ("classes", "sentence"),
        [
            ("cat", "fewer than two"),
            ("", "fewer than two"),
            ("cat,Cats", "'cat' and 'Cats' are the same"),
            ("cat,../x", "can't be a folder's name"),
            ("cat,/etc", "can't be a folder's name"),
            ("cat,unsure", "results need themselves"),
        ],
    )
    def test_that_can_not_be_meant_are_refused(self, classes: str, sentence: str) -> None:
        with pytest.raises(UsageError, match=sentence):
            read_names(classes, {})

    def test_phrasings_of_no_class_are_refused(self) -> None:
        with pytest.raises(UsageError, match="'bird', which is no class"):
            read_names("cat,dog", {"bird": ("sparrow",)})


@pytest.mark.parametrize(("threshold", "precision"), [(1.5, None), (-0.1, None), (None, 2.0), (0.9, 0.9)])
def test_a_threshold_that_is_no_probability_is_refused(threshold: float | None, precision: float | None) -> None:
    with pytest.raises(UsageError):
        Asked(NAMES, threshold, precision)


def test_a_collection_has_one_name_however_its_classes_are_written() -> None:
    assert collection_name(["Dogs", "cat"]) == collection_name(["cats", "dog"]) == "cat-dog"
    many = collection_name([f"class {number}" for number in range(60)])
    assert len(many) <= 64
    assert many != collection_name([f"class {number}" for number in range(61)])
    assert collection_name(["кошка", "собака"]) != collection_name(["кот", "собака"])
