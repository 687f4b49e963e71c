"""ONNX files, looked into without a runtime; external data found wherever the format can hide it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from veduta.errors import BundleCorrupt
from veduta.models import onnx_file
from veduta.models.onnx_file import inspect_file, inspect_onnx

PATH = Path("some.onnx")
MakeModel = Callable[..., onnx.ModelProto]


def external(name: str = "w") -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return tensor


def subgraph(tensor: TensorProto) -> onnx.GraphProto:
    return helper.make_graph([], "inner", [], [], [tensor])


def in_an_initializer(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(external())


def in_a_sparse_initializer(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add(values=external(), dims=[1])


def in_the_indices_of_a_sparse_initializer(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add(indices=external(), dims=[1])


def in_a_constant(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute.add(name="value", t=external())


def in_a_list_of_tensors(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute.add(name="value").tensors.append(external())


def in_a_sparse_constant(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute.add(name="value").sparse_tensors.add(values=external())


def in_a_branch(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute.add(name="then_branch", g=subgraph(external()))


def in_a_branch_of_a_branch(model: onnx.ModelProto) -> None:
    inner = subgraph(TensorProto())
    inner.node.add(op_type="If").attribute.add(name="else_branch").graphs.append(subgraph(external()))
    model.graph.node[0].attribute.add(name="then_branch", g=inner)


def in_a_function(model: onnx.ModelProto) -> None:
    model.functions.add(name="f", domain="d").node.add(op_type="Constant").attribute.add(name="value", t=external())


def in_the_default_of_a_function(model: onnx.ModelProto) -> None:
    model.functions.add(name="f", domain="d").attribute_proto.add(name="value", t=external())


def in_the_training_info(model: onnx.ModelProto) -> None:
    model.training_info.add().initialization.CopyFrom(subgraph(external()))


def by_location_alone(model: onnx.ModelProto) -> None:
    tensor = external()
    tensor.ClearField("external_data")
    model.graph.initializer.append(tensor)


def by_entries_alone(model: onnx.ModelProto) -> None:
    tensor = external()
    tensor.ClearField("data_location")
    model.graph.initializer.append(tensor)


@pytest.mark.parametrize(
    "hide",
    [
        in_an_initializer, in_a_sparse_initializer, in_the_indices_of_a_sparse_initializer, in_a_constant,
        in_a_list_of_tensors, in_a_sparse_constant, in_a_branch, in_a_branch_of_a_branch, in_a_function,
        in_the_default_of_a_function, in_the_training_info, by_location_alone, by_entries_alone,
    ],
)  # fmt: skip
def test_external_data_is_refused(
    tmp_path: Path, make_model: MakeModel, hide: Callable[[onnx.ModelProto], None]
) -> None:
    model = make_model()
    inspect_onnx(PATH, model.SerializeToString())
    hide(model)
    with pytest.raises(BundleCorrupt, match="external data"):
        inspect_onnx(PATH, model.SerializeToString())
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(BundleCorrupt, match="external data"):
        inspect_file(path)


def test_external_data_is_refused_in_a_second_graph_field(make_model: MakeModel) -> None:
    """Protobuf merges a field that is there twice, so a reader of the last one alone would miss this."""
    first = make_model()
    in_an_initializer(first)
    with pytest.raises(BundleCorrupt, match="external data"):
        inspect_onnx(PATH, first.SerializeToString() + make_model().SerializeToString())


def test_inputs_outputs_and_nodes_are_those_of_onnx(make_model: MakeModel) -> None:
    model = make_model()
    found = inspect_onnx(PATH, model.SerializeToString())
    assert [(each.name, each.type, each.shape) for each in found.inputs] == [("images", "uint8", ("n", "h", "w", 3))]
    assert {each.name: each.shape for each in found.outputs} == {
        "logits": ("n", 5), "class_maps": ("n", 5, "rows", "columns"), "embedding": ("n", 8), "evidence": ("n",),
    }  # fmt: skip
    assert [node.op_type for node in found.nodes] == [node.op_type for node in model.graph.node]
    assert found.nodes[3].name == "first"
    assert found.opset == 18


def test_initializers_that_stand_among_the_inputs_are_no_inputs(make_model: MakeModel) -> None:
    model = make_model()
    model.graph.input.append(helper.make_tensor_value_info("w1", TensorProto.FLOAT, [8, 3, 3, 3]))
    assert [each.name for each in inspect_onnx(PATH, model.SerializeToString()).inputs] == ["images"]


def test_parameters_are_the_numbers_with_a_fraction_in_the_initializers(make_model: MakeModel) -> None:
    model = make_model()
    fractions = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16}
    of_model = sum(math.prod(each.dims) for each in model.graph.initializer if each.data_type in fractions)
    assert of_model > 0
    model.graph.initializer.append(TensorProto(name="shape", data_type=TensorProto.INT64, dims=[4]))
    model.graph.initializer.append(TensorProto(name="half", data_type=TensorProto.FLOAT16, dims=[5, 7]))
    model.graph.initializer.append(TensorProto(name="one", data_type=TensorProto.FLOAT))
    assert inspect_onnx(PATH, model.SerializeToString()).parameters == of_model + 36


def test_a_tensor_of_endless_axes_is_refused(make_model: MakeModel) -> None:
    model = make_model()
    model.graph.initializer.append(TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2**40] * 1000))
    with pytest.raises(BundleCorrupt, match="a tensor of 1000 axes"):
        inspect_onnx(PATH, model.SerializeToString())


def test_the_real_squeezenet_is_read(shared_weights: Path) -> None:
    path = shared_weights / "places365_squeezenet.onnx"
    found = inspect_onnx(path, path.read_bytes())
    assert {each.name: each.shape[:2] for each in found.outputs if each.shape} == {
        "logits": ("n", 365), "class_maps": ("n", 365),
    }  # fmt: skip
    assert found.parameters == pytest.approx(722_496 + 365 * 513, abs=100)


def test_a_file_tells_what_its_bytes_tell_without_its_weights_in_memory(
    shared_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shared_weights / "places365_squeezenet.onnx"
    read, plain = [0], onnx_file._FileBytes._read

    def count(self: onnx_file._FileBytes, start: int, size: int, least: int | None = None) -> bytes:
        found = plain(self, start, size, least)
        read[0] += len(found)
        return found

    monkeypatch.setattr(onnx_file._FileBytes, "_read", count)
    assert inspect_file(path) == inspect_onnx(path, path.read_bytes())
    assert 0 < read[0] < 0.2 * path.stat().st_size


def test_a_file_that_is_cut_short_while_it_is_read_is_corrupt(tmp_path: Path, make_model: MakeModel) -> None:
    path = tmp_path / "model.onnx"
    data = make_model().SerializeToString() + bytes.fromhex("12ffff03") + bytes(65535)
    path.write_bytes(data)
    with path.open("rb") as file:
        half = onnx_file._FileBytes(file)
        path.write_bytes(data[:20])
        with pytest.raises(BundleCorrupt, match="cut short"):
            onnx_file._inspect(path, half)


def test_every_cut_of_a_graph_is_corrupt_and_nothing_else(make_model: MakeModel) -> None:
    data = make_model().SerializeToString()
    whole = 0
    for end in range(0, len(data), 7):
        try:
            inspect_onnx(PATH, data[:end])
            whole += 1
        except BundleCorrupt:
            pass
    # A cut between two top-level fields, after the graph, leaves a message that is whole.
    assert whole <= 3


def test_nesting_past_any_sane_graph_is_refused(make_model: MakeModel) -> None:
    graph = subgraph(TensorProto())
    for _ in range(14):
        outer = subgraph(TensorProto())
        outer.node.add(op_type="If").attribute.add(name="then_branch", g=graph)
        graph = outer
    model = make_model()
    model.graph.node.add(op_type="If").attribute.add(name="then_branch", g=graph)
    with pytest.raises(BundleCorrupt, match="nested"):
        inspect_onnx(PATH, model.SerializeToString())


def test_an_unprintable_output_name_is_refused(make_model: MakeModel) -> None:
    model = make_model()
    model.graph.output[0].name = "\x1b[2J"
    with pytest.raises(BundleCorrupt, match="unprintable"):
        inspect_onnx(PATH, model.SerializeToString())


@given(data=st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_refused_by_the_project_s_own_error(data: bytes) -> None:
    with pytest.raises(BundleCorrupt):
        inspect_onnx(PATH, data)


@given(edits=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=8))
@settings(max_examples=200, deadline=None)
def test_altered_graphs_are_read_or_refused_but_never_crash(
    make_model: MakeModel, edits: list[tuple[int, int]]
) -> None:
    data = bytearray(make_model().SerializeToString())
    for position, value in edits:
        data[position % len(data)] = value
    try:
        inspect_onnx(PATH, bytes(data))
    except BundleCorrupt as error:
        assert "some.onnx" in str(error)  # noqa: PT017 - both ways are right
