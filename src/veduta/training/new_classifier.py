"""A bundle's graph with another classifier behind its embedding, made without torch.

What of the old graph is needed for the embedding stays as it is; logits, and class maps where the embedding is the mean
of features over their positions, are computed anew.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import checker, helper, numpy_helper

from veduta.errors import TrainingError

# Names that no exporter gives.
_PREFIX = "veduta."


def with_classifier(graph: bytes, embedding: str, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> bytes:
    """The graph with outputs ``logits``, ``embedding``, and ``class_maps`` where it has features to apply them at.

    ``weight`` is ``[classes, d]``, ``bias`` ``[classes]``; ``embedding`` names the output ``[n, d]`` of ``graph``.
    Raises TrainingError where the graph has no such output.
    """
    model = onnx.load_from_string(graph)
    features = _pooled_features(model, embedding)
    kept = [embedding] if features is None else [embedding, features]
    part = _leading_to(model, kept)
    part.graph.initializer.extend(
        [numpy_helper.from_array(weight, f"{_PREFIX}weight"), numpy_helper.from_array(bias, f"{_PREFIX}bias")]
    )
    part.graph.node.append(
        helper.make_node("Gemm", [embedding, f"{_PREFIX}weight", f"{_PREFIX}bias"], ["logits"], transB=1)
    )
    if embedding != "embedding":
        part.graph.node.append(helper.make_node("Identity", [embedding], ["embedding"]))
    outputs: list[tuple[str, list[str | int]]] = [
        ("logits", ["n", len(weight)]),
        ("embedding", ["n", weight.shape[1]]),
    ]
    if features is not None:
        kernel = numpy_helper.from_array(np.ascontiguousarray(weight[:, :, None, None]), f"{_PREFIX}kernel")
        part.graph.initializer.append(kernel)
        part.graph.node.append(
            helper.make_node("Conv", [features, f"{_PREFIX}kernel", f"{_PREFIX}bias"], ["class_maps"])
        )
        outputs.append(("class_maps", ["n", len(weight), "map_height", "map_width"]))
    del part.graph.output[:]
    part.graph.output.extend(
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in outputs
    )
    checker.check_model(part)
    serialised: bytes = part.SerializeToString(deterministic=True)
    return serialised


def _pooled_features(model: onnx.ModelProto, embedding: str) -> str | None:
    """The tensor ``[n, d, h, w]`` whose mean over positions is the embedding; None where it is made otherwise."""
    producers = {name: node for node in model.graph.node for name in node.output}
    if embedding not in producers:
        raise TrainingError(f"the model's graph has no output {embedding!r} to put a classifier behind.")
    node = producers[embedding]
    # Shapes alone: a global pooling leaves [n, d, 1, 1] to be flattened.
    while node.op_type in ("Flatten", "Squeeze", "Reshape", "Identity") and node.input[0] in producers:
        node = producers[node.input[0]]
    if node.op_type == "GlobalAveragePool":
        return str(node.input[0])
    if node.op_type != "ReduceMean":
        return None
    return str(node.input[0]) if _axes(model, node) in ([2, 3], [-2, -1]) else None


def _axes(model: onnx.ModelProto, node: onnx.NodeProto) -> list[int]:
    """What a ReduceMean averages over: an attribute, or since opset 18 an input that is a constant."""
    for attribute in node.attribute:
        if attribute.name == "axes":
            return sorted(attribute.ints)
    if len(node.input) < 2:
        return []
    for tensor in model.graph.initializer:
        if tensor.name == node.input[1]:
            return sorted(int(axis) for axis in numpy_helper.to_array(tensor).ravel())
    for other in model.graph.node:
        if other.op_type == "Constant" and node.input[1] in other.output:
            return sorted(int(axis) for axis in numpy_helper.to_array(other.attribute[0].t).ravel())
    return []


def _leading_to(model: onnx.ModelProto, wanted: list[str]) -> onnx.ModelProto:
    """The same model with the nodes and initializers alone that these tensors need."""
    producers = {name: node for node in model.graph.node for name in node.output}
    needed: set[str] = set()
    ahead = list(wanted)
    while ahead:
        name = ahead.pop()
        if name not in needed:
            needed.add(name)
            if name in producers:
                ahead.extend(each for each in producers[name].input if each)
    part = onnx.ModelProto()
    part.CopyFrom(model)
    for of, keep in (
        (part.graph.node, [node for node in model.graph.node if any(name in needed for name in node.output)]),
        (part.graph.initializer, [tensor for tensor in model.graph.initializer if tensor.name in needed]),
    ):
        del of[:]
        of.extend(keep)
    del part.graph.value_info[:]
    return part
