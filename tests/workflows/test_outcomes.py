from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from veduta.errors import UsageError
from veduta.evaluation.comparison import Effort, Outcome
from veduta.images.pool import DecodePool
from veduta.models.bundle import Bundle
from veduta.recognition.tagger import load
from veduta.workflows.compared_photos import read_compared
from veduta.workflows.outcomes import About, Measuring, judge, keep_outcome, kept_outcome, places_of

QUICK = Measuring(rounds=1, seconds=0.001, photos=4)


def _judged(bundle: Bundle, data: Path) -> Outcome:
    effort = Effort(1.5, 2.5, 1, "a made machine")
    with DecodePool(1) as pool:
        tagger, photos = load(bundle.path, threads=1), read_compared(data)
        return judge(tagger, photos, pool, About("name", "model", 32, "scratch", effort), measuring=QUICK)


def test_a_photo_has_the_place_of_its_class_and_none_where_it_has_no_answer(
    photos: Path, make_model: Callable[..., Bundle]
) -> None:
    (photos / "blue" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n cut short")
    outcome = _judged(make_model(), photos)
    assert outcome.ranks is not None
    blue, green, red = outcome.ranks.reshape(3, 10)
    assert blue[0] == 0
    assert outcome.failures == 1
    assert (blue[1:8] == 1).all()
    assert (blue[8:] > 1).all()
    assert (green == 1).all()
    assert (red[:8] == 1).all()
    assert (outcome.classes, outcome.unknown) == (3, ())
    assert outcome.graph.photos_per_second > 0
    assert outcome.whole_way.photos_per_second > 0
    assert outcome.parameters == 4
    assert outcome.disk_bytes == sum(file.stat().st_size for file in Path(outcome.bundle).iterdir())


def test_photos_of_a_class_that_the_model_does_not_know_are_not_asked_about(
    photos: Path, make_model: Callable[..., Bundle]
) -> None:
    outcome = _judged(make_model(("red", "green", "teal")), photos)
    assert outcome.ranks is not None
    assert outcome.unknown == ("blue",)
    assert (outcome.ranks.reshape(3, 10)[0] == 0).all()
    assert (outcome.ranks.reshape(3, 10)[1:] > 0).all()


def test_of_many_labels_the_probabilities_are_kept(
    photos: Path, tmp_path: Path, make_model: Callable[..., Bundle]
) -> None:
    rows = ["file,red,fog,blue", "photos/red/0.png,1,0,0", "photos/blue/0.png,0,1,1", "photos/green/0.png,0,0,0"]
    (tmp_path / "tags.csv").write_text("\n".join(rows))
    outcome = _judged(make_model(task="multi_label"), tmp_path / "tags.csv")
    assert outcome.scores is not None
    blue, fog, red = outcome.scores.T
    assert np.isnan(fog).all()
    assert outcome.unknown == ("fog",)
    assert (blue[1] > 0.9, blue[0] < 0.1) == (True, True)
    assert (red[0] > 0.9, red[1] < 0.1) == (True, True)


def test_an_outcome_comes_back_as_it_was(photos: Path, tmp_path: Path, make_model: Callable[..., Bundle]) -> None:
    outcome = _judged(make_model(), photos)
    scores = np.array([[0.1, np.nan], [1 / 3, 1e-30]], np.float32)
    for one in (outcome, replace(outcome, ranks=None, scores=scores, effort=None)):
        keep_outcome(tmp_path / "outcome.json", "key", one)
        again = kept_outcome(tmp_path / "outcome.json", "key")
        assert again is not None
        assert replace(again, ranks=None, scores=None).__repr__() == replace(one, ranks=None, scores=None).__repr__()
        np.testing.assert_array_equal(again.ranks, one.ranks)  # type: ignore[arg-type]
        np.testing.assert_array_equal(again.scores, one.scores)  # type: ignore[arg-type]
    assert kept_outcome(tmp_path / "outcome.json", "another key") is None


@pytest.mark.parametrize("damage", ["", "cut", "zeros", "[]", '{"schema_version": 1, "key": "key"}', "other"])
def test_a_damaged_outcome_counts_as_none(
    photos: Path, tmp_path: Path, make_model: Callable[..., Bundle], damage: str
) -> None:
    file = tmp_path / "outcome.json"
    keep_outcome(file, "key", _judged(make_model(), photos))
    text = file.read_text()
    told = json.loads(text)
    del told["outcome"]["graph"]
    made = {"cut": text[: len(text) // 2], "zeros": "\0" * len(text), "other": json.dumps(told)}
    file.write_text(made.get(damage, damage))
    assert kept_outcome(file, "key") is None
    assert kept_outcome(tmp_path / "none.json", "key") is None


def test_models_and_sets_that_do_not_go_together_are_refused(
    photos: Path, tmp_path: Path, make_model: Callable[..., Bundle]
) -> None:
    many = load(make_model(task="multi_label", name="many").path)
    with pytest.raises(UsageError, match="many tells any number of labels, and photos has one label for each photo"):
        places_of(many, read_compared(photos))
    strange = load(make_model(("a", "b", "c"), name="strange").path)
    with pytest.raises(UsageError, match="'blue', 'green' and 'red' are no labels of strange"):
        places_of(strange, read_compared(photos))
    (tmp_path / "tags.csv").write_text("file,red,RED,blue\nphotos/red/0.png,1,1,0\n")
    with pytest.raises(UsageError, match="tags has two labels that are one of many"):
        places_of(many, read_compared(tmp_path / "tags.csv"))


def test_a_set_that_can_not_be_read_is_refused(photos: Path, make_model: Callable[..., Bundle]) -> None:
    for place, file in enumerate(photos.rglob("*.png")):
        file.write_bytes(b"no photo" * (place + 1))
    with pytest.raises(UsageError, match="photos: none of its 30 photos can be read"):
        _judged(make_model(), photos)
