from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from PIL import Image

from veduta.errors import OutputError, TrainingError
from veduta.training.augment import Augmentation
from veduta.training.batch_norms import rebase_statistics
from veduta.training.loop import EpochResult, Execution, PhotoSet, Schedule, predict_logits, train
from veduta.training.networks import SceneNetwork

SCHEDULE = Schedule(side=32, epochs=2, batch_size=4, learning_rate=0.001, warm_up_steps=2, average_decay=0.5)


@pytest.fixture(scope="module")
def photos(tiny: ModuleType) -> PhotoSet:
    found: PhotoSet = tiny.photos()
    return found


@pytest.fixture
def fresh(tiny: ModuleType) -> Callable[..., SceneNetwork]:
    made: Callable[..., SceneNetwork] = tiny.network
    return made


def _same(one: SceneNetwork, other: SceneNetwork) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return all(torch.equal(mine[key], theirs[key]) for key in mine)


def _log(run: Path) -> list[dict[str, object]]:
    """The rows, without what a clock says."""
    return [json.loads(line) | {"photos_per_second": 0} for line in (run / "log.jsonl").read_text().splitlines()]


class Stopped(Exception):
    pass


@pytest.mark.parametrize("frozen", [True, False], ids=["statistics-frozen", "statistics-of-batches"])
@pytest.mark.parametrize("save_steps", [0, 1, 2], ids=["after-epochs", "each-step", "every-second"])
@pytest.mark.parametrize("stop_at", [2, 5])
def test_a_stopped_run_goes_on_to_the_same_weights(
    fresh: Callable[..., SceneNetwork], photos: PhotoSet, tmp_path: Path, save_steps: int, stop_at: int, frozen: bool
) -> None:
    mixed = Augmentation(mixup=0.2, cutmix=1.0)
    schedule = replace(SCHEDULE, augmentation=mixed, clip_norm=1.0, frozen_statistics=frozen)
    whole = train(fresh(), photos, photos, schedule, tmp_path / "whole")

    def stop(step: int, _steps: int, _loss: float) -> None:
        if step == stop_at:
            raise Stopped

    execution = Execution(save_steps=save_steps)
    with pytest.raises(Stopped):
        train(fresh(), photos, photos, schedule, tmp_path / "cut", execution=execution, on_step=stop)
    steps: list[int] = []
    resumed = train(
        fresh(),
        photos,
        photos,
        schedule,
        tmp_path / "cut",
        execution=execution,
        on_step=lambda step, *_: steps.append(step),
    )
    last_saved = (stop_at - 1) // save_steps * save_steps if save_steps else (stop_at - 1) // 3 * 3
    assert steps == list(range(max(last_saved, (stop_at - 1) // 3 * 3) + 1, 7))
    assert _same(whole, resumed)
    logs = [
        [
            json.loads(line) | {"photos_per_second": 0}
            for line in (tmp_path / run / "log.jsonl").read_text().splitlines()
        ]
        for run in ("whole", "cut")
    ]
    assert logs[0] == logs[1]


def test_a_finished_run_returns_its_weights_without_training(
    fresh: Callable[..., SceneNetwork], photos: PhotoSet, tmp_path: Path
) -> None:
    first = train(fresh(), photos, photos, SCHEDULE, tmp_path)
    steps: list[int] = []
    again = train(fresh(), photos, photos, SCHEDULE, tmp_path, on_step=lambda step, *_: steps.append(step))
    assert steps == []
    assert _same(first, again)


def test_the_runs_folder_tells_what_was_done(
    fresh: Callable[..., SceneNetwork], photos: PhotoSet, tmp_path: Path
) -> None:
    results: list[EpochResult] = []
    train(fresh(), photos, photos, SCHEDULE, tmp_path, on_epoch=results.append)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["schedule"]["batch_size"] == 4
    assert config["run"] == {
        "precision": "float32",
        "processes": 1,
        "photos": 12,
        "task": "single_label",
        "classes": 2,
        "best_by": "top1",
    }
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [entry["epoch"] for entry in log] == [1, 2] == [result.epoch for result in results]
    assert {"loss", "top1"} == log[0]["training"].keys() == log[0]["validation"].keys()
    with Image.open(tmp_path / "curves.png") as curves:
        curves.load()
        assert curves.format == "PNG"
        assert min(curves.size) > 300
    assert not [*tmp_path.glob(".*")]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_reads_the_events_of_a_run(
    fresh: Callable[..., SceneNetwork], photos: PhotoSet, tmp_path: Path
) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    results: list[EpochResult] = []
    train(fresh(), photos, photos, SCHEDULE, tmp_path, execution=Execution(tensorboard=True), on_epoch=results.append)
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    told = events.Scalars("validation/loss")
    assert [event.step for event in told] == [3, 6]
    assert [event.value for event in told] == pytest.approx([result.validation["loss"] for result in results])


def test_the_best_epoch_is_kept_whatever_came_after(
    fresh: Callable[..., SceneNetwork], photos: PhotoSet, tmp_path: Path
) -> None:
    results: list[EpochResult] = []
    schedule = replace(SCHEDULE, epochs=4, best_by="loss", decay="constant", average_decay=0.0)
    trained = train(fresh(), photos, photos, schedule, tmp_path, on_epoch=results.append)
    losses = [result.validation["loss"] for result in results]
    best = int(np.argmin(losses))
    assert [result.best for result in results] == [loss < min([math.inf, *losses[:i]]) for i, loss in enumerate(losses)]
    from veduta.training.validation import figures

    assert figures(predict_logits(trained, photos), photos.labels)["loss"] == pytest.approx(losses[best], rel=1e-5)


def test_patience_ends_a_training_that_gets_no_better(
    fresh: Callable[..., SceneNetwork], photos: PhotoSet, tmp_path: Path
) -> None:
    # All photos are right from the first epoch on, so no later one is better.
    still = replace(SCHEDULE, epochs=9, patience=2, learning_rate=1e-12)
    results: list[EpochResult] = []
    train(fresh(), photos, photos, still, tmp_path, on_epoch=results.append)
    best = max(result.epoch for result in results if result.best)
    assert len(results) == best + 2 < 9
    train(fresh(), photos, photos, still, tmp_path, on_epoch=results.append)
    assert len(results) == best + 2


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_step(
    fresh: Callable[..., SceneNetwork], photos: PhotoSet, tmp_path: Path
) -> None:
    network = fresh()
    with torch.no_grad():
        network.classifier.bias[0] = float("nan")
    with pytest.raises(TrainingError, match=r"loss is nan at step 1 of 6 \(epoch 1\).*nothing is kept"):
        train(network, photos, photos, SCHEDULE, tmp_path)
    assert not (tmp_path / "checkpoint.pt").exists()


@pytest.mark.parametrize("save_steps", [0, 1], ids=["seen-in-the-loss", "seen-in-the-weights"])
def test_a_loss_that_is_no_number_later_names_what_to_start_from(
    fresh: Callable[..., SceneNetwork], photos: PhotoSet, tmp_path: Path, save_steps: int
) -> None:
    network = fresh()
    execution = Execution(save_steps=save_steps)

    def poison(step: int, _steps: int, _loss: float) -> None:
        if step == 4:
            with torch.no_grad():
                network.classifier.bias[0] = float("nan")

    where = "a weight is no longer a number" if save_steps else "loss is nan"
    with pytest.raises(TrainingError, match=where + r" at step 5 of 6 \(epoch 2\)") as stopped:
        train(network, photos, photos, SCHEDULE, tmp_path, execution=execution, on_step=poison)
    assert f"--weights {tmp_path / 'best.pt'}" in str(stopped.value)
    assert "another --out and a --rate below 0.001" in str(stopped.value)
    for name in ("checkpoint.pt", "best.pt"):
        state = torch.load(tmp_path / name, weights_only=True)["network"]
        assert all(torch.isfinite(tensor).all() for tensor in state.values())


def test_within_the_first_epoch_the_checkpoint_is_what_to_start_from(
    fresh: Callable[..., SceneNetwork], photos: PhotoSet, tmp_path: Path
) -> None:
    network = fresh()

    def poison(step: int, _steps: int, _loss: float) -> None:
        if step == 2:
            with torch.no_grad():
                network.classifier.bias[0] = float("nan")

    with pytest.raises(TrainingError, match=r"last good state is kept.*--weights .*checkpoint\.pt"):
        train(network, photos, photos, SCHEDULE, tmp_path, execution=Execution(save_steps=1), on_step=poison)


def test_a_rate_that_is_far_too_high_stops_and_leaves_the_best_epoch(
    fresh: Callable[..., SceneNetwork], photos: PhotoSet, tmp_path: Path
) -> None:
    good = replace(SCHEDULE, epochs=60, decay="exponential", epoch_factor=1000.0, optimizer="sgd", learning_rate=1e-4)
    with pytest.raises(TrainingError, match=r"at step \d+ of 180 .*the best epoch is kept: start again from it with"):
        train(fresh(), photos, photos, good, tmp_path)
    for name in ("checkpoint.pt", "best.pt"):
        state = torch.load(tmp_path / name, weights_only=True)["network"]
        assert all(torch.isfinite(tensor).all() for tensor in state.values())


def test_no_room_for_a_checkpoint_is_said_before_the_first_step(
    fresh: Callable[..., SceneNetwork], photos: PhotoSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=1_000_000))
    steps: list[int] = []
    with pytest.raises(OutputError, match=r"needs \d+ MB for its checkpoints, and 1 MB are free"):
        train(fresh(), photos, photos, SCHEDULE, tmp_path, on_step=lambda step, *_: steps.append(step))
    assert steps == []


def test_too_few_photos_for_one_batch_are_refused(
    fresh: Callable[..., SceneNetwork], photos: PhotoSet, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="batch"):
        train(fresh(), photos, photos, replace(SCHEDULE, batch_size=64), tmp_path)


@pytest.mark.parametrize("change", [{"learning_rate": 0.5}, {"epochs": 3}, {"seed": 1}], ids=str)
def test_a_run_is_not_gone_on_with_under_other_settings(
    fresh: Callable[..., SceneNetwork], photos: PhotoSet, tmp_path: Path, change: dict[str, float]
) -> None:
    train(fresh(), photos, photos, replace(SCHEDULE, epochs=1), tmp_path)
    with pytest.raises(TrainingError, match=f"begun with {next(iter(change))}"):
        train(fresh(), photos, photos, replace(replace(SCHEDULE, epochs=1), **change), tmp_path)


def test_a_run_is_not_gone_on_with_on_other_photos_or_another_network(
    fresh: Callable[..., SceneNetwork], photos: PhotoSet, tmp_path: Path
) -> None:
    once = replace(SCHEDULE, epochs=1)
    train(fresh(), photos, photos, once, tmp_path)
    with pytest.raises(TrainingError, match="other labels"):
        train(fresh(), PhotoSet(photos.pixels, 1 - photos.targets), photos, once, tmp_path)
    assert isinstance(photos.pixels, np.ndarray)
    with pytest.raises(TrainingError, match="other photos"):
        train(fresh(), PhotoSet(photos.pixels[::-1], photos.targets), photos, once, tmp_path)
    with pytest.raises(TrainingError, match="another network"):
        train(fresh(3), photos, photos, once, tmp_path)


def test_a_checkpoint_that_tells_the_labels_alone_is_gone_on_from(
    fresh: Callable[..., SceneNetwork], photos: PhotoSet, tmp_path: Path
) -> None:
    first = train(fresh(), photos, photos, SCHEDULE, tmp_path)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    torch.save(state | {"photos": state.pop("begun_with")["labels"]}, tmp_path / "checkpoint.pt")
    assert _same(first, train(fresh(), photos, photos, SCHEDULE, tmp_path))
    with pytest.raises(TrainingError, match="other labels"):
        train(fresh(), PhotoSet(photos.pixels, 1 - photos.targets), photos, SCHEDULE, tmp_path)


def test_a_checkpoint_of_before_photos_were_shifted_zoomed_and_sheared_is_gone_on_from(
    fresh: Callable[..., SceneNetwork], photos: PhotoSet, tmp_path: Path
) -> None:
    first = train(fresh(), photos, photos, SCHEDULE, tmp_path)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    for name in ("brightness", "shift", "zoom", "shear"):
        del state["schedule"]["augmentation"][name]
    torch.save(state, tmp_path / "checkpoint.pt")
    assert _same(first, train(fresh(), photos, photos, SCHEDULE, tmp_path))
    moving = replace(SCHEDULE, augmentation=replace(SCHEDULE.augmentation, shift=0.1))
    with pytest.raises(TrainingError, match="begun with augmentation"):
        train(fresh(), photos, photos, moving, tmp_path)


def test_a_folder_that_another_training_is_at_work_in_is_refused(
    fresh: Callable[..., SceneNetwork], photos: PhotoSet, tmp_path: Path
) -> None:
    refused: list[str] = []

    def again(_result: EpochResult) -> None:
        with pytest.raises(TrainingError, match="another training is at work in") as other:
            train(fresh(), photos, photos, SCHEDULE, tmp_path)
        refused.append(str(other.value))

    train(fresh(), photos, photos, SCHEDULE, tmp_path, on_epoch=again)
    assert len(refused) == 2
    train(fresh(), photos, photos, SCHEDULE, tmp_path)


def test_crops_are_as_large_as_the_network_sees_whole_photos_unless_the_schedule_says_otherwise(
    fresh: Callable[..., SceneNetwork], photos: PhotoSet, tmp_path: Path
) -> None:
    enlarging = fresh()
    enlarging.enlarge = 1.25
    sides: dict[str, int] = {}
    for name, network, side in (("plain", fresh(), 0), ("enlarging", enlarging, 0), ("told", fresh(), 24)):
        train(network, photos, photos, replace(SCHEDULE, side=side, epochs=1), tmp_path / name)
        sides[name] = json.loads((tmp_path / name / "config.json").read_text())["schedule"]["side"]
    assert sides == {"plain": 32, "enlarging": 40, "told": 24}


@pytest.mark.parametrize("harm", ["short", "pickle", "empty"])
def test_a_checkpoint_that_is_none_is_refused_in_a_sentence(
    fresh: Callable[..., SceneNetwork], photos: PhotoSet, tmp_path: Path, harm: str
) -> None:
    once = replace(SCHEDULE, epochs=1)
    train(fresh(), photos, photos, once, tmp_path)
    path = tmp_path / "checkpoint.pt"
    if harm == "short":
        path.write_bytes(path.read_bytes()[:5000])
    elif harm == "pickle":
        torch.save({"version": 1, "network": Path("/")}, path)
    else:
        path.write_bytes(b"")
    with pytest.raises(TrainingError, match=r"checkpoint\.pt is no whole checkpoint"):
        train(fresh(), photos, photos, once, tmp_path)


def test_many_labels_train_with_a_sigmoid_each(
    fresh: Callable[..., SceneNetwork], photos: PhotoSet, tmp_path: Path
) -> None:
    bright = photos.targets.astype(np.float32)
    both = PhotoSet(photos.pixels, np.stack([bright, 1 - bright, np.ones(12, np.float32)], axis=1))
    results: list[EpochResult] = []
    schedule = replace(SCHEDULE, epochs=8, learning_rate=0.003, augmentation=Augmentation(mixup=0.2))
    trained = train(fresh(3), both, both, schedule, tmp_path, on_epoch=results.append)
    assert {"loss", "mean_average_precision", "f1"} == results[0].validation.keys()
    assert {"loss", "f1"} == results[0].training.keys()
    assert predict_logits(trained, both).shape == (12, 3)
    assert results[-1].training["loss"] < results[0].training["loss"]


def test_a_teachers_answer_draws_the_network_to_it(
    fresh: Callable[..., SceneNetwork], photos: PhotoSet, tmp_path: Path
) -> None:
    # The teacher swears that it is always class 1.
    teacher = np.tile(np.array([-4.0, 4.0], np.float32), (12, 1))
    taught = replace(photos, teacher=teacher)
    schedule = replace(SCHEDULE, epochs=6, teacher_share=1.0, teacher_temperature=1.0, frozen_statistics=False)
    trained = train(fresh(), taught, photos, replace(schedule, best_by="loss", average_decay=0.0), tmp_path)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    trained.load_state_dict(state["network"])
    assert (predict_logits(trained, photos).argmax(1) == 1).all()


def test_bfloat16_trains_and_leaves_float32_weights(
    fresh: Callable[..., SceneNetwork], photos: PhotoSet, tmp_path: Path
) -> None:
    trained = train(fresh(), photos, photos, SCHEDULE, tmp_path, execution=Execution(precision="bfloat16"))
    assert {tensor.dtype for tensor in trained.parameters()} == {torch.float32}
    assert json.loads((tmp_path / "config.json").read_text())["run"]["precision"] == "bfloat16"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_a_network_trained_on_a_gpu_comes_back_to_the_cpu(
    fresh: Callable[..., SceneNetwork], photos: PhotoSet, tmp_path: Path
) -> None:
    execution = Execution(accelerator="cuda", precision="auto")
    trained = train(fresh(), photos, photos, SCHEDULE, tmp_path, execution=execution)
    assert {tensor.device.type for tensor in trained.state_dict().values()} == {"cpu"}
    rebase_statistics(trained, photos)
    again = train(fresh(), photos, photos, SCHEDULE, tmp_path, execution=execution)
    assert {tensor.device.type for tensor in again.state_dict().values()} == {"cpu"}


def test_a_trained_network_is_handed_back_on_the_cpu_last_of_all(
    fresh: Callable[..., SceneNetwork], photos: PhotoSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moves: list[str] = []
    network = fresh()
    load = network.load_state_dict

    def loads(*given: object) -> object:
        moves.append("best weights")
        return load(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(network, "load_state_dict", loads)
    monkeypatch.setattr(network, "cpu", lambda: moves.append("cpu") or network)
    assert train(network, photos, photos, SCHEDULE, tmp_path) is network
    assert moves == ["best weights", "cpu"]


def test_the_machine_chooses_its_arithmetic_and_says_why(
    fresh: Callable[..., SceneNetwork], photos: PhotoSet, tmp_path: Path
) -> None:
    notes: list[str] = []
    network = fresh()
    train(network, photos, photos, SCHEDULE, tmp_path, execution=Execution(precision="auto"), on_note=notes.append)
    (note,) = notes
    assert note.startswith(("float32: a step of 4 photos takes", "bfloat16: a step"))
    train(network, photos, photos, SCHEDULE, tmp_path, execution=Execution(precision="auto"), on_note=notes.append)
    assert len(notes) == 1, "a run that goes on keeps what it began with"


def test_logits_have_a_row_for_each_photo(fresh: Callable[..., SceneNetwork], photos: PhotoSet) -> None:
    assert predict_logits(fresh(), photos, batch_size=5).shape == (12, 2)
