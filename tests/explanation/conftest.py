"""Tiny graphs whose answer is known, and a real network, as bundles on disk."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from veduta.images.preprocess import Preprocessing
from veduta.labels.categories import places365
from veduta.models.bundle import Bundle, Head, Task, write_bundle
from veduta.records import Label

LABELS = (Label("plain", "plain"), Label("garden/red", "red garden", "outdoor"))
SIDE = 64


@pytest.fixture
def corner_bundle(tmp_path: Path) -> Bundle:
    return make_corner_bundle(tmp_path / "corner")


@pytest.fixture
def colour_bundle(tmp_path: Path) -> Bundle:
    return make_colour_bundle(tmp_path / "colour")


@pytest.fixture
def many_colours_bundle(tmp_path: Path) -> Bundle:
    """The colour bundle, its labels not competing."""
    return make_colour_bundle(tmp_path / "colours", "multi_label")


@pytest.fixture(scope="session")
def squeezenet(shared_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A real network with class maps and 365 classes."""
    return write_bundle(
        tmp_path_factory.mktemp("models") / "squeezenet",
        name="places365-squeezenet",
        kind="classifier",
        graph=shared_weights / "places365_squeezenet.onnx",
        preprocessing=Preprocessing("crop", ((224, 224),), "bilinear", 256),
        heads=[Head("scenes", "single_label", places365(), class_maps="class_maps", class_maps_mean_is_logits=True)],
        card="A network for tests.",
    )


def make_corner_bundle(folder: Path) -> Bundle:
    """Logits alone; the class ``garden/red`` is as likely as the top left quarter of the 64-pixel input is red."""
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Slice", ["float", "starts", "ends", "axes"], ["corner"]),
        helper.make_node("ReduceMean", ["corner", "space"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["logits"]),
    ]
    constants = [
        helper.make_tensor("starts", TensorProto.INT64, [2], [0, 0]),
        helper.make_tensor("ends", TensorProto.INT64, [2], [SIDE // 2, SIDE // 2]),
        helper.make_tensor("axes", TensorProto.INT64, [2], [1, 2]),
        helper.make_tensor("space", TensorProto.INT64, [2], [1, 2]),
        helper.make_tensor("weights", TensorProto.FLOAT, [3, 2], [0, 0.04, 0, -0.02, 0, -0.02]),
    ]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 2])]
    return _bundle(folder, nodes, constants, outputs, Head("scenes", "single_label", LABELS))


def make_colour_bundle(folder: Path, task: Task = "single_label") -> Bundle:
    """Class maps: ``plain`` counts green, ``garden/red`` counts red, in cells of 8 pixels; logits are their means."""
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["planes"], ["cells"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Conv", ["cells", "classifier"], ["class_maps"], kernel_shape=[1, 1]),
        helper.make_node("ReduceMean", ["class_maps", "space"], ["logits"], keepdims=0),
    ]
    constants = [
        helper.make_tensor("classifier", TensorProto.FLOAT, [2, 3, 1, 1], [0, 0.05, 0, 0.05, 0, 0]),
        helper.make_tensor("space", TensorProto.INT64, [2], [2, 3]),
    ]
    outputs = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 2]),
        helper.make_tensor_value_info("class_maps", TensorProto.FLOAT, ["n", 2, "rows", "columns"]),
    ]
    head = Head("scenes", task, LABELS, class_maps="class_maps", class_maps_mean_is_logits=True, temperature=1.0)
    return _bundle(folder, nodes, constants, outputs, head)


def _bundle(
    folder: Path,
    nodes: list[onnx.NodeProto],
    constants: list[onnx.TensorProto],
    outputs: list[onnx.ValueInfoProto],
    head: Head,
) -> Bundle:
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", "h", "w", 3])
    graph = helper.make_graph(nodes, "made", [images], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return write_bundle(
        folder,
        name="made",
        kind="classifier",
        graph=model.SerializeToString(),
        preprocessing=Preprocessing("crop", ((SIDE, SIDE),), "bilinear", SIDE),
        heads=[head],
        card="A graph made for a test.",
    )
