"""Weights files of every layout are read and fitted; what is not whole, not weights or not this network is refused."""

from __future__ import annotations

import io
import os
import pickle
import re
import shutil
import struct
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the extra train is not installed")

import timm
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import models

from veduta.errors import BundleCorrupt, BundleNotFound, UsageError, WeightsError
from veduta.models.store import BUNDLED
from veduta.training.checkpoints import fit_weights, load_weights, read_checkpoint
from veduta.training.export import export_weights
from veduta.training.layouts import fit, guess, shapes
from veduta.training.networks import ARCHITECTURES, SceneNetwork, build

State = dict[str, Tensor]

#: The networks that torchvision has under the same name.
OFFICIAL = [name for name in ARCHITECTURES if name in models.list_models()]
SMALL = ("mobilenet_v2", "squeezenet1_1", "resnet18")


def theirs(name: str, classes: int = 1000) -> nn.Module:
    """torchvision's own network, as its ImageNet weights are used; batch norms with statistics of their own."""
    torch.manual_seed(5)
    options: dict[str, Any] = {"init_weights": True, "transform_input": True} if name == "inception_v3" else {}
    network: nn.Module = models.get_model(name, weights=None, num_classes=classes, **options)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network.eval()


def same_answers(ours: SceneNetwork, other: nn.Module, side: int) -> None:
    images = torch.randn((2, 3, side, side), generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        expected, found = other.eval()(images), ours.eval()(images)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * max(1.0, float(expected.abs().max())))


def find_their_places(name: str, state: State) -> None:
    """Each tensor of the network is there in its shape, and none is left over."""
    fitted = fit(state, ARCHITECTURES[name], shapes(name))
    assert fitted.left_over == ()
    assert {key: value.shape for key, value in fitted.tensors.items()} == shapes(name)


# --- layouts


@pytest.mark.parametrize(
    "name",
    [
        name if name in SMALL else pytest.param(name, marks=pytest.mark.slow)
        for name in OFFICIAL
        if name not in ("vgg16", "vgg19")  # half a gigabyte each; their keys are checked without their numbers below
    ],
)
def test_torchvisions_weights_give_torchvisions_answers(name: str) -> None:
    network = theirs(name)
    ours = build(name, 1000)
    fit_weights(ours, network.state_dict(), Path("w.pth"), classifier="keep")
    same_answers(ours, network, max(96, ARCHITECTURES[name].smallest))


@pytest.mark.parametrize("name", ["vgg16", "vgg19"])
def test_the_tensors_of_vgg_have_their_places_in_both_layouts(name: str) -> None:
    with torch.device("meta"):
        find_their_places(name, models.get_model(name, weights=None).state_dict())
        find_their_places(name, timm.create_model(name).state_dict())


@pytest.mark.slow
def test_timms_vgg_gives_timms_answers() -> None:
    torch.manual_seed(3)
    network = timm.create_model("vgg16", num_classes=4).eval()
    ours = build("vgg16", 4)
    fit_weights(ours, network.state_dict(), Path("w.pth"), classifier="keep")
    same_answers(ours, network, 224)


def test_timms_mobilenet_gives_timms_answers() -> None:
    torch.manual_seed(3)
    network = timm.create_model("mobilenetv2_100").eval()
    ours = build("mobilenet_v2", 1000)
    fit_weights(ours, network.state_dict(), Path("w.pth"), classifier="keep")
    same_answers(ours, network, 96)


def test_timms_resnet_is_torchvisions() -> None:
    network = timm.create_model("resnet18").eval()
    ours = build("resnet18", 1000)
    fit_weights(ours, network.state_dict(), Path("w.pth"), classifier="keep")
    same_answers(ours, network, 64)


