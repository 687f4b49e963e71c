"""Tiny made networks with every output that the contract knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from veduta.images.preprocess import Preprocessing
from veduta.models.bundle import Bundle, EvidenceSpec, Head, OutputSpec, write_bundle
from veduta.models.openvino_engine import OpenVino
from veduta.models.session import Session
from veduta.records import Label

CLASSES = 5
EMBEDDING = 8
INPUT = Preprocessing("crop", ((32, 32),), "bicubic", 40)
SHAPES: dict[str, list[int | str]] = {
    "logits": ["n", CLASSES],
    "class_maps": ["n", CLASSES, "rows", "columns"],
    "embedding": ["n", EMBEDDING],
    "evidence": ["n"],
}


def tiny_model(
    outputs: Sequence[str] = ("logits", "class_maps", "embedding", "evidence"),
    *,
    input_type: int = TensorProto.UINT8,
    input_shape: Sequence[int | str] = ("n", "h", "w", 3),
    mean_scale: float = 1.0,
) -> onnx.ModelProto:
    """A 3x3 convolution of stride 2, ReLU, and a 1x1 convolution whose mean, times ``mean_scale``, is the logits."""
    random = np.random.default_rng(7)

    def weights(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array(random.normal(0, 0.3, shape).astype(np.float32), name)

    constants = [
        weights("w1", EMBEDDING, 3, 3, 3),
        weights("w2", CLASSES, EMBEDDING, 1, 1),
        numpy_helper.from_array(np.array(1 / 255, np.float32), "scale"),
        numpy_helper.from_array(np.array(mean_scale, np.float32), "mean_scale"),
        numpy_helper.from_array(np.array([2, 3], np.int64), "space"),
        numpy_helper.from_array(np.array([1], np.int64), "second"),
    ]
    nodes = [
        helper.make_node("Cast", ["images"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["cast"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Mul", ["planes", "scale"], ["scaled"]),
        helper.make_node("Conv", ["scaled", "w1"], ["conv"], strides=[2, 2], pads=[1, 1, 1, 1], name="first"),
        helper.make_node("Relu", ["conv"], ["features"]),
        helper.make_node("Conv", ["features", "w2"], ["class_maps"], name="classifier"),
        helper.make_node("ReduceMean", ["class_maps", "space"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "mean_scale"], ["logits"]),
        helper.make_node("ReduceMean", ["features", "space"], ["embedding"], keepdims=0),
        helper.make_node("ReduceMax", ["embedding", "second"], ["evidence"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", input_type, input_shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPES[name]) for name in outputs],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def compiled_networks(session: Session) -> dict[Any, Any]:
    """What OpenVINO has compiled for it so far, by size and outputs."""
    assert isinstance(session._engine, OpenVino)
    return {key: each.get().compiled for key, each in session._engine._networks._items.items()}


@pytest.fixture(scope="session")
def make_model() -> Callable[..., onnx.ModelProto]:
    return tiny_model


@pytest.fixture(scope="session")
def tiny_graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graph") / "tiny.onnx"
    path.write_bytes(tiny_model().SerializeToString())
    return path


@pytest.fixture(scope="session")
def labels() -> tuple[Label, ...]:
    environments = ("indoor", "outdoor", None, "outdoor", "indoor")
    return tuple(Label(f"place/{index}", f"Place {index}", each) for index, each in enumerate(environments))


@pytest.fixture
def make_bundle(tmp_path: Path, tiny_graph: Path, labels: tuple[Label, ...]) -> Callable[..., Bundle]:
    """Writes a whole bundle; a test may change any part of it."""

    def make(
        folder: str = "tiny",
        *,
        graph: bytes | Path = tiny_graph,
        head: Head | None = None,
        preprocessing: Preprocessing = INPUT,
        weights: bytes | None = None,
        replace: bool = False,
    ) -> Bundle:
        return write_bundle(
            tmp_path / folder,
            name="tiny",
            kind="classifier",
            graph=graph,
            preprocessing=preprocessing,
            heads=[head or Head("scene", "single_label", labels, "logits", "class_maps", True, 1.5)],
            card="# tiny\n",
            embedding=OutputSpec("embedding", EMBEDDING),
            evidence=EvidenceSpec("evidence", 0.25),
            weights=weights,
            replace=replace,
        )

    return make


@pytest.fixture(scope="session")
def photos() -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (9, 32, 32, 3), dtype=np.uint8)
