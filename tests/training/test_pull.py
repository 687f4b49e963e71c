"""Published weights: from a server on loopback to a model in the store, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from torch import Tensor
from torchvision import models

import veduta
from veduta.errors import FetchAltered, FetchError, OutputError, UsageError, WeightsError
from veduta.images.fetch import Fetcher, Politeness
from veduta.labels.categories import places365
from veduta.models.bundle import Bundle
from veduta.training import catalogue, downloads, pull
from veduta.training.catalogue import PUBLISHED, published
from veduta.training.checkpoints import load_weights
from veduta.training.convert import convert, imagenet_labels, labels_named
from veduta.training.downloads import cache, download, records
from veduta.training.networks import ARCHITECTURES, build

#: The networks that torchvision has under the same name.
OFFICIAL = [name for name in ARCHITECTURES if name in models.list_models()]


class Server:
    """Files by name; each answer may be cut after some bytes. Ranges are honoured as RFC 9110 says."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cut_after: list[int] = []
        self.asked: list[tuple[str, str | None]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, *_arguments: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/weights"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        name = request.path.rpartition("/")[2]
        span = request.headers.get("Range")
        self.asked.append((name, span))
        content = self.files.get(name)
        if content is None:
            request.send_error(404)
            return
        start = int(span.removeprefix("bytes=").rstrip("-")) if span else 0
        request.send_response(206 if span else 200)
        if span:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        request.send_header("Content-Length", str(len(content) - start))
        request.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()[:16]}"')
        request.end_headers()
        part = content[start:]
        if self.cut_after:
            part = part[: self.cut_after.pop(0)]
            request.close_connection = True
        request.wfile.write(part)

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def fetcher(server: Server) -> Iterator[Fetcher]:
    with Fetcher(allow_loopback=True, ports={server.port}, politeness=Politeness(interval_seconds=0)) as made:
        yield made


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VEDUTA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VEDUTA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "home" / "models"


