"""Comparisons whose trainings are made models, so that what is done, kept and done anew can be seen at once."""

from __future__ import annotations

import csv
import json
import resource
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra train is not installed")
pytest.importorskip("sklearn", reason="the extra learn is not installed")

from veduta.errors import MissingExtra, OutputError, TrainingError, UsageError
from veduta.models.bundle import Bundle
from veduta.workflows import cells as cells_room
from veduta.workflows.compare import Watch, compare_models, compare_trainings
from veduta.workflows.grid import Cell, Grid, Settings
from veduta.workflows.outcomes import Measuring
from veduta.workflows.trainings import train_cell

QUICK = Measuring(rounds=1, seconds=0.001, photos=4)
SETTINGS = Settings(threads=1)
GRID = Grid(("small_cnn", "resnet18"), (32, 48), ("scratch",))

Compare = Callable[..., Any]


class Trainings:
    """Stands in for ``train_cell``: what was trained, and what shall happen then."""

    def __init__(self, make_model: Callable[..., Bundle]) -> None:
        self.done: list[str] = []
        self.events: dict[str, Callable[[], None]] = {}
        self.real: set[str] = set()
        self._make_model = make_model

    def __call__(self, cell: Cell, settings: Settings, data: Path, run: Path, *more: Any) -> Bundle:
        if cell.name in self.real:
            return train_cell(cell, settings, data, run, *more)
        told = more[-1]
        told.within("made", 1, 2)
        told.trained(0.5)
        self.done.append(cell.name)
        self.events.get(cell.name, lambda: None)()
        (run / "checkpoint.pt").parent.mkdir(parents=True, exist_ok=True)
        (run / "checkpoint.pt").write_bytes(b"of no more use")
        labels = ("red", "green", "blue") if cell.architecture == "small_cnn" else ("blue", "green", "red")
        return self._make_model(labels, folder=run / "bundle", size=cell.size)

    def __next__(self) -> list[str]:
        """What was trained since the last time."""
        done, self.done = self.done, []
        return done


