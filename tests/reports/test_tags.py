from __future__ import annotations

import base64
import io
import json
import re
import shutil
import struct
import subprocess
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from veduta.errors import OutputError, UsageError
from veduta.labels.translations import LANGUAGES
from veduta.records import Failure
from veduta.reports.tags import TagReport
from veduta.reports.words import asset, page_words

HOSTILE = (
    "<img src=x onerror=document.title='owned'>.jpg",
    "</script><script>document.title='owned'</script>.jpg",
    "line\nend\r.jpg",
    "evil\u202egpj.exe",
    "half\udcff.jpg",
    "=cmd|'/C calc'!A0.csv",
    "\u2028\u2029\x00.jpg",
    "quotes\" ' &amp; \\u0041.jpg",
)


def row(number: int, **changes: Any) -> dict[str, Any]:
    """A row as a run writes it."""
    labels = ("kitchen", "beach", "church/outdoor", "bar", "pub", "sky")
    return {
        "schema_version": 1,
        "path": f"album/IMG_{number:06d}.jpg",
        "digest": f"{number:032x}",
        "facts": {"format": "JPEG", "width": 640, "height": 480, "marks": []},
        "scores": [
            {"id": labels[(number + i) % 6], "name": labels[(number + i) % 6].title(), "probability": 0.5 / 2**i}
            for i in range(5)
        ],
        "coarse": [{"id": "home", "name": "home", "probability": 0.6}],
        "environment": {"kind": "indoor", "outdoor_probability": 0.1, "outdoor_vote": 0.2, "margin": 0.8},
        "evidence": {"value": 4.0, "threshold": 1.0, "fits": True},
        "model": "places100",
        "bundle_id": "0123",
        "precision": "float32",
        **changes,
    }


def picture(colour: str = "navy") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), colour).save(buffer, "JPEG")
    return buffer.getvalue()


def report(folder: Path, **changes: Any) -> TagReport:
    return TagReport(folder, **{"title": "Photos", "model": "places100", **changes})


def values(file: Path) -> tuple[str, list[Any]]:
    """The function that a data file calls, and what with: the file must be that one call and nothing else."""
    text = file.read_text(encoding="ascii")
    found = re.fullmatch(r"veduta\.(index|rows|names|failures)\((.*)\);\n", text, re.DOTALL)
    assert found is not None
    return found[1], json.loads(f"[{found[2]}]")


def data_of(folder: Path, kind: str) -> list[Any]:
    entries: list[Any] = []
    for number, file in enumerate(sorted((folder / "data").glob(f"run-*/{kind}-*.js"))):
        function, (given, some) = values(file)
        assert (function, given) == (kind, number)
        entries += some
    return entries


def index_of(folder: Path) -> tuple[dict[str, Any], bytes]:
    function, (head, records) = values(folder / "data" / "index.js")
    assert function == "index"
    return head, base64.b64decode(records, validate=True)


