"""Somebody's weights become a model that answers as they did, or are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

import veduta
from veduta.errors import UsageError, WeightsError
from veduta.labels.categories import places365
from veduta.training import downloads
from veduta.training.convert import convert, imagenet_labels, labels_named

from .made_weights import official


def test_imagenets_labels_are_a_thousand_unique_ids_without_an_environment() -> None:
    labels = imagenet_labels()
    assert len(labels) == len({label.id for label in labels}) == 1000
    assert {label.environment for label in labels} == {None}
    assert (labels[207].id, labels[207].name) == ("golden_retriever", "golden retriever")


def test_lists_of_labels_are_found_by_name_or_file(tmp_path: Path) -> None:
    (tmp_path / "two.csv").write_text("id\na\nb\n")
    assert labels_named("places365") == places365()
    assert [label.id for label in labels_named(str(tmp_path / "two.csv"))] == ["a", "b"]
    with pytest.raises(UsageError, match="'imagnet' is no list of labels"):
        labels_named("imagnet")


def test_converting_needs_as_many_labels_as_the_weights_have(tmp_path: Path, store: Path) -> None:
    (tmp_path / "w.pth").write_bytes(official("squeezenet1_1", 3))
    (tmp_path / "two.csv").write_text("id\na\nb\n")
    with pytest.raises(WeightsError, match="tells 3 classes apart, expected 2"):
        convert(
            tmp_path / "w.pth",
            architecture="squeezenet1_1",
            labels=labels_named(str(tmp_path / "two.csv")),
            name="mine",
        )
    with pytest.raises(UsageError, match="can't be a model's name"):
        convert(tmp_path / "w.pth", architecture="squeezenet1_1", labels=places365(), name="../mine")
    assert not store.exists()
    assert downloads.cache() == tmp_path / "cache" / "downloads"


@pytest.mark.slow
@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("name", ["mobilenet_v2", "squeezenet1_1"])
def test_the_shared_imagenet_weights_know_a_dog(name: str, shared_weights: Path, shared_data: Path) -> None:
    convert(
        shared_weights / f"{name}_imagenet.safetensors",
        architecture=name,
        labels=imagenet_labels(),
        name=f"imagenet-{name}",
    )
    tagger = veduta.load(f"imagenet-{name}", threads=1)
    dogs = sorted((shared_data / "cat_dog" / "dog").iterdir())[::12]
    # The breeds of dogs are the classes 151 to 268.
    seen = [tagger.predict(photo).probabilities for photo in dogs]
    share = np.mean([float(each[151:269].sum()) > 0.5 for each in seen if each is not None])
    assert share >= 0.9
    why = veduta.explain(tagger, dogs[0])
    assert why.method == "class maps"