@pytest.mark.slow
def test_timms_inception_sees_what_it_was_trained_on() -> None:
    # timm normalises to [-1, 1] before the network, torchvision within it.
    torch.manual_seed(4)
    network = timm.create_model("inception_v3").eval()
    ours = build("inception_v3", 1000)
    fit_weights(ours, network.state_dict(), Path("w.pth"), classifier="keep")
    mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in [(0.485, 0.456, 0.406), (0.229, 0.224, 0.225)])
    pixels = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(6))
    with torch.inference_mode():
        expected, found = network(pixels * 2 - 1), ours.eval()((pixels - mean) / std)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("name", ["densenet161", "densenet201"])
def test_old_names_of_dense_layers_find_their_places(name: str) -> None:
    with torch.device("meta"):
        new = models.get_model(name, weights=None).state_dict()
    old = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", key): value for key, value in new.items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    find_their_places(name, old)


def test_our_own_weights_fit_again_rectified_or_not(tmp_path: Path) -> None:
    for rectified in (False, True):
        network = build("squeezenet1_1", 6)
        network.rectified = rectified
        (tmp_path / "w.safetensors").write_bytes(export_weights(network))
        again = build("squeezenet1_1", 6)
        load_weights(again, tmp_path / "w.safetensors", classifier="keep")
        assert again.rectified is rectified
        torch.testing.assert_close(again.classifier.weight, network.classifier.weight, rtol=1e-3, atol=1e-4)


def test_a_fresh_classifier_is_left_as_it_was_and_all_else_is_taken_over() -> None:
    state = theirs("resnet18").state_dict()
    network = build("resnet18", 7)
    before = network.classifier.weight.clone()
    fit_weights(network, state, Path("w.pth"))
    assert (network.classifier.weight == before).all()
    assert torch.equal(network.state_dict()["features.layer3.1.bn2.running_var"], state["layer3.1.bn2.running_var"])


def test_inceptions_auxiliary_head_is_left_out() -> None:
    with torch.device("meta"):
        state = models.inception_v3(weights=None, init_weights=False).state_dict()
    assert any(key.startswith("AuxLogits") for key in state)
    find_their_places("inception_v3", state)


def test_squeezenet_for_new_classes_is_pooling_and_a_linear_layer() -> None:
    network = build("squeezenet1_1", 3)
    fit_weights(network, theirs("squeezenet1_1").state_dict(), Path("w.pth"))
    assert not network.rectified
    images = torch.randn(1, 3, 64, 64)
    network.eval()
    torch.testing.assert_close(network(images), network.classifier(network.features(images).mean((2, 3))))


# --- formats


def safetensors(path: Path, state: State) -> None:
    save_file({key: value.contiguous() for key, value in state.items()}, path)


def archive(path: Path, state: State) -> None:
    torch.save(state, path)


def old(path: Path, state: State) -> None:
    torch.save(state, path, _use_new_zipfile_serialization=False)


def training_script(path: Path, state: State) -> None:
    """As the script wrote that made the official Places365 networks."""
    kept = {f"module.{key}": value for key, value in state.items()}
    whole = {"epoch": 90, "arch": "resnet18", "state_dict": OrderedDict(kept), "best_prec1": 54.1}
    torch.save(whole, path, _use_new_zipfile_serialization=False)


class _Python2Pickler(pickle._Pickler):  # type: ignore[name-defined, misc]
    """Writes text as Python 2 did, as bytes without an encoding, and tensors as torch 0.2 did, from a GPU."""

    dispatch = pickle._Pickler.dispatch.copy()  # type: ignore[attr-defined]

    def __init__(self, file: io.BufferedIOBase, storages: dict[str, Tensor]) -> None:
        super().__init__(file, protocol=2)
        self._storages = storages

    def save_text(self, text: str) -> None:
        data = text.encode("latin1")
        self.write(b"U" + bytes([len(data)]) + data)
        self.memoize(text)

    dispatch[str] = save_text

    def persistent_id(self, value: object) -> object:
        if not isinstance(value, _Storage):
            return None
        self._storages[value.key] = value.tensor
        return ("storage", torch.cuda.FloatStorage, value.key, "cuda:0", value.tensor.numel(), None)


class _Storage:
    def __init__(self, key: str, tensor: Tensor) -> None:
        self.key, self.tensor = key, tensor


