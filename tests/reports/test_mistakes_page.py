from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veduta.errors import UsageError
from veduta.evaluation.figures import judge
from veduta.evaluation.mistakes import Mistake, surest_mistakes
from veduta.images.pool import DecodePool
from veduta.records import Label
from veduta.reports.mistakes import check_folder, write_mistakes

LABELS = (Label("bar", "bar"), Label("kitchen", "<b>kitchen</b>"), Label("sea", "sea\u202e"))
SAID = np.array([[0.1, 0.9, 0.0], [0.2, 0.5, 0.3], [0.0, 0.0, 1.0], [0.6, 0.4, 0.0]], np.float32)


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodePool]:
    with DecodePool(1) as made:
        yield made


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    photos = tmp_path / "photos"
    photos.mkdir()
    names = ["<script>.png", "b\nc.png", "c.png", "d.png"]
    for name in names:
        Image.new("RGB", (400, 300), (9, 99, 199)).save(photos / name)
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
    page = write_mistakes(tmp_path / "report", surest_mistakes(judgement, paths), judgement, pool, model="places<")
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "<b>kitchen" not in text
    assert "<i>" not in text
    assert "\u202e" not in text
    assert "&lt;script&gt;.png" in text
    assert "$" not in text
    assert text.count('class="card"') == 3
    assert text.count("no picture") == 1
    assert "25.0%" in text
    thumbs = sorted(path.name for path in (page.parent / "thumbs").iterdir())
    assert thumbs == ["000.jpg", "002.jpg"]
    for source in ("assets/report.css", "assets/mistakes.css", "thumbs/000.jpg"):
        assert source in text
        assert (page.parent / source).is_file()


def test_a_later_page_replaces_the_earlier_and_its_pictures(paths: list[str], tmp_path: Path, pool: DecodePool) -> None:
    judgement = judge(LABELS, SAID, np.array([0, 2, 2, 1]), "made")
    mistakes = surest_mistakes(judgement, paths)
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "mine.txt").write_text("kept")
    write_mistakes(tmp_path / "report", mistakes, judgement, pool, model="m")
    page = write_mistakes(tmp_path / "report", mistakes[:1], judgement, pool, model="m")
    assert [path.name for path in (page.parent / "thumbs").iterdir()] == ["000.jpg"]
    assert (page.parent / "mine.txt").read_text() == "kept"


def test_another_page_or_a_file_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text('<meta name="generator" content="Veduta">')
    with pytest.raises(UsageError, match="did not write"):
        check_folder(tmp_path)
    with pytest.raises(UsageError, match="is a file"):
        check_folder(tmp_path / "index.html")
    check_folder(tmp_path / "new")
