from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veduta.errors import OutputError, UsageError
from veduta.evaluation.conditions import Conditions
from veduta.evaluation.evaluate import Evaluation
from veduta.evaluation.figures import Judgement, judge
from veduta.evaluation.mistakes import Mistake, surest_mistakes
from veduta.images.pool import DecodePool
from veduta.models.bundle import Metric
from veduta.records import Failure, Label
from veduta.reports.mistakes import check_folder, write_mistakes

LABELS = (Label("bar", "bar"), Label("kitchen", "<b>kitchen</b>"), Label("sea", "sea\u202e"))
SAID = np.array([[0.1, 0.9, 0.0], [0.2, 0.5, 0.3], [0.0, 0.0, 1.0], [0.6, 0.4, 0.0]], np.float32)


def judged(judgement: Judgement, paths: Sequence[str], most: int = 60, size: int = 128) -> Evaluation:
    return Evaluation(
        conditions=Conditions("places<", "0123", size, 128, calibrated=size == 128),
        judgement=judgement,
        coarse=None,
        left_out=(),
        evidence=(Metric("evidence_kept", 0.75, "made", 4, (0.3, 0.95)),),
        mistakes=surest_mistakes(judgement, paths, most),
        failures=(Failure("gone.jpg", "PhotoNotFound", "It has gone."),),
    )


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodePool]:
    with DecodePool(1) as made:
        yield made


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    photos = tmp_path / "photos"
    photos.mkdir()
    names = ["<script>.png", "b\nc.png", "c.png", "d.png"]
    for shade, name in enumerate(names):
        Image.new("RGB", (400, 300), (9 + 60 * shade, 99, 199)).save(photos / name)
    return [str(photos / name) for name in names]


def test_mistakes_are_the_wrong_ones_by_their_probability(paths: list[str]) -> None:
    judgement = judge(LABELS, SAID, np.array([0, 2, 2, 1]), "made")
    found = surest_mistakes(judgement, paths)
    assert [(each.true.id, each.said.id, each.rank) for each in found] == [
        ("bar", "kitchen", 2),
        ("kitchen", "bar", 2),
        ("sea", "kitchen", 2),
    ]
    assert found[0] == Mistake(paths[0], LABELS[0], LABELS[1], pytest.approx(0.9), pytest.approx(0.1), 2)
    assert len(surest_mistakes(judgement, paths, 2)) == 2
    assert surest_mistakes(judge(LABELS, SAID, SAID.argmax(axis=1), "made"), paths) == ()


def test_the_page_shows_thumbnails_and_names_stay_text(paths: list[str], tmp_path: Path, pool: DecodePool) -> None:
    judgement = judge(LABELS, SAID, np.array([0, 2, 2, 1]), "<i>made</i>")
    Path(paths[3]).unlink()
    page = write_mistakes(tmp_path / "report", judged(judgement, paths), pool)
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "<b>kitchen" not in text
    assert "<i>" not in text
    assert "\u202e" not in text
    assert "&lt;script&gt;.png" in text
    assert "$" not in text
    assert text.count('class="card"') == 3
    assert text.count("no picture") == 1
    for told in ("25.0%", "75.0%", "3 of 3 mistakes", "4 photos judged, 1 without", "would show an error of"):
        assert told in text
    assert "not calibrated" not in text
    thumbs = [f"thumbs/{path.name}" for path in (page.parent / "thumbs").iterdir()]
    assert len(thumbs) == 2
    for source in ("assets/report.css", "assets/mistakes.css", *thumbs):
        assert source in text
        assert (page.parent / source).is_file()


def test_another_size_and_how_many_of_the_mistakes_are_shown_are_told(
    paths: list[str], tmp_path: Path, pool: DecodePool
) -> None:
    judgement = judge(LABELS, SAID, np.array([0, 2, 2, 1]), "made")
    page = write_mistakes(tmp_path / "report", judged(judgement, paths, most=2, size=96), pool)
    text = page.read_text(encoding="utf-8")
    assert "places&lt; at 96 pixels: mistakes on made" in text
    assert "2 of 3 mistakes" in text
    assert "not calibrated" in text


def test_a_later_page_replaces_the_earlier_and_its_pictures(paths: list[str], tmp_path: Path, pool: DecodePool) -> None:
    judgement = judge(LABELS, SAID, np.array([0, 2, 2, 1]), "made")
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "mine.txt").write_text("kept")
    write_mistakes(tmp_path / "report", judged(judgement, paths), pool)
    (tmp_path / "report" / "thumbs" / "mine.jpg").write_text("kept")
    page = write_mistakes(tmp_path / "report", judged(judgement, paths, 1), pool)
    shown = [path.name for path in (page.parent / "thumbs").iterdir() if path.name != "mine.jpg"]
    assert len(shown) == 1
    assert f"thumbs/{shown[0]}" in page.read_text(encoding="utf-8")
    assert (page.parent / "thumbs" / "mine.jpg").read_text() == "kept"
    assert (page.parent / "mine.txt").read_text() == "kept"


def test_pictures_of_the_user_are_neither_replaced_nor_deleted(
    paths: list[str], tmp_path: Path, pool: DecodePool
) -> None:
    judgement = judge(LABELS, SAID, np.array([0, 2, 2, 1]), "made")
    mine = [tmp_path / "Pictures" / "thumbs" / f"{number:03d}.jpg" for number in range(9)]
    mine[0].parent.mkdir(parents=True)
    for picture in mine:
        picture.write_text("mine")
    with pytest.raises(UsageError, match=r"thumbs: .* did not write"):
        check_folder(tmp_path / "Pictures")
    with pytest.raises(UsageError, match="did not write"):
        write_mistakes(tmp_path / "Pictures", judged(judgement, paths), pool)
    assert all(picture.read_text() == "mine" for picture in mine)


def test_a_disk_that_fills_up_leaves_the_page_of_before_as_it_was(
    paths: list[str], tmp_path: Path, pool: DecodePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    judgement = judge(LABELS, SAID, np.array([0, 2, 2, 1]), "made")
    page = write_mistakes(tmp_path / "report", judged(judgement, paths, 1), pool)
    before = {path: path.read_bytes() for path in page.parent.rglob("*") if path.is_file()}

    def full(folder: Path, name: str | Path) -> Path:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        with pytest.raises(OutputError, match="No space left"):
            write_mistakes(tmp_path / "report", judged(judgement, paths), pool)
    assert {path: path.read_bytes() for path in page.parent.rglob("*") if path.is_file()} == before
    text = write_mistakes(tmp_path / "report", judged(judgement, paths), pool).read_text(encoding="utf-8")
    assert text.count('class="card"') == 3


def test_another_page_or_a_file_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text('<meta name="generator" content="Veduta">')
    with pytest.raises(UsageError, match="did not write"):
        check_folder(tmp_path)
    with pytest.raises(UsageError, match="is a file"):
        check_folder(tmp_path / "index.html")
    check_folder(tmp_path / "new")