@pytest.fixture(autouse=True)
def undrawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures take longer than all the rest; tests that look at them ask for ``drawn``."""
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr("veduta.reports.comparison.comparison_plot", lambda *_given: b"not drawn")


@pytest.fixture
def drawn() -> None:
    pass


@pytest.fixture
def trainings(make_model: Callable[..., Bundle], monkeypatch: pytest.MonkeyPatch) -> Trainings:
    made = Trainings(make_model)
    monkeypatch.setattr(cells_room, "train_cell", made)
    return made


@pytest.fixture
def compare(photos: Path, tmp_path: Path) -> Compare:
    def call(grid: Grid = GRID, settings: Settings = SETTINGS, **more: Any) -> Any:
        return compare_trainings(photos, tmp_path / "out", grid, settings, measuring=QUICK, **more)

    return call


def test_every_cell_is_trained_once_and_judged_on_the_same_photos(
    compare: Compare, trainings: Trainings, tmp_path: Path, drawn: None
) -> None:
    begun: list[tuple[str, int, int]] = []
    shares: list[float] = []
    found = compare(watch=Watch(begin=lambda *told: begun.append(told), share=shares.append))
    names = [cell.name for cell in GRID.cells]
    assert next(trainings) == names
    assert begun == [(name, place + 1, 4) for place, name in enumerate(names)]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert [row.outcome.name for row in found.rows] == names
    assert {row.photos for row in found.rows} == {6}
    right, wrong = found.rows[0].figures["top1"].value, found.rows[2].figures["top1"].value
    assert right > wrong
    assert "top5" not in found.rows[0].figures, "there are three classes"
    assert found.rows[0].difference is None
    assert found.rows[2].difference is not None
    assert found.rows[2].difference.value == pytest.approx(wrong - right)
    assert found.rows[2].against == names[0]
    out = tmp_path / "out"
    assert {"index.html", "comparison.json", "comparison.csv", "comparison.md", "comparison.png", "comparison.svg",
            "data", "cells", "assets"} == {each.name for each in out.iterdir()}  # fmt: skip
    assert not list(out.rglob("checkpoint.pt")), "a finished training needs none"
    told = json.loads((out / "comparison.json").read_text())
    assert (out / told["rows"][0]["bundle"] / "model.json").is_file()
    with (out / "comparison.csv").open(newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == names


def test_the_same_call_again_does_nothing_and_says_the_same(
    compare: Compare, trainings: Trainings, tmp_path: Path
) -> None:
    compare()
    next(trainings)
    before = {file: file.read_bytes() for file in (tmp_path / "out").glob("comparison.*")}
    notes: list[str] = []
    compare(watch=Watch(note=notes.append))
    assert next(trainings) == []
    assert notes == ["4 of 4 are known from an earlier run"]
    assert {file: file.read_bytes() for file in (tmp_path / "out").glob("comparison.*")} == before


def test_a_changed_setting_does_its_own_cells_anew_and_the_old_ones_stay(
    compare: Compare, trainings: Trainings, make_model: Callable[..., Bundle]
) -> None:
    start = str(make_model(name="start").path)
    grid = Grid(("small_cnn",), (32,), ("scratch", "transfer"), weights={"small_cnn": start})
    compare(grid)
    assert next(trainings) == ["small_cnn-32-scratch", "small_cnn-32-transfer"]
    compare(grid, Settings(threads=1, views=1))
    assert next(trainings) == ["small_cnn-32-transfer"]
    compare(grid, Settings(threads=1, scratch_epochs=3))
    assert next(trainings) == ["small_cnn-32-scratch"]
    compare(Grid(("small_cnn",), (32, 48), ("scratch", "transfer"), weights={"small_cnn": start}))
    assert next(trainings) == ["small_cnn-48-scratch", "small_cnn-48-transfer"]
    compare(grid)
    assert next(trainings) == []
    other = str(make_model(("blue", "red", "green"), name="other", size=40).path)
    compare(Grid(("small_cnn",), (32,), ("scratch", "transfer"), weights={"small_cnn": other}))
    assert next(trainings) == ["small_cnn-32-transfer"]
    compare(grid, Settings(threads=1, seed=1))
    assert next(trainings) == ["small_cnn-32-scratch", "small_cnn-32-transfer"]


def test_other_photos_are_another_set(compare: Compare, trainings: Trainings, photos: Path) -> None:
    grid = Grid(("small_cnn",), (32,), ("scratch",))
    compare(grid)
    (photos / "red" / "0.png").unlink()
    compare(grid)
    assert next(trainings) == ["small_cnn-32-scratch"] * 2


def test_other_threads_measure_anew_and_train_nothing(compare: Compare, trainings: Trainings) -> None:
    grid = Grid(("small_cnn",), (32,), ("scratch",))
    first = compare(grid)
    again = compare(grid, Settings(threads=2))
    assert next(trainings) == ["small_cnn-32-scratch"]
    assert (first.rows[0].outcome.graph.threads, again.rows[0].outcome.graph.threads) == (1, 2)
    assert again.rows[0].outcome.effort == first.rows[0].outcome.effort


def test_a_cell_that_fails_is_told_and_tried_again_next_time(
    compare: Compare, trainings: Trainings, tmp_path: Path
) -> None:
    def fail() -> None:
        raise TrainingError("the loss is no number at step 3.")

    trainings.events["resnet18-32-scratch"] = fail
    missing: list[str] = []
    found = compare(watch=Watch(missing=lambda each: missing.append(each.name)))
    assert len(next(trainings)) == 4
    assert missing == ["resnet18-32-scratch"]
    assert [(each.name, each.reason) for each in found.missing] == [
        ("resnet18-32-scratch", "the loss is no number at step 3.")
    ]
    assert len(found.rows) == 3
    for ending in ("md", "csv", "json"):
        assert "the loss is no number" in (tmp_path / "out" / f"comparison.{ending}").read_text()
    assert "the loss is no number" in (tmp_path / "out" / "index.html").read_text()
    trainings.events.clear()
    assert not compare().missing
    assert next(trainings) == ["resnet18-32-scratch"]


def test_a_size_that_one_network_can_not_take_is_missing_with_its_sentence(
    compare: Compare, trainings: Trainings
) -> None:
    trainings.real = {"inception_v3-32-scratch"}
    found = compare(Grid(("small_cnn", "inception_v3"), (32,), ("scratch",)))
    assert [row.outcome.name for row in found.rows] == ["small_cnn-32-scratch"]
    (missing,) = found.missing
    assert missing.name == "inception_v3-32-scratch"
    assert "inception_v3 sees photos from 75 pixels on; 32 are too few" in missing.reason


def test_stopped_on_the_way_the_rest_is_done_next_time_and_what_there_is_is_written(
    compare: Compare, trainings: Trainings, tmp_path: Path
) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    trainings.events["resnet18-32-scratch"] = stop
    with pytest.raises(KeyboardInterrupt):
        compare()
    assert next(trainings) == ["small_cnn-32-scratch", "small_cnn-48-scratch", "resnet18-32-scratch"]
    told = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert [row["name"] for row in told["rows"]] == ["small_cnn-32-scratch", "small_cnn-48-scratch"]
    assert any("2 of 4 are done so far" in remark for remark in told["remarks"])
    trainings.events.clear()
    found = compare()
    assert next(trainings) == ["resnet18-32-scratch", "resnet18-48-scratch"]
    assert len(found.rows) == 4
    assert found.rows[2].outcome.effort is not None
    assert found.rows[2].outcome.effort.runs == 2


def test_a_full_disk_stops_all_and_what_was_done_stays(compare: Compare, trainings: Trainings, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    trainings.events["small_cnn-48-scratch"] = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200, before[1]))
    try:
        with pytest.raises(OutputError):
            compare()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert next(trainings) == ["small_cnn-32-scratch", "small_cnn-48-scratch"]
    trainings.events.clear()
    assert len(compare().rows) == 4
    assert next(trainings) == ["small_cnn-48-scratch", "resnet18-32-scratch", "resnet18-48-scratch"]
    assert not [file for file in (tmp_path / "out").rglob("*") if file.name.endswith(".part")]


def test_a_damaged_outcome_is_judged_anew_and_a_damaged_model_trained_anew(
    compare: Compare, trainings: Trainings, tmp_path: Path
) -> None:
    compare()
    next(trainings)
    (outcome,) = (tmp_path / "out" / "cells").glob("small_cnn-32-*/outcome.json")
    outcome.write_bytes(outcome.read_bytes()[:100])
    assert len(compare().rows) == 4
    assert next(trainings) == []
    outcome.unlink()
    (outcome.parent / "run" / "bundle" / "model.onnx").write_bytes(b"\0" * 99)
    shutil.rmtree(outcome.parent / "run" / "bundle")
    found = compare()
    assert next(trainings) == ["small_cnn-32-scratch"]
    assert found.rows[0].outcome.effort.runs == 1


def test_the_baseline_is_what_was_asked_for(compare: Compare, trainings: Trainings) -> None:
    found = compare(baseline="resnet18-48-scratch")
    assert {row.against for row in found.rows} == {"resnet18-48-scratch"}
    assert found.rows[3].difference is None
    assert found.rows[0].difference is not None
    assert found.rows[0].difference.value > 0
    with pytest.raises(UsageError, match="did you mean 'resnet18-48-scratch'"):
        compare(baseline="resnet18-48-scrath")


def test_what_can_not_be_meant_is_refused_before_any_training(
    photos: Path, tmp_path: Path, trainings: Trainings, make_model: Callable[..., Bundle]
) -> None:
    out = tmp_path / "out"

    def refused(said: str, grid: Grid, kind: type[Exception] = UsageError, settings: Settings = SETTINGS) -> None:
        with pytest.raises(kind, match=said):
            compare_trainings(photos, out, grid, settings, measuring=QUICK)

    refused("sees photos from 32 pixels", Grid(("resnet18",), (16, 48), ("scratch",)), TrainingError)
    refused("small_cn", Grid(("small_cn",), recipes=("scratch",)), TrainingError)
    refused("small_cnn has no weights for transfer", Grid(("small_cnn",)))
    refused("no such file", Grid(("small_cnn",), weights={"small_cnn": "none.pth"}), Exception)
    model = str(make_model(name="start").path)
    refused("no weights", Grid(("small_cnn",), recipes=("finetune",), weights={"small_cnn": model}), Exception)
    refused("a mobilenet_v2_128, not a small_cnn", Grid(("small_cnn",), weights={"small_cnn": "places100"}))
    assert not out.exists()
    assert trainings.done == []


def test_a_folder_with_somebodys_files_is_left_alone(compare: Compare, trainings: Trainings, tmp_path: Path) -> None:
    (tmp_path / "out" / "data").mkdir(parents=True)
    (tmp_path / "out" / "data" / "photos.csv").write_text("mine")
    with pytest.raises(UsageError, match="data: is there already"):
        compare()
    assert (tmp_path / "out" / "data" / "photos.csv").read_text() == "mine"
    assert trainings.done == []


def test_without_torch_only_transfer_behind_models_is_possible(
    compare: Compare, trainings: Trainings, make_model: Callable[..., Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "veduta.training.recipes", None)
    with pytest.raises(MissingExtra, match=r"veduta\[train\].*only transfer behind models can be compared"):
        compare(GRID)
    start = str(make_model(name="start").path)
    found = compare(Grid(("small_cnn",), (32,), ("transfer",), weights={"small_cnn": start}))
    assert next(trainings) == ["small_cnn-32-transfer"]
    assert len(found.rows) == 1


def test_finished_models_are_judged_on_every_set(
    photos: Path, tmp_path: Path, make_model: Callable[..., Bundle]
) -> None:
    right, wrong = make_model(name="right"), make_model(("blue", "green", "red"), name="wrong")
    other = shutil.copytree(photos, tmp_path / "other")
    shutil.rmtree(other / "green")
    models: list[str | Path] = [wrong.path, right.path]
    found = compare_models(models, [photos, other], tmp_path / "out", threads=1, measuring=QUICK)
    assert [(row.outcome.name, row.outcome.data, row.photos) for row in found.rows] == [
        ("wrong", "photos", 30),
        ("right", "photos", 30),
        ("wrong", "other", 20),
        ("right", "other", 20),
    ]
    assert found.rows[1].figures["top1"].value == pytest.approx(26 / 30)
    assert found.rows[0].against == "right"
    assert found.rows[0].outcome.effort is None
    began: list[str] = []
    watch = Watch(begin=lambda name, *_: began.append(name))
    compare_models(models, [photos, other], tmp_path / "out", threads=1, measuring=QUICK, watch=watch)
    assert began == []


def test_models_of_one_name_are_called_as_they_were_typed(
    photos: Path, tmp_path: Path, make_model: Callable[..., Bundle]
) -> None:
    one, two = (make_model(name="same", folder=tmp_path / name / "bundle") for name in ("one", "two"))
    found = compare_models([one.path, two.path], [photos], tmp_path / "out", threads=1, measuring=QUICK)
    assert [row.outcome.name for row in found.rows] == [str(one.path), str(two.path)]
    with pytest.raises(UsageError, match="is named twice"):
        compare_models([one.path, one.path], [photos], tmp_path / "out", measuring=QUICK)


def test_only_photos_that_all_models_know_count_and_that_is_told(
    photos: Path, tmp_path: Path, make_model: Callable[..., Bundle]
) -> None:
    whole, part = make_model(name="whole"), make_model(("red", "green", "teal"), name="part")
    found = compare_models([whole.path, part.path], [photos], tmp_path / "out", threads=1, measuring=QUICK)
    assert {row.photos for row in found.rows} == {20}
    assert found.notes == (
        "photos: 20 of 30 photos count, those that every model answered; not all models know 'blue'.",
    )


def test_models_that_nothing_can_compare_are_refused(
    photos: Path, tmp_path: Path, make_model: Callable[..., Bundle]
) -> None:
    one, many = make_model(name="one"), make_model(name="many", task="multi_label")
    red, blue = make_model(("red", "x", "y"), name="red"), make_model(("x", "y", "blue"), name="blue")
    with pytest.raises(UsageError, match="one tells one label for each photo and many any number"):
        compare_models([one.path, many.path], [photos], tmp_path / "out")
    with pytest.raises(UsageError, match="no label of photos is known to all of red, blue"):
        compare_models([red.path, blue.path], [photos], tmp_path / "out")
    with pytest.raises(UsageError, match="needs a model and a set"):
        compare_models([], [photos], tmp_path / "out")
    assert not (tmp_path / "out").exists()
