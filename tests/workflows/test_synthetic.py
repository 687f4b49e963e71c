"""Generated pictures in a training: added, marked, and kept only where photos held out say that they help."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

pytest.importorskip("sklearn", reason="the extra learn is not installed")

import veduta
from veduta.datasets.identical import content_names
from veduta.datasets.manifest import read_data, read_manifest, write_manifest
from veduta.errors import OutputError, UsageError
from veduta.generation import sampler as sampling
from veduta.models.bundle import Bundle, GeneratorSpec
from veduta.records import Label
from veduta.workflows import synthetic
from veduta.workflows.synthetic import Gain, train_with_synthetic

COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}
Said = Callable[[str], tuple[int, int, int]]


class Painter:
    """In place of a generator: it paints each class in the colour that it is told."""

    def __init__(self, colour: Said, classes: tuple[str, ...], learnt: tuple[str, ...]) -> None:
        self.spec = GeneratorSpec(4, 16, tuple(Label(name, name) for name in classes), learnt=learnt)
        self.name = "painter"
        self.colour, self.labels, self.asked = colour, classes, 0
        self.bundle = veduta.load().bundle

    def sample(self, count: int, seed: int = 0, classes: list[str] | None = None, first: int = 0) -> sampling.Sample:
        self.asked += count
        assert classes is not None
        return sampling.Sample(_photos(count, self.colour(classes[0]), seed + first, 5), np.zeros(count, np.int64))


def _photos(count: int, colour: tuple[int, int, int], seed: int, noise: float) -> NDArray[np.uint8]:
    pixels = np.array(colour) + np.random.default_rng(seed).normal(0, noise, (count, 16, 16, 3))
    return np.clip(pixels, 0, 255).astype(np.uint8)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Ten photos of each colour."""
    for place, (name, colour) in enumerate(COLOURS.items()):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number, picture in enumerate(_photos(10, colour, place, 60)):
            Image.fromarray(picture).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


@pytest.fixture
def paint(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Painter]:
    def make(
        colour: Said = COLOURS.__getitem__,
        classes: tuple[str, ...] = tuple(COLOURS),
        learnt: tuple[str, ...] = ("0123456789abcdef",),
    ) -> Painter:
        painter = Painter(colour, classes, learnt)
        monkeypatch.setattr(synthetic.Sampler, "load", lambda _name: painter)
        return painter

    return make


def _train(data: Path, out: Path) -> Bundle | None:
    return veduta.train(data, out, recipe="transfer", views=0, folds=2)


def test_pictures_are_added_marked_and_both_figures_are_told(
    photos: Path, tmp_path: Path, paint: Callable[..., Painter]
) -> None:
    paint()
    bundle, found = train_with_synthetic(photos, tmp_path / "run", "painter", _train, share=0.5)
    assert (found.photos, found.learnt, found.generated) == (6, 24, 24)
    assert not found.kept  # all is right without them
    assert bundle.path == tmp_path / "run" / "bundle"
    told = json.loads((tmp_path / "run" / "synthetic.json").read_text())
    assert told["kept"] is False
    assert set(told) > {"photos_alone", "with_synthetic", "gain", "gain_interval"}
    added = read_manifest(tmp_path / "run" / "with-synthetic" / "set.csv")
    alone = read_manifest(tmp_path / "run" / "photos-alone" / "set.csv")
    generated = [entry for entry in added.entries if entry.synthetic]
    assert len(generated) == 24
    assert added.entries[: len(alone)] == alone.entries
    assert all(Path(entry.path).is_file() for entry in added.entries)
    assert "24 generated pictures" in (tmp_path / "run" / "with-synthetic" / "bundle" / "README.md").read_text()
    card, section = (bundle.path / "README.md").read_text().split("## With and without pictures of places100\n")
    assert "generated" not in card
    assert "- Photos alone: 100.0% (61.0% to 100.0%) of 6 photos held out are right." in section
    assert "24 generated pictures beside 24 photos bring +0.0 points (+0.0 to +0.0): they are not kept" in section
    assert "With and without" not in (tmp_path / "run" / "photos-alone" / "bundle" / "README.md").read_text()


@pytest.mark.parametrize(("before", "after", "kept"), [(1, 6, True), (3, 4, False), (4, 4, False), (6, 1, False)])
def test_pictures_are_kept_where_the_whole_interval_is_above_nothing(
    photos: Path,
    tmp_path: Path,
    paint: Callable[..., Painter],
    monkeypatch: pytest.MonkeyPatch,
    before: int,
    after: int,
    kept: bool,
) -> None:
    paint()
    hits = iter([np.arange(6) < before, np.arange(6) < after])
    monkeypatch.setattr(synthetic, "_hits", lambda _bundle, _judged: next(hits))
    bundle, found = train_with_synthetic(photos, tmp_path / "run", "painter", _train)
    assert found.kept is kept
    assert found.gain == pytest.approx((after - before) / 6)
    better = "with-synthetic" if kept else "photos-alone"
    assert bundle.bundle_id == Bundle.load(tmp_path / "run" / better / "bundle").bundle_id