def everything(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_every_row_arrives_in_order_and_the_index_tells_what_is_needed_to_filter(tmp_path: Path) -> None:
    made = report(tmp_path)
    for number in range(250):
        made.add(row(number), picture(), b"RIFF0000WEBP" if number % 2 else None)
    page = made.close({"photos/s": 12.5})
    assert page == tmp_path / "index.html"
    head, records = index_of(tmp_path)
    rows = data_of(tmp_path, "rows")
    assert [each["path"] for each in rows] == [f"album/IMG_{number:06d}.jpg" for number in range(250)]
    assert data_of(tmp_path, "names") == [each["path"] for each in rows]
    assert head["rows"] == {"count": 250, "size": 100}
    assert head["summary"] == [["photos/s", 12.5]]
    assert len(records) == 16 * 250
    first = struct.unpack("<7HBB", records[16:32])
    assert [head["labels"][number] for number in first[:2]] == [
        ["beach", "Beach"],
        ["church/outdoor", "Church/Outdoor"],
    ]
    assert head["coarse"][first[5]] == ["home", "home"]
    assert first[6] == round(0.5 * 65535)
    assert first[7] == 1 | 8
    assert not list(tmp_path.rglob("*.bin"))
    assert not list(tmp_path.rglob("*.part"))


def test_pictures_lie_under_their_content(tmp_path: Path) -> None:
    made = report(tmp_path)
    made.add(row(1), picture(), b"RIFF0000WEBP and so on")
    made.add(row(2), b"", None)
    made.close()
    key = f"{1:032x}"
    assert (tmp_path / "thumbs" / "00" / f"{key}.jpg").read_bytes() == picture()
    assert (tmp_path / "heat" / "00" / f"{key}.webp").is_file()
    first, second = data_of(tmp_path, "rows")
    assert (first["key"], first["thumbs"], first["heat"]) == (key, "jpg", "webp")
    assert "thumbs" not in second


@pytest.mark.parametrize("digest", ["../../escape", "", None, "ABC/DEF", "0" * 7])
def test_a_digest_that_is_none_never_becomes_a_path(tmp_path: Path, digest: str | None) -> None:
    made = report(tmp_path / "report")
    made.add(row(1, digest=digest), picture())
    made.close()
    (found,) = (tmp_path / "report" / "thumbs").rglob("*.jpg")
    assert re.fullmatch(r"[0-9a-f]{32}\.jpg", found.name)


def test_hostile_names_come_through_as_data_and_nothing_else(tmp_path: Path) -> None:
    made = report(tmp_path, title=HOSTILE[1], model=HOSTILE[0])
    for number, name in enumerate(HOSTILE):
        made.add(row(number, path=name, scores=[{"id": name, "name": name, "probability": 0.5}]))
        made.fail(Failure(name, "CorruptPhoto", f"{name} can't be decoded; restore the file."))
    made.close({name: name for name in HOSTILE})
    assert tuple(data_of(tmp_path, "names")) == HOSTILE
    assert [failure[0] for failure in data_of(tmp_path, "failures")] == list(HOSTILE)
    head, _ = index_of(tmp_path)
    assert head["title"] == HOSTILE[1]
    for file in (tmp_path / "data").rglob("*.js"):
        assert not set(file.read_text(encoding="ascii")) & set("<>&")
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert page.count("<script") == 5
    assert "&lt;/script&gt;" in page


def test_data_never_becomes_markup_in_the_page() -> None:
    for name in ("store.js", "cards.js", "report.js"):
        code = asset(name)
        for danger in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
            assert danger not in code, (name, danger)


def test_nothing_in_the_report_points_outside(tmp_path: Path) -> None:
    made = report(tmp_path)
    made.add(row(1), picture())
    made.close()
    for file in (tmp_path / "index.html", *(tmp_path / "assets").iterdir(), *(tmp_path / "data").rglob("*.js")):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"https?:|//[a-z]+\.|@import|url\(", text), file
    assert "default-src 'none'" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_an_empty_run_and_one_of_failures_only_have_a_report(tmp_path: Path) -> None:
    report(tmp_path / "empty").close()
    head, records = index_of(tmp_path / "empty")
    assert (head["rows"]["count"], head["failures"]["count"], records) == (0, 0, b"")
    made = report(tmp_path / "failures")
    for number in range(501):
        made.fail(Failure(f"{number}.jpg", "CorruptPhoto", "It is broken."))
    made.close()
    assert index_of(tmp_path / "failures")[0]["failures"] == {"count": 501, "size": 500}
    assert len(data_of(tmp_path / "failures", "failures")) == 501


def test_parts_that_a_model_can_not_give_are_left_out(tmp_path: Path) -> None:
    made = report(tmp_path)
    made.add({"path": "a.jpg", "scores": []})
    made.add({"path": "b.jpg", "scores": [{"id": "cat", "probability": 1.0}]})
    made.close()
    first, second = data_of(tmp_path, "rows")
    assert first == {"path": "a.jpg", "scores": [], "coarse": []}
    assert second["scores"] == [[0, 1.0]]
    assert index_of(tmp_path)[0]["labels"] == [["cat", "cat"]]


def test_what_fits_nothing_is_marked_with_its_reason(tmp_path: Path) -> None:
    made = report(tmp_path)
    made.add(row(1, evidence={"value": 0.1, "threshold": 1.0, "fits": False, "reason": "it is a drawing"}))
    made.close()
    _, records = index_of(tmp_path)
    assert records[14] & 4
    assert data_of(tmp_path, "rows")[0]["evidence"]["reason"] == "it is a drawing"