def official(name: str, classes: int) -> bytes:
    """A made checkpoint as the authors of Places365 saved theirs: the old format, and ``module.`` before each name."""
    torch.manual_seed(7)
    state = models.get_model(name, weights=None, num_classes=classes).state_dict()
    kept: OrderedDict[str, Tensor] = OrderedDict(
        (f"module.{key}", value) for key, value in state.items() if "num_batches_tracked" not in key
    )
    buffer = io.BytesIO()
    whole = {"epoch": 90, "arch": name, "state_dict": kept, "best_prec1": 54.0}
    torch.save(whole, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


RESNET = published("places365-resnet18")


# --- the catalogue


def test_each_published_file_is_for_a_network_that_can_be_built() -> None:
    for name, entry in PUBLISHED.items():
        assert name == entry.name
        assert entry.architecture in ARCHITECTURES
        assert pull.preprocessing(entry).sizes[0][0] == ARCHITECTURES[entry.architecture].side


def test_what_the_issue_promises_can_be_pulled() -> None:
    for network in ("resnet18", "resnet50", "densenet161", "alexnet"):
        entry = published(f"{network}_places365")
        assert entry.address == f"http://places2.csail.mit.edu/models_places365/{network}_places365.pth.tar"
    for network in ("resnet50", "vgg16", "vgg19", "inception_v3", "densenet201", "mobilenet_v2"):
        assert published(f"imagenet-{network}").labels == "imagenet"


def test_torchvision_says_the_same_of_its_own_files() -> None:
    known = {weights.url: weights for name in OFFICIAL for weights in models.get_model_weights(name)}
    for entry in PUBLISHED.values():
        if not entry.address.startswith("https://download.pytorch.org/"):
            continue
        weights = known[entry.address]
        recipe, wanted = weights.transforms(), pull.preprocessing(entry)
        assert [wanted.short_side] == recipe.resize_size
        assert [wanted.sizes[0][0]] == recipe.crop_size
        assert wanted.filter == recipe.interpolation.value
        assert entry.accuracy == weights.meta["_metrics"]["ImageNet-1K"]["acc@1"]
        assert abs(entry.megabytes - weights.meta["_file_size"]) < 1
        assert entry.hash_prefix is not None
        assert entry.address.endswith(f"-{entry.hash_prefix}.pth")


def test_timm_says_the_same_of_its_own_file() -> None:
    import timm

    entry = published("imagenet-mobilenetv2_100-timm")
    config = timm.get_pretrained_cfg("mobilenetv2_100").to_dict()
    assert config["url"].rpartition("/")[2] == entry.file_name
    assert config["interpolation"] == entry.filter
    assert round(224 / config["crop_pct"]) == pull.preprocessing(entry).short_side


def test_an_unknown_name_is_refused_with_near_ones() -> None:
    with pytest.raises(UsageError, match="did you mean places365-resnet50"):
        published("places365-resnet52")


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


# --- downloads


def test_a_download_is_recorded_and_then_taken_from_the_cache(server: Server, fetcher: Fetcher) -> None:
    server.files[RESNET.file_name] = b"weights" * 1000
    seen: list[tuple[int, int | None]] = []
    first = download(
        RESNET, mirror=server.url, fetcher=fetcher, on_bytes=lambda done, total: seen.append((done, total))
    )
    assert first.path == cache() / RESNET.file_name
    assert first.sha256 == hashlib.sha256(b"weights" * 1000).hexdigest()
    assert seen[-1] == (7000, 7000)
    assert json.loads(records().read_text()) == {RESNET.address: first.sha256}
    assert download(RESNET, mirror=server.url, fetcher=fetcher) == first
    assert len(server.asked) == 1


def test_another_content_is_refused_after_the_first_download(server: Server, fetcher: Fetcher) -> None:
    server.files[RESNET.file_name] = b"weights" * 1000
    first = download(RESNET, mirror=server.url, fetcher=fetcher)
    first.path.unlink()
    server.files[RESNET.file_name] = b"changed" * 1000
    with pytest.raises(FetchAltered):
        download(RESNET, mirror=server.url, fetcher=fetcher)
    assert not first.path.exists()


def test_a_download_goes_on_where_it_was_cut(server: Server, fetcher: Fetcher) -> None:
    content = np.random.default_rng(0).bytes(300_000)
    server.files[RESNET.file_name] = content
    server.cut_after = [100_000]
    found = download(RESNET, mirror=server.url, fetcher=fetcher)
    assert found.path.read_bytes() == content
    assert len(server.asked) == 2
    assert server.asked[1][1] is not None


def test_what_breaks_off_for_good_leaves_no_file_and_no_record(server: Server, fetcher: Fetcher) -> None:
    server.files[RESNET.file_name] = b"weights" * 1000
    server.cut_after = [0] * 20
    with pytest.raises(FetchError):
        download(RESNET, mirror=server.url, fetcher=fetcher)
    assert not (cache() / RESNET.file_name).exists()
    assert not records().exists()


def test_the_users_own_sha256_holds(server: Server, fetcher: Fetcher) -> None:
    server.files[RESNET.file_name] = b"weights"
    right, wrong = hashlib.sha256(b"weights").hexdigest(), hashlib.sha256(b"others").hexdigest()
    with pytest.raises(FetchAltered):
        download(RESNET, sha256=wrong, mirror=server.url, fetcher=fetcher)
    assert not records().exists()
    with pytest.raises(UsageError, match="64 hexadecimal digits"):
        download(RESNET, sha256="abc", mirror=server.url, fetcher=fetcher)
    assert download(RESNET, sha256=right.upper(), mirror=server.url, fetcher=fetcher).sha256 == right
    with pytest.raises(UsageError, match=r"first download had the SHA-256 .*downloads\.json"):
        download(RESNET, sha256=wrong, mirror=server.url, fetcher=fetcher)


def test_a_file_whose_name_tells_another_hash_is_not_kept(server: Server, fetcher: Fetcher) -> None:
    entry = published("imagenet-squeezenet1_1")
    server.files[entry.file_name] = b"not those"
    with pytest.raises(FetchAltered, match="its name says b8a52dc0"):
        download(entry, mirror=server.url, fetcher=fetcher)
    assert not (cache() / entry.file_name).exists()
    assert not records().exists()


@pytest.mark.parametrize("content", ["[1]", "{", '{"a": 5}', '{"a": "zz"}', "[" * 100_000])
def test_a_damaged_record_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    records().write_text(content)
    with pytest.raises(UsageError, match=r"downloads\.json: is no list"):
        download(RESNET)


def test_the_place_without_an_address_is_told(server: Server, fetcher: Fetcher) -> None:
    with pytest.raises(FetchError, match="404"):
        download(RESNET, mirror=server.url, fetcher=fetcher)


# --- from the address to a model


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
    with pytest.raises(OutputError, match="has 50 MB free, and places365-resnet18 needs 92"):
        pull.pull("places365-resnet18", mirror=server.url, fetcher=fetcher)
    assert server.asked == []


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


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "resnet50", "densenet161", "alexnet"])
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
