"""Made weights in the layouts and file formats that others use."""

from __future__ import annotations

import io
import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import models

from veduta.training.networks import SceneNetwork

State = dict[str, Tensor]


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
