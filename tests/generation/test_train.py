"""Trainings of a few steps on tiny photos: what they leave, how they go on, how they fail."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from veduta.datasets.identical import content_names
from veduta.errors import TrainingDiverged, TrainingError, UsageError
from veduta.generation import diff_augment, loop, under_way
from veduta.generation.alarms import Alarm
from veduta.generation.loop import draw_latents, draw_photos
from veduta.generation.photos import read_photos
from veduta.generation.presets import ALL_CHANGES, PRESETS, Preset
from veduta.generation.train import Length, Progress
from veduta.models.bundle import Bundle
from veduta.training.run_folder import RunFolder

from .tiny import PRESET, Features, train, write_photos

FASTGAN = replace(PRESETS["fastgan"], filters=4, latent=8, batch_size=8, change_above=0.5)
DENSE = replace(PRESETS["dense"], filters=8, side=32, latent=8, batch_size=8)
R1 = replace(PRESET, changes=ALL_CHANGES, r1=1.0, spectral_norm=True)


def _rows(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def _size(picture: Path) -> tuple[int, int]:
    with Image.open(picture) as opened:
        return opened.size


def _checkpoint(run: Path) -> dict[str, Any]:
    return RunFolder(run).load("checkpoint.pt")


def _same(one: Any, other: Any) -> bool:
    """Whether two states are equal, bit for bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def test_a_run_leaves_samples_curves_log_and_a_bundle(photos: Path, tmp_path: Path) -> None:
    looks: list[tuple[dict[str, Any], Any]] = []
    notes: list[str] = []
    bundle = train(
        photos, tmp_path, progress=Progress(look=lambda row, rung: looks.append((row, rung)), note=notes.append)
    )
    assert bundle.kind == "generator"
    assert "44 photos of 2 classes to learn from, 4 held out" in notes
    assert [row["step"] for row in _rows(tmp_path)] == [2, 4]
    assert [row for row, _ in looks] == _rows(tmp_path)
    assert sorted(each.name for each in (tmp_path / "samples").iterdir()) == ["0000002.png", "0000004.png"]
    assert _size(tmp_path / "samples.png") == (8 * 64 + 14, 8 * 64 + 14)
    assert _size(tmp_path / "curves.png")[0] > 800
    assert json.loads((tmp_path / "config.json").read_text())["preset"]["network"] == "dcgan"
    assert "synthetic" in (tmp_path / "bundle" / "README.md").read_text()