class _OldTensor:
    def __init__(self, key: str, tensor: Tensor) -> None:
        self._key, self._tensor = key, tensor.contiguous()

    def __reduce__(self) -> tuple[object, ...]:
        storage = _Storage(self._key, self._tensor)
        return torch._utils._rebuild_tensor, (storage, 0, tuple(self._tensor.shape), self._tensor.stride())


class _OldDict:
    def __init__(self, items: dict[str, object]) -> None:
        self._items = items

    def __reduce__(self) -> tuple[object, ...]:
        return OrderedDict, ([[key, value] for key, value in self._items.items()],)


def python_2(path: Path, state: State) -> None:
    """What torch 0.2 under Python 2.7 wrote: the official files are of this kind."""
    tensors: dict[str, object] = {
        f"module.{key}": _OldTensor(str(94000 + number), value) for number, (key, value) in enumerate(state.items())
    }
    storages: dict[str, Tensor] = {}
    sizes = {"short": 2, "int": 4, "long": 8}
    with path.open("wb") as file:
        pickle.dump(0x1950A86A20F9469CFC6C, file, protocol=2)
        pickle.dump(1001, file, protocol=2)
        _Python2Pickler(file, {}).dump({"protocol_version": 1001, "little_endian": True, "type_sizes": sizes})
        whole = {"arch": "r\xe9seau", "epoch": 90, "state_dict": _OldDict(tensors), "best_prec1": 53.7}
        _Python2Pickler(file, storages).dump(whole)
        _Python2Pickler(file, {}).dump(sorted(storages))
        for key in sorted(storages):
            values = storages[key].numpy()
            file.write(struct.pack("<q", values.size) + values.astype("<f4").tobytes())


@pytest.fixture(scope="module")
def state() -> State:
    """A made SqueezeNet in torchvision's layout, small enough for every format."""
    plain: State = theirs("squeezenet1_1", 9).state_dict()
    return plain


@pytest.mark.parametrize("write", [safetensors, archive, old, training_script, python_2])
def test_every_format_gives_the_same_tensors(
    write: Callable[[Path, State], None], state: State, tmp_path: Path
) -> None:
    # The name says nothing: official files are called .pth.tar and are no tar.
    write(tmp_path / "w.pth.tar", state)
    read = read_checkpoint(tmp_path / "w.pth.tar")
    assert read.keys() == state.keys()
    assert all(torch.equal(read[key], state[key]) for key in state)
    network = build("squeezenet1_1", 9)
    origin = load_weights(network, tmp_path / "w.pth.tar", classifier="keep")
    assert origin is not None
    assert len(origin.sha256) == 64
    assert network.rectified


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "resnet50", "densenet161", "alexnet"])
def test_checkpoints_like_the_official_ones_of_places365_fit(name: str, tmp_path: Path) -> None:
    network = theirs(name, 365)
    state = {key: value for key, value in network.state_dict().items() if "num_batches" not in key}
    if name == "densenet161":
        state = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", key): each for key, each in state.items()}
    if name == "alexnet":  # DataParallel wrapped its features alone
        state = {re.sub(r"^features\.", "features.module.", key): each for key, each in state.items()}
        torch.save(
            {"epoch": 90, "arch": name, "state_dict": state, "best_prec1": 50.0},
            tmp_path / "w.pth.tar",
            _use_new_zipfile_serialization=False,
        )
    else:
        python_2(tmp_path / "w.pth.tar", state)
    ours = build(name, 365)
    load_weights(ours, tmp_path / "w.pth.tar", classifier="keep")
    same_answers(ours, network, 96)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("write", [safetensors, archive, old])