def test_what_fits_nothing_counts_under_no_kind_of_place_and_no_environment(tmp_path: Path) -> None:
    made = report(tmp_path)
    for fits in (True, False):
        made.add(row(1, evidence={"value": 0.1, "threshold": 1.0, "fits": fits}))
    made.close()
    _, records = index_of(tmp_path)
    assert records[14] & 3
    assert records[10:12] != b"\xff\xff"
    assert not records[16 + 14] & 3
    assert records[16 + 10 : 16 + 12] == b"\xff\xff"


def test_of_several_models_the_card_shows_what_they_say_together(tmp_path: Path) -> None:
    answers = {"a": row(0), "b": row(1)}
    made = report(tmp_path)
    made.add({"path": "x.jpg", "digest": "0" * 32, "facts": row(0)["facts"], "models": answers, "combined": row(2)})
    made.add({"path": "y.jpg", "models": answers})
    made.close()
    labels = [name for name, _ in index_of(tmp_path)[0]["labels"]]
    first, second = data_of(tmp_path, "rows")
    assert labels[first["scores"][0][0]] == "church/outdoor"
    assert labels[second["scores"][0][0]] == "kitchen"
    assert [answer["model"] for answer in first["models"]] == ["a", "b"]


def test_several_models_without_common_scenes_show_the_first_and_the_common_coarse_label(tmp_path: Path) -> None:
    doubts = {"value": 0.1, "threshold": 1.0, "fits": False, "reason": "it is a drawing"}
    coarse = [{"id": "shop", "name": "shop", "probability": 0.7}]
    made = report(tmp_path)
    made.add({"path": "x.jpg", "models": {"a": row(0, evidence=doubts), "b": row(1)}, "combined": {"coarse": coarse}})
    made.add({"path": "y.jpg", "models": {"a": row(0, evidence=doubts), "b": row(1, evidence=doubts)}})
    made.close()
    head, records = index_of(tmp_path)
    first, second = data_of(tmp_path, "rows")
    assert head["labels"][first["scores"][0][0]][0] == "kitchen"
    assert head["coarse"][first["coarse"][0][0]][0] == "shop"
    assert "model" not in first
    assert not records[14] & 4
    assert records[16 + 14] & 4
    assert second["evidence"]["reason"] == "it is a drawing"


ATTRIBUTES = [
    {"id": "trees", "name": "trees", "probability": 0.75, "source": "photo"},
    {"id": "farming", "name": "farming", "probability": 0.25, "source": "scene"},
]


def test_attributes_come_with_their_source(tmp_path: Path) -> None:
    made = report(tmp_path)
    made.add(row(0, attributes=ATTRIBUTES))
    made.add(row(1))
    made.close()
    head, _ = index_of(tmp_path)
    assert head["attributes"] == [["trees", "trees"], ["farming", "farming"]]
    first, second = data_of(tmp_path, "rows")
    assert first["attributes"] == [[0, 0.75, 0], [1, 0.25, 1]]
    assert "attributes" not in second


def test_of_several_models_the_first_that_knows_the_photo_tells_the_attributes(tmp_path: Path) -> None:
    stranger = {**row(0, attributes=ATTRIBUTES[:1]), "evidence": {"value": 0.0, "threshold": 1.0, "fits": False}}
    silent, telling = row(0), row(0, attributes=ATTRIBUTES[1:])
    made = report(tmp_path)
    made.add({"path": "a.jpg", "models": {"stranger": stranger, "silent": silent, "telling": telling}})
    made.add({"path": "b.jpg", "models": {"stranger": stranger, "silent": silent}})
    made.close()
    head, _ = index_of(tmp_path)
    first, second = data_of(tmp_path, "rows")
    assert [head["attributes"][number][0] for number, _, _ in first["attributes"]] == ["farming"]
    assert "attributes" not in second


def test_a_second_run_replaces_the_first_and_leaves_nothing_of_it(tmp_path: Path) -> None:
    first = report(tmp_path / "again")
    for number in range(300):
        first.add(row(number), picture(), picture("red"))
        first.fail(Failure(f"{number}.jpg", "CorruptPhoto", "It is broken."))
    first.close()
    time.sleep(0.02)  # file systems tell times apart by some milliseconds
    for folder in ("again", "fresh"):
        second = report(tmp_path / folder)
        second.add(row(0), picture())
        second.close()
    again, fresh = everything(tmp_path / "again"), everything(tmp_path / "fresh")
    assert {name.replace("run-2", "run-1") for name in again} == set(fresh)
    third = report(tmp_path / "again")
    third.add(row(0), picture())
    third.close()
    assert everything(tmp_path / "again") == fresh


