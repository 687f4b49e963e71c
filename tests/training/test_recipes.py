from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from PIL import Image

import veduta
from veduta.errors import MissingExtra, OutputError, TrainingError, UsageError
from veduta.images.preprocess import Preprocessing
from veduta.models.bundle import Bundle, Head, write_bundle
from veduta.records import Label
from veduta.training.dataset import read_dataset
from veduta.training.export import export_graph, export_weights, round_to_half
from veduta.training.loop import EpochResult, Execution
from veduta.training.networks import build
from veduta.training.recipes import Progress, Recipe, fit
from veduta.training.run_folder import RunFolder
from veduta.training.schedules import DEFAULTS, Schedule
from veduta.training.user_data import read_photos

QUICK = Recipe(
    "squeezenet1_1",
    None,
    size=32,
    validation_share=0.25,
    schedule=replace(
        DEFAULTS["scratch", "adamw"], side=32, epochs=2, batch_size=8, label_smoothing=0.0, average_decay=0.5
    ),
)


ONCE = replace(QUICK, schedule=replace(QUICK.schedule, epochs=1))


def _stopped(data: Path, run: Path, recipe: Recipe) -> None:
    """Fit, and stop after the first epoch: the checkpoint is there, the bundle is not."""

    def stop(_result: EpochResult) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(data, run, recipe, progress=Progress(epoch=stop))


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
    held, on_disk = read_photos(dataset, wanted).photos, read_photos(dataset, wanted, memory=1000).photos
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
    monkeypatch.setattr("veduta.training.user_data.MEMORY", 1000)
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
    photos = read_photos(read_dataset(folders), Preprocessing("crop", ((32, 32),), "bilinear", 32)).photos
    part = photos.subset(np.arange(24) % 2 == 0)
    assert part.pixels is photos.pixels
    assert len(part) == 12
    assert part.labels.tolist() == [0] * 6 + [1] * 6
    assert isinstance(photos.pixels, np.ndarray)
    assert np.shares_memory(part.photo(3), photos.pixels)


