"""Another classifier behind an embedding, in graphs of several makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the extra learn is not installed")

from onnx import TensorProto, helper, numpy_helper

from veduta.errors import TrainingError
from veduta.models.bundle import Bundle
from veduta.models.session import Session
from veduta.models.store import find
from veduta.training.new_classifier import with_classifier

RANDOM = np.random.default_rng(0)
WEIGHT, BIAS = RANDOM.normal(size=(3, 4)).astype(np.float32), RANDOM.normal(size=3).astype(np.float32)
IMAGES = RANDOM.integers(0, 256, (5, 32, 48, 3)).astype(np.uint8)


def graph(pooling: str, embedding: str = "embedding") -> bytes:
    """Features ``[n, 4, h', w']``, pooled in one of several ways, and an old classifier of two classes."""
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "kernel"], ["features"], strides=[4, 4]),
    ]
    made = {
        "kernel": RANDOM.normal(size=(4, 3, 4, 4)).astype(np.float32) / 1000,
        "old": RANDOM.normal(size=(2, 4)).astype(np.float32),
        "axes": np.array([2, 3], np.int64),
    }
    match pooling:
        case "mean":
            nodes.append(helper.make_node("ReduceMean", ["features", "axes"], [embedding], keepdims=0))
        case "global":
            nodes.append(helper.make_node("GlobalAveragePool", ["features"], ["pooled"]))
            nodes.append(helper.make_node("Flatten", ["pooled"], [embedding]))
        case "largest":
            nodes.append(helper.make_node("ReduceMax", ["features", "axes"], [embedding], keepdims=0))
    nodes.append(helper.make_node("Gemm", [embedding, "old"], ["logits"], transB=1))
    whole = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", "h", "w", 3])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 2]),
            helper.make_tensor_value_info(embedding, TensorProto.FLOAT, ["n", 4]),
        ],
        [numpy_helper.from_array(values, name) for name, values in made.items()],
    )
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    serialised: bytes = model.SerializeToString()
    return serialised


@pytest.mark.parametrize("pooling", ["mean", "global", "largest"])
@pytest.mark.parametrize("embedding", ["embedding", "vector"])
def test_the_new_graph_says_what_the_classifier_says(tmp_path: Path, pooling: str, embedding: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(with_classifier(graph(pooling, embedding), embedding, WEIGHT, BIAS))
    session = Session(path)
    assert ("class_maps" in session.outputs) == (pooling != "largest")
    found = session.run(IMAGES, list(session.outputs))
    np.testing.assert_allclose(found["logits"], found["embedding"] @ WEIGHT.T + BIAS, atol=1e-4)
    if "class_maps" in found:
        assert found["class_maps"].shape == (5, 3, 8, 12)
        np.testing.assert_allclose(found["class_maps"].mean(axis=(2, 3)), found["logits"], atol=1e-4)


def test_the_old_classifier_is_gone_and_the_embedding_as_it_was(tmp_path: Path) -> None:
    bundle = Bundle.load(find("places100"))
    assert bundle.embedding is not None
    weight = RANDOM.normal(size=(3, bundle.embedding.size)).astype(np.float32)
    new = with_classifier(bundle.graph.read_bytes(), bundle.embedding.name, weight, BIAS)
    path = tmp_path / "model.onnx"
    path.write_bytes(new)
    assert len(new) < len(bundle.graph.read_bytes())
    assert list(Session(path).outputs) == ["logits", "embedding", "class_maps"]
    pixels = RANDOM.integers(0, 256, (2, 128, 128, 3)).astype(np.uint8)
    np.testing.assert_array_equal(
        Session(path).run(pixels, ["embedding"])["embedding"],
        Session(bundle.graph).run(pixels, ["embedding"])["embedding"],
    )


def test_a_graph_without_the_embedding_is_refused() -> None:
    with pytest.raises(TrainingError, match="no output 'vector'"):
        with_classifier(graph("mean"), "vector", WEIGHT, BIAS)