def test_real_numbers_of_any_width_become_float32(
    write: Callable[[Path, State], None], dtype: torch.dtype, tmp_path: Path
) -> None:
    write(tmp_path / "w", {"a.weight": torch.arange(6).to(dtype).view(2, 3), "a.num_batches_tracked": torch.tensor(7)})
    read = read_checkpoint(tmp_path / "w")
    assert read["a.weight"].dtype == torch.float32
    assert read["a.weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert read["a.num_batches_tracked"].dtype == torch.int64


# --- refusals


class _Canary:
    def __init__(self, target: Path) -> None:
        self._target = target

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self._target),)


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize("nested", [True, False])
def test_a_pickle_that_would_run_code_is_refused_and_runs_nothing(tmp_path: Path, new: bool, nested: bool) -> None:
    canary = tmp_path / "canary"
    payload: dict[str, object] = {"a.weight": torch.ones(2), "hook": _Canary(canary)}
    whole = {"state_dict": payload} if nested else payload
    torch.save(whole, tmp_path / "w.pth", _use_new_zipfile_serialization=new)
    with pytest.raises(WeightsError, match=r"w\.pth: asks for (posix|nt)\.mkdir to be called.*none of it was run"):
        read_checkpoint(tmp_path / "w.pth")
    assert not canary.exists()


def test_the_canary_would_be_seen(tmp_path: Path) -> None:
    torch.save(_Canary(tmp_path / "canary"), tmp_path / "w.pth")
    torch.load(tmp_path / "w.pth", weights_only=False)
    assert (tmp_path / "canary").is_dir()


def test_a_whole_network_is_refused_by_the_name_of_its_class(tmp_path: Path) -> None:
    torch.save(nn.Sequential(nn.Linear(2, 2)), tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"torch\.nn\.modules\.container\.Sequential.*state_dict"):
        read_checkpoint(tmp_path / "w.pth")


def test_plain_pickles_and_torchs_oldest_tar_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(pickle.dumps({"a": _Canary(tmp_path / "canary")}))
    with pytest.raises(WeightsError, match="is a Python pickle and no torch file"):
        read_checkpoint(tmp_path / "w.pth")
    with tarfile.open(tmp_path / "w.tar", "w") as tar:
        tar.add(tmp_path / "w.pth", "pickle")
    with pytest.raises(WeightsError, match="is an archive"):
        read_checkpoint(tmp_path / "w.tar")
    assert not (tmp_path / "canary").exists()


def test_a_graph_is_sent_to_the_command_for_graphs(tmp_path: Path) -> None:
    (tmp_path / "w.onnx").write_bytes(b"\x08\x0a\x12\x07pytorch")
    with pytest.raises(WeightsError, match="is a graph, not weights; make a model of it with `veduta models import`"):
        read_checkpoint(tmp_path / "w.onnx")


@pytest.mark.parametrize("write", [safetensors, archive, old, python_2])
@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.999])
def test_a_file_that_is_cut_short_is_refused(
    write: Callable[[Path, State], None], share: float, state: State, tmp_path: Path
) -> None:
    write(tmp_path / "whole", state)
    whole = (tmp_path / "whole").read_bytes()
    (tmp_path / "cut").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(WeightsError, match=r"/cut: .*cut short or damaged; get the file again"):
        read_checkpoint(tmp_path / "cut")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "has 0 bytes"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "is a web page"),
        (b"\n\n <HTML>404</HTML>", "is a web page"),
        (b"\x1f\x8b\x08\x00" + bytes(30), "is an archive"),
        (b"not weights at all", "is neither safetensors nor a torch file"),
        (bytes(64), "is neither"),
        (b"\xff" * 64, "is neither"),
        (b"\x40\x00\x00\x00\x00\x00\x00\x00{" + b" " * 63, "cut short or damaged|can't be read as weights"),
    ],
    ids=["empty", "page", "page in capitals", "gzip", "text", "zeros", "ones", "header of spaces"],
)
def test_what_is_no_weights_file_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=sentence) as caught:
        read_checkpoint(tmp_path / "w.pth")
    assert str(tmp_path / "w.pth") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("write", [safetensors, archive, old])
def test_a_number_that_is_not_finite_is_refused_by_its_tensor(
    write: Callable[[Path, State], None], value: float, tmp_path: Path
) -> None:
    write(tmp_path / "w", {"a.weight": torch.ones(3), "b.bias": torch.tensor([0.0, value])})
    with pytest.raises(WeightsError, match=r"'b\.bias' holds a number that is not finite"):
        read_checkpoint(tmp_path / "w")


