"""Learning behind a network by its name, and training its last blocks where that is better: torch on small photos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from veduta.datasets.manifest import Entry, Manifest, read_manifest, write_manifest
from veduta.errors import FetchFailed
from veduta.images.fetch import Fetcher
from veduta.training.held_out import HELD_OUT, HeldOut
from veduta.workflows import classify
from veduta.workflows.collection import Collection
from veduta.workflows.teach import Learning, backbone_of, teach
from veduta.workflows.watch import Watch

from .textured import COLOURS, photo

pytest.importorskip("torch", reason="the extra train is not installed")
PHOTOS = 30


@pytest.fixture
def collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Collection:
    """A clean set of two colours in a collection."""
    monkeypatch.setenv("VEDUTA_HOME", str(tmp_path / "home"))
    made = Collection.of(["red", "blue"])
    entries = []
    for colour in COLOURS:
        (made.jpegs / colour).mkdir(parents=True)
        for number in range(PHOTOS):
            file = made.jpegs / colour / f"{number}.jpg"
            file.write_bytes(photo(colour, number))
            entries.append(Entry(str(file), (colour,)))
    write_manifest(made.manifest, Manifest("single_label", tuple(entries)))
    return made


@pytest.mark.slow
def test_a_network_is_made_once_and_its_fine_tuning_is_kept_only_where_it_is_clearly_better(
    collection: Collection, shared_weights: Path
) -> None:
    weights = shared_weights / "mobilenet_v2_imagenet.safetensors"
    learning = Learning(architecture="mobilenet_v2", weights=str(weights), size=64, finetune=True)
    said: list[str] = []
    watch = Watch(said.append, note=said.append)
    backbone = backbone_of(learning, collection, watch)
    assert backbone_of(learning, collection, watch).bundle_id == backbone.bundle_id
    assert said.count("making mobilenet_v2 ready") == 1
    manifest = read_manifest(collection.manifest)
    model = teach(manifest, backbone, learning, collection, watch)
    told = next(words for words in said if "with a standard error of" in words)
    kept = "the fine-tuned network is kept" in told
    assert len(HeldOut.read(model.path / HELD_OUT).targets) == (2 * PHOTOS // 5 if kept else 2 * PHOTOS)
    assert model.heads[0].temperature is not None or not kept
    again = len(said)
    assert teach(manifest, backbone, learning, collection, watch).bundle_id == model.bundle_id
    assert "training the network's last blocks" not in said[again:], "what is trained is not trained again"


def test_where_weights_can_not_be_had_the_bundled_model_serves_unless_a_network_was_asked_for(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []

    def no_internet(learning: Learning, *_rest: object) -> Any:
        asked.append(learning.architecture)
        if learning.architecture is None:
            raise InterruptedError  # far enough
        raise FetchFailed("no connection")

    monkeypatch.setattr(classify, "backbone_of", no_internet)
    wanted: Any = type("Wanted", (), {"labels": ("red", "blue"), "disown": False})
    said: list[str] = []
    learning = Learning(architecture="mobilenet_v2", may_fall_back=True)
    with Fetcher() as fetcher, pytest.raises(InterruptedError):
        classify.make_model(wanted, learning, fetcher, Watch(note=said.append))
    assert asked == ["mobilenet_v2", None]
    assert "the weights of mobilenet_v2 can't be had (no connection); learning behind places100" in said
    with Fetcher() as fetcher, pytest.raises(FetchFailed):
        classify.make_model(wanted, Learning(architecture="mobilenet_v2"), fetcher, Watch())
