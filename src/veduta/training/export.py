"""A trained network leaves as a bundle: one ONNX graph, checked against torch on photos."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnx
import onnx_ir
import torch
from numpy.typing import NDArray
from onnxscript.optimizer import fold_constants, remove_unused_nodes
from safetensors.torch import save
from torch import Tensor, nn

from veduta.errors import TrainingError
from veduta.models.session import Session
from veduta.training.networks import BundleGraph, SceneNetwork
from veduta.training.taps import EvidenceModule

Network = TypeVar("Network", bound=nn.Module)

#: How far an output of the graph may be from torch's, relative to the largest (at least 1) of torch's values.
TOLERANCE = 1e-3

# A map of one position would be taken for a constant.
_TRACED_SIDE = 160

# Smaller tensors stay float32: they save nothing, and biases are what rounding would be seen in.
_HALF_FROM_ELEMENTS = 256


def round_to_half(network: Network) -> Network:
    """Round every tensor to what float16 can hold, so that the graph and the weights beside it say the same.

    A tensor with a number above 65,504 is left as it is.
    """
    with torch.no_grad():
        for tensor in [*network.parameters(), *network.buffers()]:
            if _fits_half(tensor):
                tensor.copy_(tensor.half())
    return network.float().eval()


def export_weights(network: SceneNetwork) -> bytes:
    """The trainable tensors, batch norms unfolded, as float16 safetensors.

    A rectified classifier is written as the convolution ``[classes, d, 1, 1]`` that it is; so is it told apart.
    """
    state = network.state_dict()
    if network.rectified:
        state["classifier.weight"] = state["classifier.weight"][:, :, None, None]
    half = {key: value.half() if _fits_half(value) else value for key, value in state.items()}
    return save({key: value.contiguous() for key, value in half.items()})


def export_graph(network: SceneNetwork, side: int, *, evidence: EvidenceModule | None = None) -> bytes:
    """The ONNX graph of a network, its large weights stored as float16, with an output ``evidence`` where asked for.

    The number of images is dynamic; so are height and width, unless the network's head takes one size only: then both
    are ``side``.

    Batch norms stay nodes of their own: the runtimes fold them in float32, which keeps the graph within rounding of
    torch, while weights folded here would no longer be what float16 holds.
    Raises TrainingError where the network can't see images of that side.
    """
    graph = BundleGraph(network, evidence).eval()
    traced = side if network.one_size else max(side, _TRACED_SIDE)
    images = torch.zeros((2, traced, traced, 3), dtype=torch.uint8)
    sides = {} if network.one_size else {1: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC}
    try:
        with torch.inference_mode():
            graph(images[:1, :side, :side])
    except RuntimeError as error:
        raise TrainingError(
            f"the network can't see images of {side} by {side} pixels ({error}); give it larger ones."
        ) from error
    return graph_bytes(
        graph,
        (images,),
        inputs=["images"],
        outputs=list(graph.outputs),
        dynamic_shapes=({0: torch.export.Dim("n"), **sides},),
    )


def graph_bytes(
    graph: nn.Module,
    arguments: tuple[Tensor, ...],
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    dynamic_shapes: tuple[dict[int, Any], ...],
) -> bytes:
    """The ONNX graph of a module, its large weights stored as float16 where that holds them exactly."""
    with warnings.catch_warnings():
        # The exporter warns of its own internals; what it made is checked afterwards.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph,
            arguments,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=dynamic_shapes,
            optimize=False,
            verbose=False,
        )
    assert program is not None
    fold_constants(program.model)
    remove_unused_nodes(program.model)
    _store_weights_as_half(program.model)
    model = program.model_proto
    for node in model.graph.node:
        # Stack traces of the exporting machine, of no use to others.
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    onnx.checker.check_model(model)
    serialised: bytes = model.SerializeToString(deterministic=True)
    return serialised


def check_parity(
    network: SceneNetwork, graph: Path, pixels: NDArray[np.uint8], *, evidence: EvidenceModule | None = None
) -> float:
    """The largest difference of logits between graph and torch over photos uint8 ``[n, h, w, 3]``.

    Raises TrainingError where an output differs by more than ``TOLERANCE``, a photo's first label is another, or the
    mean of the class maps is not the logits.
    """
    whole = BundleGraph(network, evidence).eval()
    with torch.inference_mode():
        batches = [_without_maps(whole, batch) for batch in torch.split(torch.from_numpy(pixels), 50)]
    expected = {name: torch.cat([each[name] for each in batches]).numpy() for name in batches[0]}
    found = Session(graph).run(pixels, [name for name in expected if name != "mean of class_maps"])
    # Where torch itself is undecided between two labels, rounding may choose.
    logits, first = expected["logits"], found["logits"].argmax(1)
    behind = logits.max(1) - np.take_along_axis(logits, first[:, None], 1)[:, 0]
    disagree = int((behind > 0.01 * TOLERANCE * _scale(logits)).sum())
    for name, values in found.items():
        difference = float(np.abs(values - expected[name]).max())
        if not difference <= TOLERANCE * _scale(expected[name]) or disagree:
            raise TrainingError(
                f"the exported graph disagrees with torch on {disagree} of {len(pixels)} photos, {name} by up to "
                f"{difference:.2g}; expected at most {TOLERANCE * _scale(expected[name]):.2g}. Nothing was exported."
            )
    if "mean of class_maps" in expected:
        mean_of_maps = float(np.abs(expected["mean of class_maps"] - logits).max())
        if not mean_of_maps <= TOLERANCE * _scale(logits):
            raise TrainingError(
                f"the mean of class_maps is off the logits by {mean_of_maps:.2g}; nothing was exported."
            )
    return float(np.abs(found["logits"] - logits).max())


def _without_maps(whole: BundleGraph, images: Tensor) -> dict[str, Tensor]:
    """Torch's outputs by name, and of the class maps only their mean: all of them would take much memory."""
    found = dict(zip(whole.outputs, whole(images), strict=True))
    if "class_maps" in found:
        found["mean of class_maps"] = found.pop("class_maps").mean((2, 3))
    return found