def test_a_float64_too_large_for_float32_is_refused(tmp_path: Path) -> None:
    archive(tmp_path / "w", {"a.weight": torch.tensor([1e300], dtype=torch.float64)})
    with pytest.raises(WeightsError, match="not finite"):
        read_checkpoint(tmp_path / "w")


def test_what_claims_to_be_larger_than_it_is_is_refused_before_it_is_computed_with(tmp_path: Path) -> None:
    torch.save({"a.weight": torch.ones(1).expand(1 << 40)}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"'a\.weight' is no plain tensor"):
        read_checkpoint(tmp_path / "w.pth")
    shared = torch.ones(1000)
    torch.save({f"{number}.weight": shared for number in range(50)}, tmp_path / "shared.pth")
    with pytest.raises(WeightsError, match=r"take 200,000 bytes, more than the 100,000"):
        read_checkpoint(tmp_path / "shared.pth", max_bytes=100_000)


def test_limits_hold_for_files_tensors_and_what_archives_unpack_to(tmp_path: Path) -> None:
    archive(tmp_path / "w.pth", {"a.weight": torch.ones(1000)})
    with pytest.raises(WeightsError, match="bytes, expected 1 to 100"):
        read_checkpoint(tmp_path / "w.pth", max_bytes=100)
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("w/data.pkl", b"\x80\x02}.")
        bomb.writestr("w/data/0", bytes(1 << 20))
    with pytest.raises(WeightsError, match="is compressed"):
        read_checkpoint(tmp_path / "bomb.pth")
    archive(tmp_path / "none.pth", {})
    with pytest.raises(WeightsError, match="holds 0 tensors"):
        read_checkpoint(tmp_path / "none.pth")


def test_odd_contents_are_refused_by_name(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a.weight": torch.ones(1), "b": "text"}}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="holds a str as 'b'"):
        read_checkpoint(tmp_path / "w.pth")
    torch.save([torch.ones(1)], tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="holds a list"):
        read_checkpoint(tmp_path / "w.pth")
    torch.save({"a": torch.ones(1), "module.a": torch.ones(1)}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"'a' with and without 'module\.'"):
        read_checkpoint(tmp_path / "w.pth")
    sparse = torch.sparse_coo_tensor(torch.tensor([[0]]), torch.tensor([1.0]), (2,), check_invariants=True)
    torch.save({"a": sparse}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="'a' is no plain tensor"):
        read_checkpoint(tmp_path / "w.pth")
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as photos:
        photos.writestr("photo.jpg", b"")
    with pytest.raises(WeightsError, match="zip archive without torch's weights"):
        read_checkpoint(tmp_path / "w.pth")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 4000), value=st.integers(0, 255), new=st.booleans())
def test_a_changed_byte_gives_tensors_or_a_sentence(tmp_path: Path, place: int, value: int, new: bool) -> None:
    path = tmp_path / "w.pth"
    torch.save({"a.weight": torch.ones(40), "b.bias": torch.zeros(3)}, path, _use_new_zipfile_serialization=new)
    data = bytearray(path.read_bytes())
    data[place % len(data)] = value
    path.write_bytes(data)
    told = ""
    try:
        read_checkpoint(path, max_bytes=1 << 24)
    except WeightsError as error:
        told = str(error)
    assert not told or str(path) in told
    assert "\n" not in told


# --- fitting


@pytest.mark.parametrize(
    ("theirs_is", "asked"), [("mobilenet_v2", "resnet18"), ("resnet50", "resnet18"), ("densenet201", "densenet161")]
)
def test_weights_of_another_network_are_named_and_guessed(theirs_is: str, asked: str) -> None:
    with torch.device("meta"):
        state, network = models.get_model(theirs_is, weights=None).state_dict(), build(asked, 5)
    with pytest.raises(WeightsError, match=rf"does not fit {asked}: .*and \d+ more.*it looks like {theirs_is}\."):
        fit_weights(network, state, Path("w.pth"))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_each_network_is_known_by_its_tensors(name: str) -> None:
    with torch.device("meta"):
        state = build(name, 3).state_dict()
    assert guess(state) == name