@pytest.mark.parametrize(("low", "high", "words"), [
    (0.01, 0.03, "they are kept"),
    (0.0, 0.03, "it may be chance"),
    (-0.02, 0.0, "it may be chance"),
    (-0.04, -0.01, "they do harm"),
])  # fmt: skip
def test_what_follows_from_a_gain_is_said_as_it_is(low: float, high: float, words: str) -> None:
    assert words in Gain(10, 30, 30, 5, 5, 0.0, (low, high)).decision


def test_a_generator_that_makes_one_picture_again_and_again_is_refused(
    photos: Path, tmp_path: Path, paint: Callable[..., Painter], monkeypatch: pytest.MonkeyPatch
) -> None:
    paint()
    flat = np.full((100, 16, 16, 3), 90, np.uint8)
    monkeypatch.setattr(
        Painter, "sample", lambda _self, count, *_given: sampling.Sample(flat[:count], np.zeros(count, int))
    )
    with pytest.raises(UsageError, match="of 24 pictures that places100 makes 1 differ: it has collapsed"):
        train_with_synthetic(photos, tmp_path / "run", "painter", _train)


def test_the_same_call_again_makes_no_picture_anew(photos: Path, tmp_path: Path, paint: Callable[..., Painter]) -> None:
    painter = paint()
    first, _ = train_with_synthetic(photos, tmp_path / "run", "painter", _train)
    sorted((tmp_path / "run" / "synthetic").rglob("*.png"))[3].unlink()
    asked = painter.asked
    again, _ = train_with_synthetic(photos, tmp_path / "run", "painter", _train)
    assert again.bundle_id == first.bundle_id
    assert painter.asked == asked + 8  # one class alone


def test_photos_of_another_set_may_decide(photos: Path, tmp_path: Path, paint: Callable[..., Painter]) -> None:
    paint()
    other = tmp_path / "other"
    for name, colour in COLOURS.items():
        (other / name).mkdir(parents=True)
        for number, picture in enumerate(_photos(4, colour, 77, 60)):
            Image.fromarray(picture).save(other / name / f"{number}.png")
    _, found = train_with_synthetic(photos, tmp_path / "run", "painter", _train, judge_by=other)
    assert (found.photos, found.learnt) == (12, 30)
    with pytest.raises(UsageError, match=r"is among the photos of .*--judge-by"):
        train_with_synthetic(photos, tmp_path / "run2", "painter", _train, judge_by=photos)
    (other / "yellow").mkdir(parents=True)
    Image.fromarray(_photos(1, (200, 200, 0), 0, 1)[0]).save(other / "yellow" / "a.png")
    with pytest.raises(UsageError, match="has a photo of yellow, which is no class of the training"):
        train_with_synthetic(photos, tmp_path / "run2", "painter", _train, judge_by=other)


def test_photos_that_the_generator_learnt_from_never_judge(
    photos: Path, tmp_path: Path, paint: Callable[..., Painter]
) -> None:
    learnt = content_names([str(path) for name in COLOURS for path in sorted((photos / name).iterdir())[:9]])
    paint(learnt=learnt)
    _, found = train_with_synthetic(photos, tmp_path / "run", "painter", _train)
    assert found.photos == 3  # of each class the one that is left
    judged = [entry for entry in read_manifest(tmp_path / "run" / "photos-alone" / "set.csv").entries if entry.split]
    assert not set(content_names([entry.path for entry in judged])) & set(learnt)
    paint(learnt=content_names([str(path) for path in sorted((photos / "red").iterdir())]))
    with pytest.raises(UsageError, match=r"learnt from all photos of red.*--judge-by"):
        train_with_synthetic(photos, tmp_path / "run2", "painter", _train)
    with pytest.raises(UsageError, match="is one that places100 learnt from"):
        train_with_synthetic(photos, tmp_path / "run2", "painter", _train, judge_by=_copy(photos, tmp_path))


def test_a_full_disk_while_the_model_is_left_keeps_the_one_before_and_leaves_no_rest(
    photos: Path, tmp_path: Path, paint: Callable[..., Painter], monkeypatch: pytest.MonkeyPatch
) -> None:
    paint()
    before, _ = train_with_synthetic(photos, tmp_path / "run", "painter", _train)
    kept = {path.name: path.read_bytes() for path in before.path.iterdir()}

    def full(_from: Path, to: Path, **_options: Any) -> None:
        (Path(to) / "model.onnx").write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(synthetic.shutil, "copytree", full)
        with pytest.raises(OutputError, match="No space left"):
            train_with_synthetic(photos, tmp_path / "run", "painter", _train)
    assert {path.name: path.read_bytes() for path in before.path.iterdir()} == kept
    assert not list((tmp_path / "run").glob(".bundle-*"))


