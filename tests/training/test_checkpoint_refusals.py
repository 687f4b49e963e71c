"""A file that is not whole, not weights, or a program is refused in one sentence, and nothing in it is run."""

from __future__ import annotations

import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from torch import nn

from veduta.errors import WeightsError
from veduta.training.checkpoints import read_checkpoint

from .made_weights import State, archive, old, python_2, safetensors


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
