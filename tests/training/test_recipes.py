from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from PIL import Image

import veduta
from veduta.errors import CorruptPhoto, TrainingError, UsageError
from veduta.images.preprocess import Preprocessing
from veduta.models.bundle import Bundle
from veduta.training.recipes import Progress, Recipe, fit, read_dataset, read_photos
from veduta.training.schedules import PRESETS, Schedule

QUICK = Recipe(
    "squeezenet1_1",
    None,
    size=32,
    validation_share=0.25,
    schedule=replace(PRESETS["scratch_adamw"], side=32, epochs=2, batch_size=8, label_smoothing=0.0, average_decay=0.5),
)


def _photo(path: Path, level: int, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 60, (40, 48, 3))
    Image.fromarray((noise + level).astype(np.uint8)).save(path, quality=90)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for index in range(12):
        _photo(tmp_path / "data" / "bright_day" / f"{index}.jpg", 190, index)
        _photo(tmp_path / "data" / "night" / f"{index}.jpg", 0, 100 + index)
    return tmp_path / "data"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rows = ["file,light,dark,photo"]
    for index in range(24):
        light = index % 2
        _photo(tmp_path / "data" / "images" / f"{index}.jpg", 190 * light, index)
        rows.append(f"{index}.jpg,{light},{1 - light},1")
    (tmp_path / "data" / "tags.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "data" / "tags.csv"


def test_class_folders_become_a_bundle_that_tags(folders: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    schedules: list[Schedule] = []
    bundle = fit(folders, tmp_path / "run", QUICK, progress=Progress(note=notes.append, start=schedules.append))
    assert bundle is not None
    assert bundle.path == tmp_path / "run" / "bundle"
    (head,) = bundle.heads
    assert [(label.id, label.name) for label in head.labels] == [("bright_day", "bright day"), ("night", "night")]
    assert head.task == "single_label"
    assert head.temperature is None, "six held-out photos say nothing of how far a score can be believed"
    assert any(note.startswith("6 held-out photos are too few to calibrate with") for note in notes)
    assert "6 held-out photos are too few" in (bundle.path / "README.md").read_text()
    assert bundle.metrics[0].name == "top1"
    assert bundle.metrics[0].count == 6
    assert schedules[0].batch_size == 4, "eighteen photos are a few batches, not one"
    assert any("24 photos of 2 classes; 6 are held out" in note for note in notes)
    prediction = veduta.load(str(bundle.path)).predict(str(folders / "night" / "0.jpg"))
    assert sum(score.probability for score in prediction.scores) == pytest.approx(1.0, abs=1e-4)
    assert prediction.environment is None
    assert {"config.json", "log.jsonl", "curves.png", "checkpoint.pt", "best.pt", "bundle"} <= {
        path.name for path in (tmp_path / "run").iterdir()
    }


def test_a_table_of_many_labels_becomes_a_head_of_sigmoids(table: Path, tmp_path: Path) -> None:
    bundle = fit(table, tmp_path / "run", QUICK)
    assert bundle is not None
    (head,) = bundle.heads
    assert head.task == "multi_label"
    assert [label.id for label in head.labels] == ["light", "dark", "photo"]
    assert {metric.name for metric in bundle.metrics} == {"mean_average_precision", "f1"}
    assert "which of 3 labels a photo has" in (bundle.path / "README.md").read_text()
    loaded = Bundle.load(bundle.path)
    assert loaded.bundle_id == bundle.bundle_id


def test_a_run_that_was_finished_is_exported_again_to_the_same_bundle(folders: Path, tmp_path: Path) -> None:
    steps: list[int] = []
    counted = Progress(step=lambda step, _steps, _loss: steps.append(step))
    first = fit(folders, tmp_path / "run", QUICK, progress=counted)
    trained = len(steps)
    second = fit(folders, tmp_path / "run", QUICK, progress=counted)
    assert first is not None
    assert second is not None
    assert second.bundle_id == first.bundle_id
    assert len(steps) == trained


def test_photos_that_memory_does_not_hold_are_read_when_they_are_needed(folders: Path) -> None:
    dataset = read_dataset(folders)
    wanted = Preprocessing("crop", ((32, 32),), "bilinear", 32)
    held, on_disk = read_photos(dataset, wanted), read_photos(dataset, wanted, memory=1000)
    assert isinstance(held.pixels, np.ndarray)
    assert not isinstance(on_disk.pixels, np.ndarray)
    assert len(on_disk) == len(held) == 24
    some = np.array([3, 20])
    assert (on_disk.subset(some).read(0, 9) == held.subset(some).read(0, 9)).all()
    assert (on_disk.subset(some).photo(1) == held.photo(20)).all()


def test_training_from_disk_gives_the_model_of_training_from_memory(
    folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = replace(QUICK, schedule=replace(QUICK.schedule, epochs=1))
    held = fit(folders, tmp_path / "held", quick)
    monkeypatch.setattr("veduta.training.recipes.MEMORY", 1000)
    read = fit(folders, tmp_path / "read", quick)
    assert held is not None
    assert read is not None
    assert read.embedding_id == held.embedding_id


def test_a_model_to_start_from_brings_its_network_along(folders: Path, tmp_path: Path) -> None:
    quick = replace(QUICK, schedule=replace(QUICK.schedule, epochs=1))
    first = fit(folders, tmp_path / "first", quick)
    assert first is not None
    fine = replace(Schedule(), side=32, epochs=1, batch_size=4)
    second = fit(
        folders, tmp_path / "second", Recipe(weights=first.path, size=32, validation_share=0.25, schedule=fine)
    )
    assert second is not None
    assert second.architecture == "squeezenet1_1"
    assert second.bundle_id != first.bundle_id


def test_a_part_of_the_photos_shares_their_memory(folders: Path) -> None:
    photos = read_photos(read_dataset(folders), Preprocessing("crop", ((32, 32),), "bilinear", 32))
    part = photos.subset(np.arange(24) % 2 == 0)
    assert part.pixels is photos.pixels
    assert len(part) == 12
    assert part.labels.tolist() == [0] * 6 + [1] * 6
    assert isinstance(photos.pixels, np.ndarray)
    assert np.shares_memory(part.photo(3), photos.pixels)


def test_data_that_is_no_data_set_is_refused_before_any_work(folders: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not there"):
        read_dataset(tmp_path / "none")
    with pytest.raises(UsageError, match="0 class folders"):
        read_dataset(folders / "night")
    (folders / "empty").mkdir()
    with pytest.raises(UsageError, match="empty holds no photos"):
        read_dataset(folders)


def test_a_photo_that_can_not_be_decoded_is_named(folders: Path, tmp_path: Path) -> None:
    bad = folders / "night" / "0.jpg"
    bad.write_bytes(bad.read_bytes()[:300])
    with pytest.raises(CorruptPhoto, match=r"night/0\.jpg"):
        fit(folders, tmp_path / "run", QUICK)


def test_photos_smaller_than_the_network_sees_are_refused_before_they_are_read(folders: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="resnet18"):
        fit(folders, tmp_path / "run", replace(QUICK, architecture="resnet18", size=16))


@pytest.mark.slow
def test_real_photos_of_many_labels_are_learnt(shared_data: Path, shared_weights: Path, tmp_path: Path) -> None:
    schedule = replace(Schedule(), side=64, epochs=1, batch_size=32, warm_up_steps=5)
    weights = shared_weights / "mobilenet_v2_imagenet.safetensors"
    recipe = Recipe("mobilenet_v2", weights, size=64, schedule=schedule)
    bundle = fit(shared_data / "multilabel_natural" / "labels.csv", tmp_path / "run", recipe)
    assert bundle is not None
    figures = {metric.name: metric.value for metric in bundle.metrics}
    print(figures)
    assert figures["mean_average_precision"] > 0.75
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert log[0]["validation"]["mean_average_precision"] == pytest.approx(figures["mean_average_precision"], abs=0.02)
