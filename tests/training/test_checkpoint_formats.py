"""Weights files of every format give the same tensors."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from veduta.training.checkpoints import load_weights, read_checkpoint
from veduta.training.networks import build

from .made_weights import State, archive, old, python_2, safetensors, same_answers, theirs, training_script


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