def test_data_that_is_no_data_set_is_refused_before_any_work(folders: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not there"):
        read_dataset(tmp_path / "none")
    with pytest.raises(UsageError, match="holds no class folders with photos"):
        read_dataset(folders / "night")
    (folders / "empty").mkdir()
    with pytest.raises(UsageError, match="the class 'empty' has no photo in its folder"):
        read_dataset(folders)


@pytest.mark.parametrize("memory", [pytest.param(2**30, marks=pytest.mark.slow), 1000], ids=["in-memory", "on-disk"])
def test_photos_that_can_not_be_decoded_are_left_out_told_and_listed(
    folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: int
) -> None:
    monkeypatch.setattr("veduta.training.user_data.MEMORY", memory)
    for name, left in (("night/0.jpg", 300), ("bright_day/3.jpg", 310)):
        (folders / name).write_bytes((folders / name).read_bytes()[:left])
    notes: list[str] = []
    read: list[tuple[int, int]] = []
    progress = Progress(note=notes.append, photo=lambda done, total: read.append((done, total)))
    bundle = fit(folders, tmp_path / "run", ONCE, progress=progress)
    assert bundle is not None
    (note,) = [each for each in notes if "left out" in each]
    assert note.startswith("2 of 24 photos can't be decoded and are left out: ")
    assert str(folders / "night" / "0.jpg") in note
    rows = list(csv.reader((tmp_path / "run" / "left_out.csv").read_text().splitlines()))
    assert [row[0] for row in rows] == ["path", *(str(folders / each) for each in ("bright_day/3.jpg", "night/0.jpg"))]
    assert all("0.jpg" in row[1] or "3.jpg" in row[1] for row in rows[1:])
    assert read[-1] == (24, 24)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["run"]["photos"] + bundle.metrics[0].count == 22
    assert "24 photos" in (bundle.path / "README.md").read_text()
    assert "2 could not be decoded" in (bundle.path / "README.md").read_text()
    steps: list[int] = []
    again = fit(folders, tmp_path / "run", ONCE, progress=Progress(step=lambda step, *_: steps.append(step)))
    assert steps == []
    assert again is not None
    assert again.bundle_id == bundle.bundle_id


def test_a_class_of_which_no_photo_is_left_is_refused(folders: Path, tmp_path: Path) -> None:
    for photo in (folders / "night").iterdir():
        photo.write_bytes(f"no photo: {photo.name}".encode())
    with pytest.raises(UsageError, match=r"no photo of night is left to train on, for 12 of 24 photos"):
        fit(folders, tmp_path / "run", ONCE)


@pytest.mark.parametrize("name", [b"caf\xe9", "no\xa0break".encode()], ids=["not-utf-8", "no-break-space"])
def test_a_class_name_that_no_model_can_carry_is_refused_before_any_work(
    folders: Path, tmp_path: Path, name: bytes, unread: None
) -> None:
    (folders / "night").rename(folders / os.fsdecode(name))
    with pytest.raises(UsageError, match="no model can carry the class name") as refused:
        fit(folders, tmp_path / "run", ONCE)
    assert str(refused.value).isprintable()
    assert not (tmp_path / "run").exists()


def test_a_label_of_a_table_that_no_model_can_carry_is_refused(table: Path) -> None:
    table.write_text(table.read_text().replace("light", "li\u200bght", 1))
    with pytest.raises(UsageError, match="no model can carry the class name"):
        read_dataset(table)


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails where a photo is decoded, or a classifier fitted."""

    def refuse(*_given: object, **_named: object) -> None:
        pytest.fail("the photos were read before the refusal")

    monkeypatch.setattr("veduta.datasets.reading.decode", refuse)
    monkeypatch.setattr("veduta.training.fitted.choose_classifier", refuse)


@pytest.fixture
def begun(folders: Path, tmp_path: Path) -> Path:
    """The folder of a run that was stopped after its first epoch."""
    _stopped(folders, tmp_path / "run", ONCE)
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schedule": {"learning_rate": 0.5}}, "begun with learning_rate 0.001, not 0.5"),
        ({"validation_share": 0.3}, "begun with held-out share 0.25, not 0.3"),
        ({"size": 64}, "begun with size 32, not 64"),
        ({"weights": True}, r"begun with start weights none, not SHA-256 [0-9a-f]{16};"),
    ],
    ids=["rate", "share", "size", "weights"],
)
def test_another_recipe_is_refused_before_a_photo_is_read(
    folders: Path, begun: Path, change: dict[str, Any], said: str, request: pytest.FixtureRequest
) -> None:
    other = ONCE
    if "schedule" in change:
        other = replace(other, schedule=replace(other.schedule, **change["schedule"]))
    elif "weights" in change:
        other = replace(other, weights=begun / "best.pt")
    else:
        other = replace(other, **change)
    request.getfixturevalue("unread")
    with pytest.raises(TrainingError, match=said):
        fit(folders, begun, other)


def test_other_photos_are_refused_before_one_is_read(
    folders: Path, begun: Path, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("unread")
    photo = folders / "night" / "0.jpg"
    photo.write_bytes(photo.read_bytes() + b"\0")
    with pytest.raises(TrainingError, match="begun with other photos"):
        fit(folders, begun, ONCE)


def test_what_stands_in_the_way_is_told_before_a_photo_is_read(
    folders: Path, tmp_path: Path, unread: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    (run / "bundle").mkdir(parents=True)
    (run / "bundle" / "diary.txt").write_text("mine")
    with pytest.raises(UsageError, match="bundle: is there and is no model"):
        fit(folders, run, ONCE)
    (run / "bundle" / "diary.txt").unlink()
    with RunFolder(run).locked(), pytest.raises(TrainingError, match="another training is at work"):
        fit(folders, run, ONCE)
    with pytest.raises(TrainingError, match="can't be chosen by 'top5'"):
        fit(folders, run, replace(ONCE, schedule=replace(ONCE.schedule, best_by="top5")))

    def absent(*_given: object, **_named: object) -> None:
        raise ModuleNotFoundError("tensorboard")

    monkeypatch.setattr("veduta.training.execution.TensorBoardLogger", absent)
    with pytest.raises(MissingExtra):
        fit(folders, run, ONCE, execution=Execution(tensorboard=True))
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=1_000_000))
    with pytest.raises(OutputError, match="1 MB are free"):
        fit(folders, run, ONCE)
    monkeypatch.setenv("RANK", "0")
    for name, value in {"WORLD_SIZE": "3", "LOCAL_WORLD_SIZE": "3", "TORCHELASTIC_RUN_ID": "test"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainingError, match="can't be shared by 3 processes"):
        fit(folders, run, ONCE)


def test_the_configuration_tells_all_that_is_needed_to_repeat_the_run(folders: Path, begun: Path) -> None:
    weights = begun / "best.pt"
    fine = Recipe("squeezenet1_1", weights, 32, 0.25, replace(Schedule(), epochs=1))
    bundle = fit(folders, begun.with_name("second"), fine)
    config = json.loads((begun.with_name("second") / "config.json").read_text())
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert config["veduta"] == veduta.__version__
    assert config["data"] == str(folders)
    assert config["architecture"] == "squeezenet1_1"
    assert config["size"] == config["schedule"]["side"] == 32
    assert config["held_out_share"] == 0.25
    assert config["start_weights"] == {"source": str(weights), "file": str(weights), "sha256": sha256}
    assert bundle is not None
    card = (bundle.path / "README.md").read_text()
    assert f"| weights best.pt | start; SHA-256 `{sha256}` |" in card
    assert str(begun) not in card
    assert json.loads((begun / "config.json").read_text())["start_weights"] is None


def test_after_a_stop_the_sentence_says_what_works(folders: Path, begun: Path) -> None:
    lower = replace(ONCE, schedule=replace(ONCE.schedule, learning_rate=ONCE.schedule.learning_rate / 10))
    with pytest.raises(TrainingError, match="begun with learning_rate"):
        fit(folders, begun, lower)
    for name in ("best.pt", "checkpoint.pt"):
        _stopped(folders, begun.with_name(f"from-{name}"), replace(lower, weights=begun / name))


@pytest.mark.slow
def test_a_network_that_enlarges_its_photos_is_trained_on_crops_as_large(folders: Path, tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build("mobilenet_v2_128", 3)
    round_to_half(network)
    wanted = Preprocessing("crop", ((32, 32),), "bilinear", 32)
    start = write_bundle(
        tmp_path / "start",
        name="start",
        kind="classifier",
        graph=export_graph(network, 32),
        preprocessing=wanted,
        heads=[Head("classes", "single_label", tuple(Label(name, name) for name in "abc"))],
        card="# start\n",
        architecture="mobilenet_v2_128",
        weights=export_weights(network),
    )
    fine = Recipe(weights=start.path, size=32, validation_share=0.25, schedule=replace(Schedule(), epochs=1))
    schedules: list[Schedule] = []
    bundle = fit(folders, tmp_path / "run", fine, progress=Progress(start=schedules.append))
    assert bundle is not None
    assert bundle.architecture == "mobilenet_v2_128"
    assert bundle.preprocessing == Preprocessing.squeezed(32)
    assert [schedule.side for schedule in schedules] == [56], "the graph makes 32 pixels 56"


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
    kept = json.loads((tmp_path / "run" / "config.json").read_text())["kept"]
    row = log[1 if kept == "fine-tuned network" else 0]
    assert row["validation"]["mean_average_precision"] == pytest.approx(figures["mean_average_precision"], abs=0.02)
