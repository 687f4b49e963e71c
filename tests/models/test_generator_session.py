"""A generator's graph is somebody else's bytes: what it really gives is looked at, not only what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from veduta.errors import BundleIncompatible
from veduta.generation.sampler import Sampler
from veduta.images.preprocess import Preprocessing
from veduta.models.bundle import GeneratorSpec, write_bundle
from veduta.models.generator_session import GeneratorSession
from veduta.records import Label


def _graph(
    element: int = TensorProto.UINT8, side: int = 8, told: int | None = None, op: str = "Cast", inner: int | None = None
) -> bytes:
    """Pictures of one colour each; ``told`` is the side that the file claims, ``op`` the last operation.

    They are cut out of pictures of the side ``inner``.
    """
    whole = inner or side
    wide = helper.make_tensor("wide", TensorProto.INT64, [4], [1, whole, whole, 3])
    cut = [
        helper.make_tensor(name, TensorProto.INT64, [2], values)
        for name, values in (("from", [0, 0]), ("to", [side, side]), ("axes", [1, 2]))
    ]
    shape = helper.make_tensor("shape", TensorProto.INT64, [4], [-1, 1, 1, 1])
    one = helper.make_tensor("one", TensorProto.INT64, [1], [1])
    last = helper.make_node(op, ["floats"], ["images"], **({"to": element} if op == "Cast" else {}))
    nodes = [
        helper.make_node("Concat", ["latents", "classes"], ["both"], axis=1),
        helper.make_node("ReduceSum", ["both", "one"], ["sum"], keepdims=1),
        helper.make_node("Reshape", ["sum", "shape"], ["small"]),
        helper.make_node("Expand", ["small", "wide"], ["all"]),
        helper.make_node("Slice", ["all", "from", "to", "axes"], ["floats"]),
        last,
    ]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size])
        for name, size in (("latents", 4), ("classes", 2))
    ]
    claimed = told or side
    output = helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", claimed, claimed, 3])
    graph = helper.make_graph(nodes, "g", inputs, [output], [shape, wide, one, *cut])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("nobody", 1)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())


def _rows(count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    latents = np.arange(4 * count, dtype=np.float32).reshape(count, 4)
    return latents, np.eye(2, dtype=np.float32)[np.arange(count) % 2]


def _session(folder: Path, graph: bytes) -> GeneratorSession:
    (folder / "model.onnx").write_bytes(graph)
    return GeneratorSession(folder / "model.onnx", 8, 1)


def test_each_row_is_its_own_picture_however_many_are_asked_for(tmp_path: Path) -> None:
    session = _session(tmp_path, _graph())
    latents, classes = _rows(5)
    whole = session.run(latents, classes)
    assert whole.shape == (5, 8, 8, 3)
    assert whole[:, 0, 0, 0].tolist() == (latents.sum(axis=1) + 1).astype(int).tolist()
    assert np.array_equal(whole[2:3], session.run(latents[2:3], classes[2:3]))


@pytest.mark.parametrize("graph", [
    _graph(element=TensorProto.FLOAT),
    _graph(element=TensorProto.FLOAT16),
    _graph(op="Unheard"),
    _graph()[:200],
    b"",
    b"\x00" * 500,
], ids=["float pictures", "half pictures", "unknown operation", "cut short", "empty", "zeros"])  # fmt: skip
def test_a_graph_that_is_none_or_gives_something_else_ends_in_a_sentence(tmp_path: Path, graph: bytes) -> None:
    with pytest.raises(BundleIncompatible, match=r"model\.onnx"):
        _session(tmp_path, graph).run(*_rows(2))


def test_pictures_of_another_side_than_the_file_claims_are_refused(tmp_path: Path) -> None:
    labels = (Label("coast", "coast"), Label("valley", "valley"))
    bundle = write_bundle(
        tmp_path / "g", name="g", kind="generator", graph=_graph(side=16, told=8), heads=[], card="",
        preprocessing=Preprocessing("stretch", ((8, 8),)), generator=GeneratorSpec(4, 8, labels),
    )  # fmt: skip
    with pytest.raises(BundleIncompatible, match=r"gives u8 \[1,16,16,3\] in place of pictures, uint8 \[1, 8, 8, 3\]"):
        Sampler(bundle, 1).sample(2)


def test_pictures_that_would_fill_the_memory_are_refused_before_one_is_made(tmp_path: Path) -> None:
    with pytest.raises(BundleIncompatible, match=r"gives u8 \[1,30000,30000,3\] in place of pictures"):
        _session(tmp_path, _graph(side=30_000, told=8)).run(*_rows(64))


def test_tensors_on_the_way_that_would_fill_the_memory_are_refused_too(tmp_path: Path) -> None:
    with pytest.raises(BundleIncompatible, match=r"computes with tensors of 17\.9 GiB"):
        _session(tmp_path, _graph(inner=40_000)).run(*_rows(2))


def test_a_number_that_is_none_gives_a_picture_all_the_same(tmp_path: Path) -> None:
    latents, classes = _rows(1)
    made = _session(tmp_path, _graph()).run(np.full_like(latents, np.nan), classes)
    assert made.dtype == np.uint8