def test_a_generator_that_does_not_tell_what_it_learnt_from_is_refused(
    photos: Path, tmp_path: Path, paint: Callable[..., Painter]
) -> None:
    paint(learnt=())
    with pytest.raises(UsageError, match="places100 does not tell which photos it learnt from"):
        train_with_synthetic(photos, tmp_path / "run", "painter", _train)


def test_photos_of_one_group_judge_or_are_learnt_whatever_their_classes(
    photos: Path, tmp_path: Path, paint: Callable[..., Painter]
) -> None:
    paint()
    manifest = read_data(photos)
    # A film that shows red and green, and one of seven blue photos.
    film = {path.name for path in sorted((photos / "red").iterdir())[:4]}
    grouped = manifest.changed(
        lambda _, entry: replace(
            entry,
            group={"red": "film", "green": "film", "blue": "other"}[entry.labels[0]]
            if Path(entry.path).name in film or (entry.labels[0] == "blue" and Path(entry.path).name < "7.png")
            else "",
        )
    )
    write_manifest(tmp_path / "set.csv", grouped)
    _, found = train_with_synthetic(tmp_path / "set.csv", tmp_path / "run", "painter", _train)
    entries = read_manifest(tmp_path / "run" / "photos-alone" / "set.csv").entries
    assert len({entry.split for entry in entries if entry.group == "film"}) == 1
    assert {entry.split for entry in entries if entry.group == "other"} == {""}
    assert {entry.labels[0] for entry in entries if entry.split == "test"} == set(COLOURS)
    assert found.photos >= 3


def test_a_class_whose_photos_belong_together_is_told(
    photos: Path, tmp_path: Path, paint: Callable[..., Painter]
) -> None:
    paint()
    whole = read_data(photos).changed(
        lambda _, entry: replace(entry, group="film" if entry.labels[0] == "blue" else "")
    )
    write_manifest(tmp_path / "set.csv", whole)
    with pytest.raises(UsageError, match=r"of 10 photos of blue none can judge while 2 that do not belong.*--judge-by"):
        train_with_synthetic(tmp_path / "set.csv", tmp_path / "run", "painter", _train)


def _copy(photos: Path, tmp_path: Path) -> Path:
    """A photo of the set under another name and in no set; the generator knows it by its content."""
    (tmp_path / "copy" / "red").mkdir(parents=True)
    content = next(iter(sorted((photos / "red").iterdir()))).read_bytes()
    (tmp_path / "copy" / "red" / "x.png").write_bytes(content)
    for path in (photos / "red").iterdir():
        if path.read_bytes() == content:
            path.unlink()
    return tmp_path / "copy"


def test_pictures_of_another_seed_are_other_files(photos: Path, tmp_path: Path, paint: Callable[..., Painter]) -> None:
    paint()
    train_with_synthetic(photos, tmp_path / "run", "painter", _train)
    before = {path: path.read_bytes() for path in (tmp_path / "run" / "synthetic").rglob("*.png")}
    (tmp_path / "run" / "with-synthetic" / "features.npz").unlink(missing_ok=True)
    train_with_synthetic(photos, tmp_path / "run", "painter", _train, seed=1)
    after = set((tmp_path / "run" / "synthetic").rglob("*.png"))
    assert len(after) == 2 * len(before)
    assert all(path.read_bytes() == content for path, content in before.items())


def test_a_set_that_has_generated_pictures_already_is_refused(
    photos: Path, tmp_path: Path, paint: Callable[..., Painter]
) -> None:
    paint()
    train_with_synthetic(photos, tmp_path / "run", "painter", _train)
    with pytest.raises(UsageError, match="has generated pictures already"):
        train_with_synthetic(tmp_path / "run" / "with-synthetic" / "set.csv", tmp_path / "b", "painter", _train)


def test_a_class_that_the_generator_does_not_know_keeps_its_photos_alone(
    photos: Path, tmp_path: Path, paint: Callable[..., Painter]
) -> None:
    paint(classes=("red",))
    notes: list[str] = []
    watch = synthetic.Watch(note=notes.append)
    _, found = train_with_synthetic(photos, tmp_path / "run", "painter", _train, watch=watch)
    assert found.generated == 8
    assert any("does not know blue, green" in note for note in notes)
    paint(classes=("yellow",))
    with pytest.raises(UsageError, match="makes none of the classes; it makes yellow"):
        train_with_synthetic(photos, tmp_path / "run2", "painter", _train)


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, float("nan")])
def test_a_share_that_cannot_be_meant_is_refused(
    photos: Path, tmp_path: Path, paint: Callable[..., Painter], share: float
) -> None:
    paint()
    with pytest.raises(UsageError, match="can't be generated"):
        train_with_synthetic(photos, tmp_path / "run", "painter", _train, share=share)