def test_until_it_is_closed_the_earlier_report_stays_whole(tmp_path: Path) -> None:
    first = report(tmp_path)
    first.add(row(0), picture())
    first.close()
    before = everything(tmp_path)

    def break_off() -> None:
        with report(tmp_path) as second:
            for number in range(150):
                second.add(row(number, path="other.jpg"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert everything(tmp_path) == before


def test_a_run_that_was_killed_leaves_the_earlier_report_and_no_trace_after_the_next(tmp_path: Path) -> None:
    first = report(tmp_path)
    first.add(row(0))
    first.close()
    before = everything(tmp_path)
    killed = report(tmp_path)
    for number in range(150):
        killed.add(row(number, path="other.jpg"))
    killed._index._file.close()  # as the system does with the files of a process that was killed
    assert before.items() <= everything(tmp_path).items()
    assert index_of(tmp_path)[0]["run"] == "run-1"
    third = report(tmp_path)
    third.add(row(0))
    third.close()
    assert [folder.name for folder in (tmp_path / "data").glob("run-*")] == ["run-3"]


def test_files_of_others_in_the_folder_are_not_touched(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    report(tmp_path).close()
    mine = [tmp_path / "notes.txt", tmp_path / "thumbs" / "ab" / "mine.jpg", tmp_path / "data" / "table.csv"]
    for file in mine:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("mine")
    time.sleep(0.02)
    report(tmp_path).close()
    assert all(file.read_text() == "mine" for file in mine)


@pytest.mark.parametrize(
    "name", ["data/run-1/model.bin", f"thumbs/ab/{'ab' * 16}.jpg", "assets/report.css", f"heat/ab/{'ab' * 16}.png"]
)
def test_a_folder_where_somebody_else_has_files_of_these_names_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match="did not write"):
        report(tmp_path)
    assert everything(tmp_path) == {name: b"mine"}


def test_a_first_report_that_was_killed_says_so_and_is_written_again(tmp_path: Path) -> None:
    killed = report(tmp_path, language="pt")
    killed.add(row(0), picture())
    killed._index._file.close()  # as the system does with the files of a process that was killed
    assert page_words("pt")["unfinished"] in (tmp_path / "index.html").read_text(encoding="utf-8")
    again = report(tmp_path)
    again.add(row(1))
    again.close()
    assert [each["path"] for each in data_of(tmp_path, "rows")] == ["album/IMG_000001.jpg"]


def test_a_folder_that_holds_another_page_is_refused(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<h1>My site</h1>")
    with pytest.raises(UsageError, match="did not write"):
        report(tmp_path)
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UsageError, match="is a file"):
        report(file)


def test_a_folder_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    report(tmp_path / "report").close()
    shutil.rmtree(tmp_path / "report" / "data")
    (tmp_path / "report" / "data").write_text("a file where a folder must be")
    with pytest.raises(OutputError, match="data"):
        report(tmp_path / "report")


def test_a_picture_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    with report(tmp_path) as made:
        (tmp_path / "thumbs").write_text("in the way")
        with pytest.raises(OutputError, match="thumbs"):
            made.add(row(1), picture())


def test_a_closed_report_takes_no_more(tmp_path: Path) -> None:
    made = report(tmp_path)
    made.close()
    with pytest.raises(OutputError, match="closed"):
        made.add(row(1))


def test_all_languages_have_all_words_and_their_gaps() -> None:
    english = page_words("en")
    for language in LANGUAGES:
        words = page_words(language)
        assert words.keys() == english.keys()
        for key, text in words.items():
            assert text.strip()
            assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", english[key])), (language, key)
    with pytest.raises(UsageError, match="'xx'"):
        page_words("xx")


def test_every_word_that_the_page_asks_for_is_there() -> None:
    code = asset("report.js") + asset("cards.js")
    asked = set(re.findall(r'word\("(\w+)"', code)) | set(re.findall(r'data-word="(\w+)"', asset("index.html")))
    asked |= set(re.findall(r'fact\(list, "(\w+)"', code))
    assert asked
    assert asked <= page_words("en").keys()


def test_words_can_be_replaced(tmp_path: Path) -> None:
    made = report(tmp_path, language="de", words={"photos": "Bilder"})
    made.close()
    head, _ = index_of(tmp_path)
    assert head["words"]["photos"] == "Bilder"
    assert head["words"]["failures"] == "Fehlschläge"


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    made = report(tmp_path)
    for number in range(500):
        made.add(row(number))
    tracemalloc.start()
    for number in range(500, 6500):
        made.add(row(number))
    held, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    made.close()
    print(f"after 6,000 more rows {held / 1024:.0f} KiB more, {most / 1024:.0f} KiB at most")
    assert most < 3 * 2**20


@pytest.mark.slow
def test_80_000_photos_open_in_a_browser(tmp_path: Path) -> None:
    """Prints how long the page took; skips where there is no Chromium."""
    made = report(tmp_path / "report", language="de")
    begun = time.perf_counter()
    for number in range(80_000):
        made.add(row(number), picture() if number < 60 else None)
    made.fail(Failure(HOSTILE[0], "CorruptPhoto", HOSTILE[1]))
    page = made.close()
    written = time.perf_counter() - begun
    size = (tmp_path / "report" / "data" / "index.js").stat().st_size
    print(f"80,000 rows written in {written:.1f} s; index.js has {size / 2**20:.2f} MiB")
    assert size < 3 * 2**20
    shown = browse(page, tmp_path / "profile")
    ready = re.search(r'data-ready="(\d+)"', shown)
    assert ready is not None
    print(f"the page was ready after {ready[1]} ms")
    assert shown.count('<article class="card">') == 60
    assert "80.000" in shown


@pytest.mark.slow
def test_hostile_names_do_nothing_in_a_browser(tmp_path: Path) -> None:
    made = report(tmp_path / "report", title=HOSTILE[1])
    for number, name in enumerate(HOSTILE):
        made.add(row(number, path=name, scores=[{"id": name, "name": name, "probability": 0.5}]))
        made.fail(Failure(name, "CorruptPhoto", name))
    shown = browse(made.close({name: name for name in HOSTILE}), tmp_path / "profile")
    assert shown.count("<script") == 5
    assert "<img src=" not in shown
    assert "<title>owned" not in shown
    assert "evil\\u202egpj.exe" in shown


@pytest.mark.slow
def test_attributes_are_shown_in_a_browser_but_not_where_nothing_fits(tmp_path: Path) -> None:
    made = report(tmp_path / "report")
    made.add(row(0, attributes=ATTRIBUTES))
    made.add(row(1, attributes=ATTRIBUTES, evidence={"value": 0.0, "threshold": 1.0, "fits": False}))
    shown = browse(made.close(), tmp_path / "profile")
    assert shown.count('class="tag attribute"') == 1
    assert shown.count('class="tag attribute scene"') == 1
    assert "farming" in shown


def browse(page: Path, profile: Path) -> str:
    """The page as Chromium has it after its scripts ran."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("there is no Chromium here to open the report with")
    switches = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    switches += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command = [browser, *switches, f"--user-data-dir={profile}", "--virtual-time-budget=6000", "--dump-dom"]
    done = subprocess.run([*command, page.as_uri()], capture_output=True, timeout=120, check=True)
    return done.stdout.decode("utf-8", "replace")


def test_a_landmark_comes_with_what_it_rests_on_and_none_with_its_reason(tmp_path: Path) -> None:
    tower = {"id": "tower/porto", "name": "Tower", "city": "Porto", "similarity": 0.7, "threshold": 0.4}
    hall = {"id": "hall", "name": "Hall", "similarity": 0.3, "threshold": 0.4, "rejection": "similarity"}
    references = [{"path": "mine/tower.jpg", "similarity": 0.8}]
    made = report(tmp_path)
    made.add(row(0, landmark={"id": "tower/porto", "name": "Tower", "candidates": [tower], "references": references}))
    made.add(row(1, landmark={"id": None, "name": None, "reason": "too little", "candidates": [hall]}))
    made.add(row(2))
    made.close()
    found, refused, unasked = data_of(tmp_path, "rows")
    assert found["landmark"] == {
        "city": "Porto",
        "similarity": 0.7,
        "threshold": 0.4,
        "name": "Tower",
        "references": ["mine/tower.jpg"],
    }
    assert refused["landmark"] == {"similarity": 0.3, "threshold": 0.4, "reason": "too little", "references": []}
    assert "landmark" not in unasked