@pytest.mark.parametrize("preset", [PRESET, FASTGAN, DENSE, R1], ids=["dcgan", "fastgan", "dense", "r1"])
def test_a_run_that_was_stopped_ends_with_the_weights_of_one_that_was_not(
    photos: Path, tmp_path: Path, preset: Preset, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that a few steps are enough for many to be changed.
    monkeypatch.setattr(diff_augment, "_PHOTOS_TO_ALL", 32)
    train(photos, tmp_path / "whole", 4, preset=preset)
    train(photos, tmp_path / "parted", 2, preset=preset)
    train(photos, tmp_path / "parted", 4, preset=preset)
    whole, parted = _checkpoint(tmp_path / "whole"), _checkpoint(tmp_path / "parted")
    networks = ("generator", "discriminator", "averaged", "generator_optimizer", "discriminator_optimizer")
    for name in (*networks, "probability"):
        assert _same(whole[name], parted[name]), name
    without_time = [{**row, "minutes": 0} for row in _rows(tmp_path / "whole")]
    assert without_time == [{**row, "minutes": 0} for row in _rows(tmp_path / "parted")]
    adaptive = preset.change_above is not None
    assert (len({row["changed"] for row in without_time}) > 1) is adaptive
    graphs = [(tmp_path / run / "bundle" / "model.onnx").read_bytes() for run in ("whole", "parted")]
    assert graphs[0] == graphs[1]


def test_a_run_killed_between_two_looks_makes_those_steps_again(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(step: int, _steps: int | None, _share: float) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(photos, tmp_path / "parted", 4, progress=Progress(step=killed))
    assert _checkpoint(tmp_path / "parted")["step"] == 2
    train(photos, tmp_path / "parted", 4)
    train(photos, tmp_path / "whole", 4)
    assert _same(_checkpoint(tmp_path / "whole")["generator"], _checkpoint(tmp_path / "parted")["generator"])


def test_a_finished_run_leaves_its_bundle_again_without_a_step(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train(photos, tmp_path, 2)
    monkeypatch.setattr(loop, "_step", lambda _going: pytest.fail("nothing is left to do"))
    shutil.rmtree(tmp_path / "bundle")
    assert train(photos, tmp_path, 2).bundle_id == first.bundle_id


def test_minutes_end_a_run_too(photos: Path, tmp_path: Path) -> None:
    shares: list[float] = []
    length = Length(None, 0.01, 1000)
    from veduta.generation.train import train_generator
    from veduta.training.execution import Execution

    from .tiny import FEATURES

    train_generator(
        photos,
        tmp_path,
        PRESET,
        length,
        features=FEATURES,
        execution=Execution("float32", 1),
        progress=Progress(step=lambda _step, _steps, share: shares.append(share)),
    )
    assert shares == sorted(shares)
    assert shares[-1] >= 1
    assert 0.6 <= _rows(tmp_path)[-1]["minutes"] * 60 < 10


@pytest.mark.parametrize(("steps", "minutes", "look"), [(None, None, 1), (0, None, 1), (None, 0.0, 1), (5, None, 0)])
def test_a_length_that_cannot_be_meant_is_refused(steps: int | None, minutes: float | None, look: int) -> None:
    with pytest.raises(UsageError):
        Length(steps, minutes, look)


def test_the_checkpoint_of_another_preset_is_not_gone_on_from(photos: Path, tmp_path: Path) -> None:
    train(photos, tmp_path, 2)
    kept = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(TrainingError, match="was begun with the network dcgan, not dense"):
        train(photos, tmp_path, 4, preset=DENSE)
    with pytest.raises(TrainingError, match="was begun with filters 4, not 8"):
        train(photos, tmp_path, 4, preset=replace(PRESET, filters=8))
    assert (tmp_path / "checkpoint.pt").read_bytes() == kept


def test_other_photos_are_another_run(photos: Path, tmp_path: Path) -> None:
    train(photos, tmp_path / "run", 2)
    with pytest.raises(TrainingError, match="was begun with other"):
        train(write_photos(tmp_path / "photos", {"sea": 30, "wood": 24}), tmp_path / "run", 4)


def test_a_generator_and_a_classifier_do_not_go_on_from_each_other(photos: Path, tmp_path: Path) -> None:
    import veduta

    train(photos, tmp_path / "run", 2)
    with pytest.raises(TrainingError, match="training of a generator, and this trains a network"):
        veduta.train(
            photos, tmp_path / "run", recipe="scratch", architecture="small_cnn", size=32, epochs=1, batch_size=8
        )
    RunFolder(tmp_path / "run").save("checkpoint.pt", {"version": 1, "schedule": {}, "begun_with": {}})
    with pytest.raises(TrainingError, match="training of a network, and this trains a generator"):
        train(photos, tmp_path / "run", 4)


def test_what_is_no_checkpoint_is_told(photos: Path, tmp_path: Path) -> None:
    train(photos, tmp_path, 2)
    whole = (tmp_path / "checkpoint.pt").read_bytes()
    for damaged in (whole[: len(whole) // 2], bytes(len(whole)), b""):
        (tmp_path / "checkpoint.pt").write_bytes(damaged)
        with pytest.raises(TrainingError, match="no whole checkpoint"):
            train(photos, tmp_path, 4)


def test_a_checkpoint_that_does_not_say_how_many_pictures_were_changed_is_told(photos: Path, tmp_path: Path) -> None:
    train(photos, tmp_path, 2)
    state = _checkpoint(tmp_path)
    del state["probability"]
    torch.save(state, tmp_path / "checkpoint.pt")
    with pytest.raises(TrainingError, match="lacks its probability; name another folder"):
        train(photos, tmp_path, 4)


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_good_state(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = loop.generator_loss
    calls = iter(range(100))

    def broken(*given: Any) -> torch.Tensor:
        return whole(*given) * (float("nan") if next(calls) == 2 else 1)

    monkeypatch.setattr(loop, "generator_loss", broken)
    with pytest.raises(TrainingDiverged, match=r"generator's loss is nan at step 3; the state of step 2 is kept in"):
        train(photos, tmp_path, 6)
    saved = _checkpoint(tmp_path)
    assert saved["step"] == 2
    assert all(bool(torch.isfinite(each).all()) for each in saved["generator"].values())
    monkeypatch.setattr(loop, "generator_loss", whole)
    train(photos, tmp_path, 4)
    assert [row["step"] for row in _rows(tmp_path)] == [2, 4]


def test_weights_that_are_no_numbers_never_reach_the_checkpoint(photos: Path, tmp_path: Path) -> None:
    train(photos, tmp_path, 2)

    step = loop._step

    def last_one_breaks(going: under_way.UnderWay) -> None:
        step(going)
        if going.step == 4:
            next(going.generator.parameters()).data.fill_(float("inf"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_step", last_one_breaks)
        with pytest.raises(TrainingDiverged, match="a weight is no number any more at step 4; the state of step 2"):
            train(photos, tmp_path, 4)
    assert all(bool(torch.isfinite(each).all()) for each in _checkpoint(tmp_path)["generator"].values())


def test_a_disk_without_room_is_told_before_the_training(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from veduta.errors import OutputError

    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    with pytest.raises(OutputError, match="needs"):
        train(photos, tmp_path / "run", 2)


def test_pictures_of_one_colour_ring(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("veduta.generation.alarms.WARM_UP_STEPS", 1)
    rung: list[Alarm] = []
    train(photos, tmp_path, 2, progress=Progress(look=lambda _row, found: rung.extend(found)))
    assert {"one_colour", "mode_collapse"} <= {alarm.name for alarm in rung}
    assert "one_colour" in _rows(tmp_path)[-1]["alarms"]
    assert "one colour" in (tmp_path / "bundle" / "README.md").read_text()


@pytest.mark.slow
def test_a_generator_learns_which_class_is_blue_and_which_is_green(photos: Path, tmp_path: Path) -> None:
    from veduta.generation.sampler import Sampler

    bundle = train(photos, tmp_path, 400, 200, replace(PRESET, filters=16, latent=16, average_decay=0.98))
    sampler = Sampler(bundle, 1)
    sea, wood = (sampler.sample(16, 3, [name]).pictures.mean(axis=(0, 1, 2)) for name in ("sea", "wood"))
    assert sea[2] > sea[1] + 20
    assert wood[1] > wood[2] + 20


def test_one_photo_again_and_again_can_be_trained_on_where_it_is_meant(photos: Path, tmp_path: Path) -> None:
    train(photos, tmp_path, 2, preset=replace(PRESET, per_class=1), classes=["sea"])
    assert np.isfinite(_rows(tmp_path)[-1]["diversity"])


def test_photos_measured_by_another_embedding_are_another_run(photos: Path, tmp_path: Path) -> None:
    train(photos, tmp_path, 2)
    other = Features()
    other.name = "another"
    with pytest.raises(TrainingError, match="was begun with features 8 by 8 pixels, not another"):
        train(photos, tmp_path, 4, features=other)


def test_a_model_of_another_kind_is_not_replaced(photos: Path, tmp_path: Path) -> None:
    import veduta

    veduta.train(photos, tmp_path, recipe="transfer", views=0, folds=2)
    with pytest.raises(UsageError, match="holds a model of kind classifier"):
        train(photos, tmp_path, 2)


def test_a_generator_names_the_photos_that_it_learnt_from(photos: Path, generator: Path) -> None:
    learnt = read_photos(photos, 32)
    names = content_names([learnt.paths[place] for place in learnt.training])
    spec = Bundle.load(generator).generator
    assert spec is not None
    assert spec.learnt == tuple(sorted(names))


def test_a_run_killed_while_it_wrote_its_log_writes_it_again(photos: Path, tmp_path: Path) -> None:
    train(photos, tmp_path, 4)
    whole = (tmp_path / "log.jsonl").read_text()
    (tmp_path / "log.jsonl").write_text(whole.splitlines()[0] + "\n")
    (tmp_path / "curves.png").unlink()
    train(photos, tmp_path, 4)
    assert (tmp_path / "log.jsonl").read_text() == whole
    assert (tmp_path / "curves.png").is_file()


def test_a_photo_that_is_moved_while_it_is_learnt_from_costs_no_training(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", {"sea": 5, "wood": 5})
    learnt = content_names([str(path) for path in sorted(photos.rglob("*.png"))])

    def moves(_row: dict[str, Any], _rung: Any) -> None:
        for path in photos.rglob("*.png"):
            path.unlink()

    bundle = train(photos, tmp_path / "run", 2, progress=Progress(look=moves))
    assert bundle.generator is not None
    assert set(bundle.generator.learnt) == set(learnt)


def test_photos_and_latent_numbers_come_in_groups_of_one_class(photos: Path) -> None:
    found = read_photos(photos, 32)
    preset = replace(PRESET, batch_size=12, alike=4)
    counted = np.zeros(2)
    for seed in range(30):
        draws = torch.Generator().manual_seed(seed)
        for drawn in (draw_photos(found, preset, draws)[1], draw_latents(found, preset, draws)[1]):
            targets = drawn.argmax(dim=1).reshape(3, 4)
            assert (targets == targets[:, :1]).all()
            counted += np.bincount(targets[:, 0].numpy(), minlength=2)
    assert counted.min() / counted.sum() > 0.35  # as often as there are photos
    pictures = draw_photos(found, replace(preset, flip=False), torch.Generator().manual_seed(0))[0]
    assert len(torch.unique(pictures.flatten(1), dim=0)) > 6
