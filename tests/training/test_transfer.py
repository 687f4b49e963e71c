"""From folders to a model by the embedding of the bundled one, without torch."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("sklearn", reason="the extra learn is not installed")
pytest.importorskip("onnx", reason="the extra learn is not installed")

import veduta
from veduta.errors import UsageError
from veduta.images.preprocess import Preprocessing
from veduta.models.bundle import Bundle
from veduta.records import Failure
from veduta.training import embeddings as embedding_room
from veduta.training import linear as linear_room
from veduta.training.left_out import LEFT_OUT
from veduta.training.transfer import FEATURES, Transfer, transfer

QUICK = Transfer(views=1, folds=3)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for name, level in (("day", 180), ("night", 10), ("dusk", 90)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(9):
            pixels = (random.integers(0, 70, (10, 12, 3)) + level).astype(np.uint8)
            image = Image.fromarray(pixels).resize((160, 140), Image.Resampling.NEAREST)
            image.save(tmp_path / "photos" / name / f"{index}.jpg")
    return tmp_path / "photos"


def test_folders_become_a_model_that_tags_and_explains(photos: Path, tmp_path: Path) -> None:
    told: list[str] = []
    bundle = transfer(photos, tmp_path / "run", QUICK, note=told.append)
    assert [label.id for label in bundle.heads[0].labels] == ["day", "dusk", "night"]
    tagger = veduta.load(bundle.path)
    assert tagger.predict(photos / "night" / "0.jpg").scores[0].label.id == "night"
    explanation = veduta.explain(tagger, photos / "day" / "0.jpg", "day")
    assert explanation.method == "class maps"
    assert any("held out in turn" in words for words in told)
    assert "places100" in (bundle.path / "README.md").read_text()
    Bundle.load(bundle.path, verify=True)


def test_changed_views_are_cut_from_the_whole_photo_though_the_model_sees_its_middle(tmp_path: Path) -> None:
    pixels = np.zeros((60, 180, 3), np.uint8)
    pixels[:, :60], pixels[:, 120:] = (255, 0, 0), (0, 0, 255)
    Image.fromarray(pixels).save(tmp_path / "flag.png")
    middle = Preprocessing("crop", ((32, 32),), "bilinear", 32)
    draws = [(0, view, 0) for view in range(1, 30)]
    for wanted in (middle, Preprocessing.squeezed(32)):
        seen = embedding_room._read(str(tmp_path / "flag.png"), wanted, embedding_room._whole(wanted), draws)
        assert not isinstance(seen, Failure)
        assert {each.shape for each in seen} == {(32, 32, 3)}
        assert bool(seen[0][:, 2:-2].any()) == (wanted.fit == "stretch")
        # The farthest edges are in some views: pure red and pure blue, whatever the colours' jitter leaves of them.
        assert max(float((each[..., 0] > each[..., 2] + 100).mean()) for each in seen[1:]) > 0.2
        assert max(float((each[..., 2] > each[..., 0] + 100).mean()) for each in seen[1:]) > 0.2


def test_embeddings_are_computed_once_and_anew_where_a_photo_changed(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = transfer(photos, tmp_path / "run", QUICK)
    computed: list[int] = []
    session = embedding_room.Session

    def counted(*given: object) -> object:
        computed.append(1)
        return session(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(embedding_room, "Session", counted)
    assert transfer(photos, tmp_path / "run", QUICK).bundle_id == first.bundle_id
    assert not computed
    Image.new("RGB", (99, 99), "teal").save(photos / "day" / "0.jpg")
    assert transfer(photos, tmp_path / "run", QUICK).bundle_id != first.bundle_id
    assert computed


@pytest.mark.parametrize("damage", ["other", "cut short", "zeros", "empty"])
def test_damaged_embeddings_are_computed_anew(photos: Path, tmp_path: Path, damage: str) -> None:
    first = transfer(photos, tmp_path / "run", QUICK)
    kept = tmp_path / "run" / FEATURES
    whole = kept.read_bytes()
    damaged = {"other": b"PK but no archive", "cut short": whole[: len(whole) // 2], "zeros": bytes(len(whole))}
    kept.write_bytes(damaged.get(damage, b""))
    assert transfer(photos, tmp_path / "run", QUICK).bundle_id == first.bundle_id
    assert kept.read_bytes() == whole


def test_photos_that_can_not_be_read_are_left_out_and_told(photos: Path, tmp_path: Path) -> None:
    (photos / "day" / "broken.jpg").write_text("no photo")
    told: list[str] = []
    bundle = transfer(photos, tmp_path / "run", QUICK, note=told.append)
    assert any("1 of 28 photos can't be decoded" in words and "broken.jpg" in words for words in told)
    assert "1 more could not be decoded" in (bundle.path / "README.md").read_text()
    (row,) = list(csv.DictReader((tmp_path / "run" / LEFT_OUT).read_text().splitlines()))
    assert row["path"].endswith("broken.jpg")
    # With the embeddings kept it is told as well.
    told.clear()
    assert transfer(photos, tmp_path / "run", QUICK, note=told.append).bundle_id == bundle.bundle_id
    assert any("1 of 28 photos can't be decoded" in words for words in told)


def test_the_list_of_photos_left_out_goes_with_the_last_of_them(photos: Path, tmp_path: Path) -> None:
    broken = photos / "day" / "broken.jpg"
    broken.write_text("no photo")
    transfer(photos, tmp_path / "run", QUICK)
    broken.unlink()
    transfer(photos, tmp_path / "run", QUICK)
    assert not (tmp_path / "run" / LEFT_OUT).exists()


def test_a_photo_that_could_not_be_opened_for_a_while_is_learnt_from_again(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = transfer(photos, tmp_path / "whole", QUICK)
    shut, read = photos / "day" / "3.jpg", embedding_room._read

    def without(path: str, *given: Any) -> Any:
        return Failure(path, "PhotoError", "no permission") if path == str(shut) else read(path, *given)

    with monkeypatch.context() as patched:
        patched.setattr(embedding_room, "_read", without)
        assert transfer(photos, tmp_path / "run", QUICK).bundle_id != whole.bundle_id
    assert transfer(photos, tmp_path / "run", QUICK).bundle_id == whole.bundle_id


def test_a_label_that_all_photos_have_or_none_is_learnt_as_such(photos: Path, tmp_path: Path) -> None:
    rows = ["file,photo,night,dusk"]
    for name in ("day", "night", "dusk"):
        rows += [f"photos/{name}/{each}.jpg,1,{int(name == 'night')},{int(name == 'dusk')}" for each in range(9)]
    (tmp_path / "tags.csv").write_text("\n".join(rows))
    bundle = transfer(tmp_path / "tags.csv", tmp_path / "run", QUICK)
    scores = {
        each.label.id: each.probability for each in veduta.load(bundle.path).predict(photos / "night/0.jpg").scores
    }
    assert min(scores["photo"], scores["night"]) > 0.5 > scores["dusk"]


def test_a_class_of_one_photo_is_refused_before_any_work(photos: Path, tmp_path: Path) -> None:
    for photo in sorted((photos / "dusk").iterdir())[1:]:
        photo.unlink()
    with pytest.raises(UsageError, match="class 'dusk' has 1 photo"):
        transfer(photos, tmp_path / "run", QUICK)
    assert not (tmp_path / "run").exists()


def test_photos_seen_larger_make_a_model_that_sees_them_so_too(photos: Path, tmp_path: Path) -> None:
    own = transfer(photos, tmp_path / "own", QUICK)
    larger = transfer(photos, tmp_path / "larger", Transfer(size=160, views=1, folds=3))
    assert own.preprocessing.sizes == ((128, 128),)
    assert larger.preprocessing.sizes == ((160, 160),)
    assert "160 by 160 pixels" in (larger.path / "README.md").read_text()
    assert veduta.load(larger.path).predict(photos / "night" / "0.jpg").scores[0].label.id == "night"


def test_photos_of_a_group_are_held_out_together(tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = ["path,label,group"]
    rows += [f"{file},{file.parent.name},{int(file.stem) // 3}" for file in sorted(photos.glob("*/*.jpg"))]
    (tmp_path / "set.csv").write_text("\n".join(rows))
    parts: list[tuple[str, ...]] = []
    asked = linear_room.folds_of

    def seen(targets: linear_room.Targets, folds: int, seed: int, groups: tuple[str, ...]) -> object:
        parts.append(groups)
        return asked(targets, folds, seed, groups)

    monkeypatch.setattr(linear_room, "folds_of", seen)
    transfer(tmp_path / "set.csv", tmp_path / "run", QUICK)
    assert parts == [("0",) * 3 + ("1",) * 3 + ("2",) * 3 + parts[0][9:]]


def test_values_that_can_not_be_meant_are_refused() -> None:
    with pytest.raises(UsageError, match="folds is 1"):
        Transfer(folds=1)
    with pytest.raises(UsageError, match="views is -1"):
        Transfer(views=-1)


def test_learning_needs_no_torch() -> None:
    program = "import sys, veduta.training.transfer; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
