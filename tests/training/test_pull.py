"""Published weights: from a server on loopback to a model in the store, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from torchvision import models

import veduta
from veduta.errors import OutputError, UsageError, WeightsError
from veduta.images.fetch import Fetcher
from veduta.labels.categories import places365
from veduta.models.bundle import Bundle
from veduta.training import catalogue, pull
from veduta.training.catalogue import published
from veduta.training.checkpoints import load_weights
from veduta.training.downloads import cache
from veduta.training.networks import build

from .made_weights import official
from .weights_server import Server

pytestmark = pytest.mark.usefixtures("store")

RESNET = published("places365-resnet18")


def test_a_wrong_file_at_the_address_never_becomes_a_model(server: Server, fetcher: Fetcher, store: Path) -> None:
    server.files[RESNET.file_name] = b"<html><body>moved</body></html>"
    with pytest.raises(WeightsError, match="is a web page"):
        pull.pull("places365-resnet18", mirror=server.url, fetcher=fetcher)
    assert not store.exists()


def test_the_classes_of_another_list_are_refused(server: Server, fetcher: Fetcher, store: Path) -> None:
    server.files[RESNET.file_name] = official("resnet18", 1000)
    with pytest.raises(WeightsError, match="tells 1000 classes apart, expected 365"):
        pull.pull("resnet18_places365", mirror=server.url, fetcher=fetcher)
    assert not store.exists()


def test_a_name_that_is_taken_is_refused_before_anything_is_asked(
    server: Server, fetcher: Fetcher, store: Path
) -> None:
    (store / "mine").mkdir(parents=True)
    (store / "mine" / "model.json").write_text("{}")
    with pytest.raises(UsageError, match="a model 'mine' is in the store already"):
        pull.pull("places365-resnet18", bundle_name="mine", mirror=server.url, fetcher=fetcher)
    with pytest.raises(UsageError, match="comes with Veduta already"):
        pull.pull("places365-resnet18", bundle_name="places100", mirror=server.url, fetcher=fetcher)
    assert server.asked == []


def test_a_full_disk_is_told_before_anything_is_asked(
    server: Server, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage._replace(free=50_000_000))
    with pytest.raises(OutputError, match="has 50 MB free, and places365-resnet18 needs 138"):
        pull.pull("places365-resnet18", mirror=server.url, fetcher=fetcher)
    assert server.asked == []


@pytest.mark.parametrize("name", ["resnet18_places365.pth.tar", "resnet18_places365.pth.tar.part"])
def test_what_is_in_the_cache_already_needs_no_room_again(
    server: Server, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    cache().mkdir(parents=True)
    with (cache() / name).open("wb") as file:
        file.truncate(46_000_000)
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage._replace(free=91_000_000))
    with pytest.raises(OutputError, match="has 91 MB free, and places365-resnet18 needs 92"):
        pull.pull("places365-resnet18", mirror=server.url, fetcher=fetcher)


def test_a_cache_on_another_disk_takes_no_room_from_the_store(
    server: Server, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no other disk is known")
    monkeypatch.setenv("VEDUTA_CACHE", str(other / "veduta-not-there"))
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage._replace(free=91_000_000))
    with pytest.raises(OutputError, match="has 91 MB free, and places365-resnet18 needs 92"):
        pull.pull("places365-resnet18", mirror=server.url, fetcher=fetcher)


def check_answers(bundle: Bundle, content: bytes, architecture: str) -> None:
    """The model says what torchvision's network says with these weights."""
    state = torch.load(io.BytesIO(content), weights_only=True)["state_dict"]
    network = models.get_model(architecture, weights=None, num_classes=len(bundle.heads[0].labels))
    network.load_state_dict({key.removeprefix("module."): value for key, value in state.items()}, strict=False)
    height, width = bundle.preprocessing.sizes[0]
    pixels = np.random.default_rng(1).integers(0, 256, (1, height, width, 3), np.uint8)
    mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in [(0.485, 0.456, 0.406), (0.229, 0.224, 0.225)])
    images = (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - mean) / std
    with torch.inference_mode():
        expected = network.eval()(images).numpy()
    found = veduta.models.session.Session(bundle.graph).run(pixels, ["logits"])["logits"]
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(found, expected, rtol=2e-2, atol=2e-3 * scale)  # float16 weights against float32


def test_a_whole_pull_ends_in_a_model_that_tags(
    server: Server, fetcher: Fetcher, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = published("imagenet-squeezenet1_1")
    # No file of ours has the hash that the real one's name tells.
    monkeypatch.setitem(catalogue.PUBLISHED, entry.name, replace(entry, hash_prefix=None))
    content = official("squeezenet1_1", 1000)
    server.files[entry.file_name] = content
    server.cut_after = [1_000_000]
    stages: list[str] = []
    bundle = pull.pull(entry.name, mirror=server.url, fetcher=fetcher, watch=pull.Watch(stage=stages.append))
    assert stages[0] == "downloading squeezenet1_1-b8a52dc0.pth"
    assert bundle.path == store / entry.name
    assert bundle.architecture == "squeezenet1_1"
    assert bundle.license == "BSD-3-Clause"
    head = bundle.heads[0]
    assert (len(head.labels), head.temperature, head.class_maps_mean_is_logits) == (1000, None, True)
    check_answers(bundle, content, "squeezenet1_1")
    card = (bundle.path / "README.md").read_text()
    digest = hashlib.sha256(content).hexdigest()
    assert digest in card
    assert "58.178 %" in card
    assert "not calibrated" in card
    # The downloaded file starts a training, and so does the model.
    for source in (f"hub:{entry.name}", "hub", entry.name):
        origin = load_weights(build("squeezenet1_1", 4), source, fetcher=fetcher)
        assert origin is not None
        assert source.startswith("imagenet") or origin.sha256 == digest
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "name",
    ["resnet18", *(pytest.param(name, marks=pytest.mark.slow) for name in ("resnet50", "densenet161", "alexnet"))],
)
def test_the_networks_of_places365_become_models(server: Server, fetcher: Fetcher, name: str) -> None:
    entry = published(f"places365-{name}")
    content = official(name, 365)
    server.files[entry.file_name] = content
    bundle = pull.pull(entry.name, mirror=server.url, fetcher=fetcher)
    head = bundle.heads[0]
    assert [label.id for label in head.labels] == [label.id for label in places365()]
    assert all(label.environment for label in head.labels)
    assert all(label.coarse for label in head.labels)
    assert bundle.license == "CC-BY"
    assert (head.class_maps is None) == (name == "alexnet")
    assert bundle.preprocessing.short_side == 256
    check_answers(bundle, content, name)