def test_something_else_is_guessed_to_be_nothing() -> None:
    assert guess({"encoder.weight": torch.ones(2)}) is None


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        ("missing", r"1 tensor is missing \(features\.12\.squeeze\.bias\)"),
        ("extra", r"1 tensor is left over \(features\.99\.weight\)"),
        ("shape", r"1 tensor is of another shape \(features\.0\.bias \[2\], expected \[64\]\)"),
    ],
)
def test_each_kind_of_misfit_is_told_by_tensor(state: State, harm: str, sentence: str) -> None:
    changed = dict(state)
    match harm:
        case "missing":
            del changed["features.12.squeeze.bias"]
        case "extra":
            changed["features.99.weight"] = torch.ones(1)
        case _:
            changed["features.0.bias"] = torch.ones(2)
    network = build("squeezenet1_1", 9)
    before = network.features.state_dict()["0.weight"].clone()
    with pytest.raises(WeightsError, match=sentence):
        fit_weights(network, changed, Path("w.pth"))
    assert torch.equal(network.features.state_dict()["0.weight"], before), "a misfit changes nothing"


def test_another_number_of_classes_is_told_in_words(state: State) -> None:
    with pytest.raises(WeightsError, match="tells 9 classes apart, expected 5"):
        fit_weights(build("squeezenet1_1", 5), state, Path("w.pth"), classifier="keep")


def test_counters_of_batches_may_be_there_or_not() -> None:
    state = theirs("resnet18").state_dict()
    without = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    assert len(without) < len(state)
    fit_weights(build("resnet18", 5), without, Path("w.pth"))


# --- sources


def test_no_source_leaves_the_network_as_it_is() -> None:
    network = build("squeezenet1_1", 3)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    assert load_weights(network, None) is None
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_a_bundle_is_found_by_name_and_by_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEDUTA_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "models" / "mine"
    shutil.copytree(BUNDLED / "places100", folder)
    for source in ("mine", folder):
        origin = load_weights(build("mobilenet_v2", 5), source)
        assert origin is not None
        assert origin.path == folder / "weights.safetensors"
        assert origin.source.startswith("places100 (")
    with pytest.raises(WeightsError, match="the model places100 is a mobilenet_v2, the network to train a resnet18"):
        load_weights(build("resnet18", 2), "mine")
    (folder / "weights.safetensors").write_bytes(b"altered")
    with pytest.raises(BundleCorrupt, match="altered"):
        load_weights(build("mobilenet_v2", 2), "mine")


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    network = build("squeezenet1_1", 2)
    with pytest.raises(WeightsError, match=r"none\.pth: there is no such file"):
        load_weights(network, tmp_path / "none.pth")
    with pytest.raises(WeightsError, match=r"none\.pth: there is no such file"):
        load_weights(network, "none.pth")
    with pytest.raises(BundleNotFound, match="did you mean places100"):
        load_weights(network, "places10")


def test_a_network_that_was_not_built_by_name_is_refused(state: State) -> None:
    with pytest.raises(UsageError, match=r"networks\.build"):
        fit_weights(SceneNetwork(nn.Conv2d(3, 4, 1), 4, 2), state, Path("w.pth"))


def test_the_bundled_weights_start_a_training() -> None:
    network = build("mobilenet_v2", 100)
    origin = load_weights(network, "places100", classifier="keep")
    assert origin is not None
    assert np.isfinite(network.classifier.weight.detach().numpy()).all()


@pytest.mark.parametrize("name", ["mobilenet_v2", "squeezenet1_1"])
def test_the_shared_weights_fit_with_their_thousand_classes(shared_weights: Path, name: str) -> None:
    network = build(name, 1000)
    load_weights(network, shared_weights / f"{name}_imagenet.safetensors", classifier="keep")
    assert network.rectified == (name == "squeezenet1_1")
