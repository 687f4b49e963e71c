"""``veduta.train``: from what was asked for to a recipe, and through it."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from PIL import Image
from safetensors.torch import load_file

import veduta
from veduta.errors import TrainingError, UsageError, VedutaError
from veduta.images.preprocess import Preprocessing
from veduta.models.bundle import Bundle
from veduta.training import keep
from veduta.training.augment import Augmentation
from veduta.training.fitted import Verdict
from veduta.training.options import Options
from veduta.training.photo_sets import PhotoFiles, PhotoSet
from veduta.training.presets import PRESETS
from veduta.training.progress import Progress
from veduta.training.recipes import Recipe, recipe_for
from veduta.training.schedules import DEFAULTS, Schedule


def test_without_options_a_recipe_is_its_defaults() -> None:
    finetune, scratch = (recipe_for(name, Options()) for name in ("finetune", "scratch"))  # type: ignore[arg-type]
    assert finetune.schedule == DEFAULTS["finetune", "adamw"]
    assert finetune.weights == "places100"
    assert finetune.validation_share is None
    assert (finetune.size, finetune.trials, finetune.head_epochs) == (128, 0, 0)
    assert scratch.schedule == DEFAULTS["scratch", "adamw"]
    assert scratch.weights is None


def test_options_reach_the_schedule_under_its_own_names() -> None:
    changes: dict[str, Any] = {"flip": False, "jitter": 0.1, "rotation": 10.0, "shift": 0.1, "zoom": 0.2}
    changes |= {"shear": 5.0, "brightness": 0.3, "mixup": 0.2, "cutmix": 1.0}
    options = Options(
        optimizer="sgd",
        rate=0.03,
        momentum=0.8,
        weight_decay=0.001,
        batch_size=20,
        decay="constant",
        epochs=4,
        patience=0,
        side=96,
        train_last=3,
        seed=5,
        label_smoothing=0.0,
        class_weights="balanced",
        crop=0.3,
        **changes,
        search=True,
        trials=7,
        head_epochs=9,
        size=64,
        validation=0.3,
        task="multi_label",
        architecture="resnet18",
        weights="hub",
    )
    recipe = recipe_for("finetune", options)
    schedule: Schedule = recipe.schedule
    assert (schedule.optimizer, schedule.learning_rate, schedule.momentum, schedule.weight_decay) == (
        "sgd",
        0.03,
        0.8,
        0.001,
    )
    assert (schedule.batch_size, schedule.decay, schedule.epochs, schedule.patience) == (20, "constant", 4, 0)
    assert (schedule.side, schedule.train_last, schedule.seed, schedule.label_smoothing) == (96, 3, 5, 0.0)
    assert schedule.class_weights == "balanced"
    assert schedule.augmentation == Augmentation(min_area=0.3, **changes)
    assert schedule.clip_norm == DEFAULTS["finetune", "sgd"].clip_norm
    assert (recipe.trials, recipe.head_epochs, recipe.size, recipe.validation_share) == (7, 9, 64, 0.3)
    assert (recipe.task, recipe.architecture, recipe.weights) == ("multi_label", "resnet18", "hub")
    assert recipe_for("finetune", Options(search=True)).trials == 12


def test_the_classic_settings_are_what_they_are_called() -> None:
    momentum = recipe_for("scratch", PRESETS["momentum"].options).schedule
    assert (momentum.optimizer, momentum.batch_size, momentum.momentum, momentum.learning_rate) == ("sgd", 50, 0.9, 0.1)
    assert (momentum.decay, momentum.epoch_factor) == ("exponential", 0.97)
    adam = recipe_for("finetune", PRESETS["adam"].options).schedule
    assert (adam.optimizer, adam.learning_rate, adam.epochs, adam.decay) == ("adamw", 1e-4, 20, "constant")
    head_first = recipe_for("finetune", PRESETS["head-first"].options)
    assert (head_first.head_epochs, head_first.schedule.learning_rate, head_first.schedule.train_last) == (
        100,
        1e-5,
        None,
    )


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes that are easy to tell apart, but for one photo in six that lies in the wrong one."""
    random, folder = np.random.default_rng(0), tmp_path_factory.mktemp("data")
    for place, level in (("day", 150), ("night", 20)):
        (folder / place).mkdir()
        for index in range(18):
            shown = 170 - level if index % 6 == 5 else level
            pixels = (random.integers(0, 60, (40, 48, 3)) + shown).astype(np.uint8)
            Image.fromarray(pixels).save(folder / place / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def start(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model to start from."""
    run = tmp_path_factory.mktemp("start")
    bundle = veduta.train(
        photos,
        run,
        recipe="scratch",
        architecture="squeezenet1_1",
        size=32,
        epochs=1,
        batch_size=8,
        precision="float32",
        threads=1,
    )
    assert bundle is not None
    return bundle.path


def _fine_tuned(photos: Path, start: Path, run: Path, **options: Any) -> tuple[Bundle, dict[str, Any], list[str]]:
    """The model, the run's configuration, and what was said."""
    said: list[str] = []
    bundle = veduta.train(
        photos,
        str(run),
        weights=start,
        size=32,
        precision="float32",
        threads=1,
        progress=Progress(note=said.append),
        **options,
    )
    assert bundle is not None
    return bundle, json.loads((run / "config.json").read_text()), said


def test_a_training_from_fresh_weights_has_nothing_to_beat(start: Path) -> None:
    assert "From fresh weights all layers were trained" in (start / "README.md").read_text()
    assert "kept" not in json.loads((start.parent / "config.json").read_text())
    log = [json.loads(line) for line in (start.parent / "log.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in log] == [1]


def test_one_call_searches_and_trains_the_last_blocks_of_a_model(
    photos: Path, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    better = itertools.count(0, -1)
    monkeypatch.setattr("veduta.training.search.calibrated_loss", lambda *_given: float(next(better)))
    options = {"train_last": 2, "epochs": 2, "search": True, "trials": 2}
    bundle, config, said = _fine_tuned(photos, start, tmp_path, **options)
    assert bundle.architecture == "squeezenet1_1"
    assert config["schedule"]["train_last"] == 2
    assert config["searched_trials"] == 2
    chosen = json.loads((tmp_path / "search.json").read_text())["chosen"]
    assert config["schedule"]["learning_rate"] == chosen["learning_rate"] != DEFAULTS["finetune", "adamw"].learning_rate
    card = (bundle.path / "README.md").read_text()
    assert "the last 2 blocks and the classifier were trained" in card
    assert "are the best of 2 trials" in card
    assert "also chose the settings, the epoch and which network is kept, so" in card
    assert f"The {config['kept']}" in card
    assert any(f"The {config['kept']}" in words for words in said)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in log] == [0, 1, 2]
    again, same, said = _fine_tuned(photos, start, tmp_path, **options)
    assert again.bundle_id == bundle.bundle_id
    assert same == config
    assert not any(words.startswith(("trial", "fitting")) for words in said)
    for changed, said_then in (({"train_last": 1}, "begun with train_last 2"), ({"trials": 3}, "was begun with ")):
        with pytest.raises(TrainingError, match=said_then):
            _fine_tuned(photos, start, tmp_path, **{**options, **changed})


@pytest.mark.parametrize("better", [True, False], ids=["kept", "not-kept"])
def test_what_fine_tuning_does_not_better_is_not_exported(
    photos: Path, start: Path, tmp_path: Path, better: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keep, "judge", lambda *_given: Verdict(0.4 if better else 0.6, 0.5))
    bundle, config, said = _fine_tuned(photos, start, tmp_path, epochs=1, rate=0.01, head_epochs=5)
    assert bundle.weights is not None
    before, after = load_file(start / "weights.safetensors"), load_file(bundle.weights)
    untouched = [torch.equal(before[name], after[name]) for name in before if name.startswith("features.")]
    assert not any(untouched) if better else all(untouched)
    assert config["kept"] == ("fine-tuned network" if better else "fitted classifier")
    assert any(f"The {config['kept']}" in words for words in said)
    card = (bundle.path / "README.md").read_text()
    assert f"The {config['kept']}" in card
    assert "The classifier was trained alone first, for up to 5 epochs, then all layers were trained" in card


def test_held_out_photos_teach_the_last_classifier_where_it_is_better(
    photos: Path, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keep, "judge", lambda *_given: Verdict(5.0, 6.0))
    asked = {"epochs": 1, "validation": 0.6, "batch_size": 4, "head_epochs": 1}
    plain, config, said = _fine_tuned(photos, start, tmp_path / "plain", refit=False, **asked)
    assert "refit" not in config
    assert not any("all photos" in words for words in said)
    bundle, config, said = _fine_tuned(photos, start, tmp_path / "refit", **asked)
    losses = config["refit"]
    assert losses["calibrated_loss_after"] < losses["calibrated_loss_before"] == 5.0
    assert any(words.startswith("The classifier was fitted again, to all photos") for words in said)
    assert "The classifier was fitted again, to all photos" in (bundle.path / "README.md").read_text()
    assert plain.weights is not None
    assert bundle.weights is not None
    before, after = load_file(plain.weights), load_file(bundle.weights)
    assert [name for name in before if not torch.equal(before[name], after[name])] == [
        name for name in before if name.startswith("classifier.")
    ]
    assert bundle.metrics[0].count == plain.metrics[0].count
    again, _, _ = _fine_tuned(photos, start, tmp_path / "refit", **asked)
    assert again.bundle_id == bundle.bundle_id


@pytest.mark.parametrize("left", ["checkpoint.pt", "fitted.pt", "search.json"])
def test_a_run_that_was_begun_is_not_begun_anew_in_its_folder(photos: Path, tmp_path: Path, left: str) -> None:
    (tmp_path / left).touch()
    with pytest.raises(UsageError, match="has a run already"):
        veduta.train(photos, tmp_path, recipe="scratch", resume=False)


def test_data_that_say_what_is_held_out_want_no_share(photos: Path, tmp_path: Path) -> None:
    rows = ["path,label,split"]
    for place in ("day", "night"):
        rows += [f"{photos}/{place}/{index}.png,{place},{'validation' if index < 4 else ''}" for index in range(18)]
    (tmp_path / "set.csv").write_text("\n".join(rows))
    with pytest.raises(UsageError, match=r"says itself which photos are for validation, so no share of 0\.2"):
        veduta.train(tmp_path / "set.csv", tmp_path / "run", recipe="scratch", validation=0.2)
    assert not (tmp_path / "run").exists()


def test_a_group_is_on_one_side_of_what_is_held_out(
    photos: Path, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = ["path,label,group"]
    for place in ("day", "night"):
        rows += [f"{photos}/{place}/{index}.png,{place},{place} {index // 3}" for index in range(18)]
    (tmp_path / "set.csv").write_text("\n".join(rows))
    seen: list[list[str]] = []

    def note(*sets: PhotoSet) -> dict[str, str]:
        for each in sets:
            assert isinstance(each.pixels, PhotoFiles)
            seen.append([each.pixels.paths[place] for place in each.chosen])
        raise KeyboardInterrupt

    monkeypatch.setattr("veduta.training.opening.fingerprints", note)
    with pytest.raises(KeyboardInterrupt):
        veduta.train(tmp_path / "set.csv", tmp_path / "run", weights=start, size=32)
    groups = [{(Path(path).parent.name, int(Path(path).stem) // 3) for path in paths} for paths in seen]
    assert not groups[0] & groups[1]
    assert len(groups[0]) + len(groups[1]) == 12


def test_a_search_by_several_processes_is_refused(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "test"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainingError, match="a search for settings runs in one process"):
        veduta.train(photos, tmp_path / "run", search=True)


def test_from_fresh_weights_nothing_comes_before_all_layers() -> None:
    with pytest.raises(TrainingError, match="from fresh weights all layers are trained together"):
        Recipe(weights=None, head_epochs=5)


def test_the_same_call_learns_behind_a_model_without_torch(photos: Path, tmp_path: Path) -> None:
    bundle = veduta.train(photos, tmp_path / "run", recipe="transfer", views=0, folds=2)
    assert bundle is not None
    assert [label.id for label in bundle.heads[0].labels] == ["day", "night"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"architecture": "mobilenet_v3"}, "there is no architecture 'mobilenet_v3'; did you mean"),
        ({"architecture": "mobilenet_v2", "size": 20}, "mobilenet_v2 sees photos from 32 pixels on; 20 are too few"),
        ({"weights": "hub"}, r"--weights hub is none; name the network of weights \(--arch\)"),
        ({"weights": "none", "architecture": "mobilenet_v2"}, "--weights none is none"),
    ],
)
def test_a_network_to_learn_behind_that_can_not_be_is_refused_before_the_photos_are_looked_at(
    tmp_path: Path, asked: dict[str, Any], said: str
) -> None:
    with pytest.raises(VedutaError, match=said):
        veduta.train(tmp_path, tmp_path / "run", recipe="transfer", **asked)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_transfer_learns_behind_a_network_by_its_name(photos: Path, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"recipe": "transfer", "weights": "places100", "size": 64, "views": 1, "folds": 2}
    bundle = veduta.train(photos, tmp_path / "run", architecture="mobilenet_v2_hypercolumns", **asked)
    assert bundle is not None
    assert bundle.embedding is not None
    assert bundle.embedding.size == 1600
    assert bundle.preprocessing == Preprocessing.squeezed(64)
    assert veduta.explain(veduta.load(bundle.path), photos / "day" / "0.png").method == "class maps"
    features = (tmp_path / "run" / "features.npz").stat().st_mtime_ns
    again = veduta.train(photos, tmp_path / "run", architecture="mobilenet_v2_hypercolumns", **asked)
    assert again is not None
    assert again.bundle_id == bundle.bundle_id
    assert (tmp_path / "run" / "features.npz").stat().st_mtime_ns == features


@pytest.mark.slow
def test_fine_tuning_on_real_photos_is_judged_by_what_it_reaches(
    shared_data: Path, shared_weights: Path, tmp_path: Path
) -> None:
    classes = sorted(folder.name for folder in (shared_data / "sun27").iterdir())[:6]
    for name in classes:
        (tmp_path / "data" / name).mkdir(parents=True)
        for photo in sorted((shared_data / "sun27" / name).iterdir())[:24]:
            (tmp_path / "data" / name / photo.name).symlink_to(photo)
    bundle = veduta.train(
        tmp_path / "data",
        tmp_path / "run",
        weights=shared_weights / "mobilenet_v2_imagenet.safetensors",
        architecture="mobilenet_v2",
        size=96,
        train_last=4,
        epochs=3,
        validation=0.3,
        precision="float32",
        threads=1,
    )
    assert bundle is not None
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    losses = config["calibrated_loss"]
    better = losses["fine-tuned network"] < losses["fitted classifier"]
    assert config["kept"] == ("fine-tuned network" if better else "fitted classifier")
    kept = max((row for row in log if row["best"]), key=lambda row: row["epoch"]) if better else log[0]
    figures = {metric.name: metric.value for metric in bundle.metrics}
    print(config["kept"], losses, figures)
    assert figures["top1"] == pytest.approx(kept["validation"]["top1"], abs=0.03)
    assert figures["top1"] > 0.7
