from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from veduta.errors import OutputError, UsageError
from veduta.evaluation.evaluate_classes import Evaluation, evaluate_classes
from veduta.evaluation.evaluate_labels import LabelEvaluation, evaluate_labels
from veduta.evaluation.options import Options
from veduta.images.pool import DecodePool
from veduta.models.bundle import Metric
from veduta.recognition.tagger import Tagger
from veduta.records import Failure, Label
from veduta.reports.evaluation import check_folder, write_evaluation

pytest.importorskip("matplotlib", reason="the extra evaluate is not installed")

Model = Callable[..., Tagger]
Folders = Callable[[str, dict[str, list[str]]], Path]


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodePool]:
    with DecodePool(1) as made:
        yield made


@pytest.fixture
def tagger(made_model: Model) -> Tagger:
    made: Tagger = made_model()
    return made


@pytest.fixture
def found(tagger: Tagger, colour_folders: Folders, pool: DecodePool) -> Evaluation:
    """Three mistakes of eight photos, one that can't be read, and a set from elsewhere."""
    data = colour_folders(
        "set", {"kitchen": ["red", "red", "blue", "broken"], "ocean": ["blue"] * 3 + ["red", "green"], "quay": ["grey"]}
    )
    wild = colour_folders("wild", {"kitchen": ["red", "green"]})
    return evaluate_classes(tagger, data, pool, Options(wild=wild))


@pytest.fixture
def many(made_model: Model, colour_folders: Folders, pool: DecodePool, tmp_path: Path) -> LabelEvaluation:
    colour_folders("many", {"images": ["red", "blue", "green"]})
    rows = ["images/0.png,kitchen|fog", "images/1.png,kitchen", "images/2.png,forest_path"]
    (tmp_path / "many" / "set.csv").write_text("\n".join(["path,labels", *rows]))
    return evaluate_labels(made_model(task="multi_label"), tmp_path / "many" / "set.csv", pool)


class Page(HTMLParser):
    """Checks that every element is closed, and notes what the page names."""

    VOID = {"meta", "link", "img", "path", "circle", "rect"}  # noqa: RUF012

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.files: list[str] = []
        self.text = page.read_text(encoding="utf-8")
        self.feed(self.text)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        named = dict(attributes)
        self.ids += [named["id"] or ""] if "id" in named else []
        self.files += [
            value for name in ("src", "href") if (value := named.get(name)) and not value.startswith(("#", "data:"))
        ]
        assert "style" not in named, "the page's policy forbids it"
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_tells_every_part_and_all_its_files_are_there(
    found: Evaluation, tagger: Tagger, tmp_path: Path, pool: DecodePool
) -> None:
    page = Page(write_evaluation(tmp_path / "report", found, tagger, pool))
    panels = ["figures", "belief", "thresholds", "sets", "classes", "confusions", "names", "elsewhere", "mistakes"]
    assert [id for id in page.ids if id in panels] == panels
    assert len(set(page.ids)) == len(page.ids)
    for each in page.files:
        assert (tmp_path / "report" / each).is_file(), each
    for told in (
        "made on set", "8 photos judged, 1 without an answer", "62.5%", "3 of 3 mistakes",
        "would show an error of", "Too few photos to promise this", "drop in points", "quay", "Brier score",
        "mean F1 of the classes", "CorruptPhoto", "place 2",
    ):  # fmt: skip
        assert told in page.text, told
    # Three mistakes here and one elsewhere: a photo, and the same under its heat map.
    assert page.text.count('class="card"') == 4
    assert page.text.count('class="heat"') == 4
    assert {Path(each).name for each in page.files if each.startswith("tables/")} == {
        "photos.csv",
        "classes.csv",
        "confusions.csv",
        "thresholds.csv",
    }
    assert sum(each.endswith(".png") for each in page.files) == 8  # two diagrams in two themes, shown and linked


def test_names_stay_text_and_a_photo_that_has_gone_is_shown_without_a_picture(
    found: Evaluation, tagger: Tagger, tmp_path: Path, pool: DecodePool
) -> None:
    judgement = found.judgement
    labels = (Label("a", "<b>bar</b>"), Label("b", "$sea\u202e"), Label("c", "</script><script>"))
    mistakes = tuple(
        replace(each, path="/none/<img src=x>\n.png", true=labels[0], said=labels[1]) for each in found.mistakes
    )
    classes = tuple(replace(each, label=labels[2]) for each in judgement.classes)
    main = replace(found.main, judgement=replace(judgement, data="<i>set</i>", classes=classes, labels=labels))
    failures = (Failure("<u>.jpg", "PhotoNotFound", "It has <s>gone</s>."),)
    evil = replace(found, main=main, mistakes=mistakes, failures=failures, wild=None, drops=())
    page = Page(write_evaluation(tmp_path / "report", evil, tagger, pool))
    assert not {"i", "s", "u"} & set(page.tags)
    assert page.tags.count("script") == 1
    assert "<b>bar" not in page.text
    assert "\u202e" not in page.text
    assert "&lt;i&gt;set&lt;/i&gt;" in page.text
    assert "$sea" in page.text
    assert page.text.count("no picture") == 3


