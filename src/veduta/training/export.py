"""A trained network leaves as a bundle: one ONNX graph, checked against torch on real photos."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxscript.optimizer import fold_constants, remove_unused_nodes
from safetensors.torch import save

from veduta.errors import TrainingError
from veduta.models.session import Session
from veduta.training.networks import BundleGraph, SceneNetwork

#: How far the graph's logits may be from torch's.
TOLERANCE = 1e-3

# Smaller tensors stay float32: they save nothing, and biases are what rounding would be seen in.
_HALF_FROM_ELEMENTS = 256


def round_to_half(network: SceneNetwork) -> SceneNetwork:
    """Round every tensor to what float16 can hold, so that the graph and the weights beside it say the same."""
    with torch.no_grad():
        for tensor in [*network.parameters(), *network.buffers()]:
            if tensor.is_floating_point():
                tensor.copy_(tensor.half().float())
    return network.float().eval()


def export_weights(network: SceneNetwork) -> bytes:
    """The trainable tensors, batch norms unfolded, as float16 safetensors."""
    state = network.state_dict()
    half = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    return save({key: value.contiguous() for key, value in half.items()})


def export_graph(network: SceneNetwork, side: int) -> bytes:
    """The ONNX graph of a network, dynamic in number, height and width, its large weights stored as float16.

    Batch norms stay nodes of their own: the runtimes fold them in float32, which keeps the graph within rounding of
    torch, while weights folded here would no longer be what float16 holds.
    """
    graph = BundleGraph(network).eval()
    images = torch.zeros((2, side, side, 3), dtype=torch.uint8)
    dynamic = {0: torch.export.Dim("n"), 1: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC}
    with warnings.catch_warnings():
        # The exporter warns of its own internals; what it made is checked photo by photo afterwards.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph,
            (images,),
            input_names=["images"],
            output_names=list(BundleGraph.outputs),
            dynamic_shapes=(dynamic,),
            optimize=False,
            verbose=False,
        )
    assert program is not None
    fold_constants(program.model)
    remove_unused_nodes(program.model)
    model = program.model_proto
    for node in model.graph.node:
        # Stack traces of the exporting machine, of no use to others.
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    _store_weights_as_half(model)
    onnx.checker.check_model(model)
    serialised: bytes = model.SerializeToString(deterministic=True)
    return serialised


def check_parity(network: SceneNetwork, graph: Path, pixels: NDArray[np.uint8]) -> float:
    """The largest difference of logits between graph and torch over real photos uint8 ``[n, h, w, 3]``.

    Raises TrainingError where it exceeds ``TOLERANCE`` or a photo's first label differs.
    """
    with torch.inference_mode():
        batches = torch.split(torch.from_numpy(pixels), 50)
        torch_logits, _, torch_maps = map(torch.cat, zip(*map(BundleGraph(network).eval(), batches), strict=True))
    logits = Session(graph).run(pixels, ["logits"])["logits"]
    expected = torch_logits.numpy()
    difference = float(np.abs(logits - expected).max())
    disagree = int((logits.argmax(1) != expected.argmax(1)).sum())
    if difference > TOLERANCE or disagree:
        raise TrainingError(
            f"the exported graph disagrees with torch on {disagree} of {len(pixels)} photos, logits by up to "
            f"{difference:.2g}; expected at most {TOLERANCE:g}. Nothing was exported."
        )
    mean_of_maps = float((torch_maps.mean((2, 3)) - torch_logits).abs().max())
    if mean_of_maps > TOLERANCE:
        raise TrainingError(f"the mean of class_maps is off the logits by {mean_of_maps:.2g}; nothing was exported.")
    return difference


def _store_weights_as_half(model: onnx.ModelProto) -> None:
    """Large float32 initializers that float16 holds exactly become float16 with a Cast behind them."""
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < _HALF_FROM_ELEMENTS:
            continue
        half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values):
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    for cast in reversed(casts):
        model.graph.node.insert(0, cast)