def _scale(values: NDArray[np.float32]) -> float:
    return max(1.0, float(np.abs(values).max()))


def _fits_half(tensor: Tensor) -> bool:
    most = torch.finfo(torch.float16).max
    return tensor.is_floating_point() and bool(tensor.min() >= -most) and bool(tensor.max() <= most)


def _store_weights_as_half(model: onnx_ir.Model) -> None:
    """Large float32 initializers that float16 holds exactly become float16 with a Cast behind them.

    It is done before the graph becomes a protobuf message, so that a VGG is copied at half its size.
    """
    graph = model.graph
    first = graph[0]
    for name, value in list(graph.initializers.items()):
        tensor = value.const_value
        if tensor is None or tensor.dtype != onnx_ir.DataType.FLOAT or tensor.size < _HALF_FROM_ELEMENTS:
            continue
        values = tensor.numpy()
        half = values.astype(np.float16)
        if not all(map(np.array_equal, half, values)):  # row by row, not all of it in float32 again
            continue
        stored = onnx_ir.Value(
            name=f"{name}.half",
            shape=value.shape,
            type=onnx_ir.TensorType(onnx_ir.DataType.FLOAT16),
            const_value=onnx_ir.tensor(half, name=f"{name}.half"),
        )
        cast = onnx_ir.node("Cast", [stored], {"to": onnx_ir.DataType.FLOAT.value}, name=f"{name}.cast")
        # The old value leaves the graph before its name goes to the Cast's output.
        onnx_ir.convenience.replace_all_uses_with(value, cast.outputs[0])
        del graph.initializers[name]
        cast.outputs[0].name = name
        cast.outputs[0].shape, cast.outputs[0].type = value.shape, value.type
        graph.register_initializer(stored)
        graph.insert_before(first, cast)
