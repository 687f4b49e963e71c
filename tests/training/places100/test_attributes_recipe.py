"""The attributes of the bundled model, learnt again from few photos and put into a bundle that is there."""

from __future__ import annotations

import csv
import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra train is not installed")

from veduta.errors import UsageError
from veduta.labels.attributes import sun_attributes
from veduta.models.bundle import Bundle
from veduta.models.store import BUNDLED
from veduta.recognition.tagger import load
from veduta.training.places100 import attributes
from veduta.training.places100.attribute_figures import figures_of
from veduta.training.places100.attribute_model import AttributeModel, Choice
from veduta.training.places100.attributes import _training_photos, _with_section, add_attributes
from veduta.training.places100.photos import HOLD_OUT_LIST

SHIPPED = BUNDLED / "places100"


def test_none_of_the_photos_that_are_held_out_from_training_is_learnt_from(shared_data: Path) -> None:
    paths, targets = _training_photos(shared_data, every=3)
    held_out = set(HOLD_OUT_LIST.read_text(encoding="utf-8").split())
    assert not held_out & {"/".join(Path(path).parts[-2:]) for path in paths}
    assert np.bincount(targets).tolist() == [95] * 100


def test_photos_that_are_not_there_are_told_before_anything_is_computed(shared_data: Path, tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    shutil.copy(shared_data / "labels" / "places100.csv", tmp_path / "labels")
    with pytest.raises(UsageError, match=r"abbey holds no photo; give the folder that holds places100/"):
        _training_photos(tmp_path, every=3)
    with pytest.raises(UsageError, match=r"annotations\.csv"):
        add_attributes(_copy(tmp_path), tmp_path)


def test_the_card_gets_one_section_however_often_it_is_made() -> None:
    card = "# m\n\nAll files together take 10.5 MB.\n\n## From what it was made\n\nphotos\n\n## Limits\n\nmany\n"
    once = _with_section(card, "## Attributes\n\nfirst", 10_800_000)
    twice = _with_section(once, "## Attributes\n\nsecond", 11_000_000)
    assert twice == once.replace("first", "second").replace("10.8 MB", "11.0 MB")
    assert once.index("## Attributes") < once.index("## From what it was made")
    assert "10.5" not in once


def test_the_shipped_table_is_small_and_is_what_the_card_says() -> None:
    bundle = Bundle.load(SHIPPED)
    table = bundle.attribute_table()
    assert table is not None
    assert (SHIPPED / "attributes.f16").stat().st_size < 1e6
    assert bundle.attributes is not None
    assert bundle.attributes.labels == sun_attributes()
    by_scene = [
        label.name
        for label, source in zip(bundle.attributes.labels, bundle.attributes.sources, strict=True)
        if source == "scene"
    ]
    assert ", ".join(by_scene) in (SHIPPED / "README.md").read_text(encoding="utf-8")
    assert not np.isnan(table.frequencies).any()


@pytest.mark.slow
def test_few_photos_go_the_whole_way_into_a_bundle(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attributes, "figures_of", partial(figures_of, rounds=3))
    monkeypatch.setattr(AttributeModel, "_choose", lambda *_: Choice(4.0, 0.85))
    folder, told = _copy(tmp_path), list[str]()
    before = Bundle.load(folder)
    made = add_attributes(folder, _few(shared_data, tmp_path / "data"), note=told.append)
    assert made.embedding_id == before.embedding_id
    assert made.heads == before.heads
    assert (folder / "model.onnx").read_bytes() == (SHIPPED / "model.onnx").read_bytes()
    assert (folder / "weights.safetensors").read_bytes() == (SHIPPED / "weights.safetensors").read_bytes()
    names = [metric["name"] for metric in json.loads((folder / "model.json").read_text())["metrics"]]
    assert names.count("attributes_mean_average_precision") == 2
    assert names.count("top1") == 1
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.count("## Attributes") == 1
    assert len(told) == 4
    told_now = load(folder, attributes=True).predict(shared_data / "samples_cc0" / "ruins.jpg").attributes
    assert "natural_light" in {each.label.id for each in (told_now or ())[:5]}


def _copy(target: Path) -> Path:
    return Path(shutil.copytree(SHIPPED, target / "bundle"))


def _few(data: Path, target: Path) -> Path:
    """A data folder with two training photos of each category, and every third annotated photo."""
    (target / "labels").mkdir(parents=True)
    shutil.copy(data / "labels" / "places100.csv", target / "labels")
    for folder in sorted(each for each in (data / "places100" / "train").iterdir() if each.is_dir()):
        copied = target / "places100" / "train" / folder.name
        copied.mkdir(parents=True)
        for photo in sorted(folder.iterdir())[:2]:
            shutil.copy(photo, copied)
    (target / "sun_attributes").mkdir()
    shutil.copy(data / "sun_attributes" / "annotations.csv", target / "sun_attributes")
    (target / "sun_attributes" / "images").symlink_to(data.resolve() / "sun_attributes" / "images")
    with (data / "sun_attributes" / "photos.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    with (target / "sun_attributes" / "photos.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows[::3]])
    return target