def test_figures_that_do_not_count_as_calibrated_or_are_the_evidences_are_told(
    found: Evaluation, tagger: Tagger, tmp_path: Path, pool: DecodePool
) -> None:
    conditions = replace(found.conditions, size=32, calibrated=False)
    changed = replace(
        found, conditions=conditions, evidence=(Metric("evidence_rejected", 0.75, "cats", 40, (0.6, 0.86)),)
    )
    text = Page(write_evaluation(tmp_path / "report", changed, tagger, pool)).text
    assert "made at 32 pixels on set" in text
    assert "not calibrated" in text
    assert "strangers rejected by the evidence" in text
    assert "75.0%" in text


def test_a_model_of_many_labels_gets_its_labels_and_photos_of_the_worst(
    many: LabelEvaluation, made_model: Model, tmp_path: Path, pool: DecodePool
) -> None:
    page = Page(write_evaluation(tmp_path / "report", many, made_model(task="multi_label"), pool))
    panels = ["figures", "labels", "belief", "worst"]
    assert [id for id in page.ids if id in panels] == panels
    for told in ("mean average precision", "kitchen", "forest path", "Have kitchen", "Lack kitchen", "fog", "ocean"):
        assert told in page.text, told
    for each in page.files:
        assert (tmp_path / "report" / each).is_file(), each
    assert page.text.count('class="heat"') == page.text.count('class="card"') > 3


def test_a_later_page_replaces_the_earlier_and_its_files_and_no_others(
    found: Evaluation, many: LabelEvaluation, tagger: Tagger, made_model: Model, tmp_path: Path, pool: DecodePool
) -> None:
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "mine.txt").write_text("kept")
    write_evaluation(folder, found, tagger, pool)
    (folder / "pictures" / "mine.jpg").write_text("kept")
    (folder / "tables" / "mine.csv").write_text("kept")
    page = Page(write_evaluation(folder, many, made_model(task="multi_label"), pool))
    pictures = {f"pictures/{each.name}" for each in (folder / "pictures").iterdir()} - {"pictures/mine.jpg"}
    assert pictures == {each for each in page.files if each.startswith("pictures/")}
    assert {each.name for each in (folder / "tables").iterdir()} == {"mine.csv", "photos.csv", "labels.csv"}
    assert (folder / "pictures" / "mine.jpg").read_text() == (folder / "mine.txt").read_text() == "kept"


def test_a_disk_that_fills_up_leaves_the_page_of_before_and_its_pictures(
    found: Evaluation, tagger: Tagger, tmp_path: Path, pool: DecodePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = write_evaluation(tmp_path / "report", replace(found, mistakes=found.mistakes[:1]), tagger, pool)
    before = {path: path.read_bytes() for path in page.parent.rglob("*") if path.is_file()}

    def full(folder: Path, name: str | Path) -> Path:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        with pytest.raises(OutputError, match="No space left"):
            write_evaluation(tmp_path / "report", found, tagger, pool)
    assert {path: path.read_bytes() for path in page.parent.rglob("*") if path.is_file()} == before
    assert Page(write_evaluation(tmp_path / "report", found, tagger, pool)).text.count('class="card"') == 4


def test_what_the_user_put_there_is_never_replaced(
    found: Evaluation, tagger: Tagger, tmp_path: Path, pool: DecodePool
) -> None:
    mine = tmp_path / "album" / "pictures" / "0123456789abcdef.jpg"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    for refused in (check_folder, lambda folder: write_evaluation(folder, found, tagger, pool)):
        with pytest.raises(UsageError, match=r"pictures: .* did not write"):
            refused(tmp_path / "album")
    assert mine.read_text() == "mine"
    other = tmp_path / "other"
    other.mkdir()
    (other / "index.html").write_text('<meta name="generator" content="Veduta">')
    with pytest.raises(UsageError, match="did not write"):
        check_folder(other)
    with pytest.raises(UsageError, match="is a file"):
        check_folder(other / "index.html")
    check_folder(tmp_path / "new")


def test_the_same_evaluation_gives_the_same_page(
    found: Evaluation, tagger: Tagger, tmp_path: Path, pool: DecodePool
) -> None:
    first, second = (write_evaluation(tmp_path / name, found, tagger, pool) for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    assert re.findall(r"pictures/[0-9a-f]+", first.read_text()) != []
