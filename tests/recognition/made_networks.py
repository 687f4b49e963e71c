"""Networks of the sizes that people use with random weights, layer for layer as torchvision has them; without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from veduta.images.preprocess import Preprocessing
from veduta.models.bundle import Bundle, Head, OutputSpec, write_bundle
from veduta.records import Label

CLASSES = 1000
#: Numbers of each network, in millions, as its authors tell; and its input in pixels.
SIZES = {
    "vgg16": (138.4, 224),
    "vgg19": (143.7, 224),
    "resnet50": (25.6, 224),
    "inception_v3": (23.8, 299),
    "densenet201": (20.0, 224),
}


class Layers:
    """A graph that grows layer by layer; each layer is its output's name and channels.

    ``thin`` divides the channels of every layer; ``half`` stores weights as float16, as models that were converted have
    them.
    """

    def __init__(self, thin: int, half: bool) -> None:
        self.thin, self.half = thin, half
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._random = np.random.default_rng(0)

    def node(self, kind: str, inputs: Sequence[str], **attributes: object) -> str:
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def weight(self, shape: Sequence[int], scale: float) -> str:
        values = self._random.standard_normal(shape, np.float32) * np.float32(scale)
        name = f"weight{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values.astype(np.float16) if self.half else values, name))
        return self.node("Cast", [name], to=TensorProto.FLOAT) if self.half else name

    def constant(self, values: np.ndarray) -> str:  # type: ignore[type-arg]
        name = f"constant{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def input(self) -> tuple[str, int]:
        planes = self.node("Transpose", [self.node("Cast", ["images"], to=TensorProto.FLOAT)], perm=[0, 3, 1, 2])
        return self.node("Mul", [planes, self.constant(np.array(1 / 255, np.float32))]), 3

    def conv(
        self, x: tuple[str, int], out: int, kernel: int | tuple[int, int], stride: int = 1, pad: bool = True
    ) -> tuple[str, int]:
        name, channels = x
        rows, columns = (kernel, kernel) if isinstance(kernel, int) else kernel
        weight = self.weight([out, channels, rows, columns], (2 / (channels * rows * columns)) ** 0.5)
        pads = [rows // 2, columns // 2] * 2 if pad else [0] * 4
        return self.node("Conv", [name, weight], strides=[stride] * 2, pads=pads), out

    def norm(self, x: tuple[str, int]) -> tuple[str, int]:
        name, channels = x
        zeros, ones = np.zeros(channels, np.float32), np.ones(channels, np.float32)
        values = [self.constant(each) for each in (ones, zeros, zeros, ones)]
        return self.node("BatchNormalization", [name, *values]), channels

    def relu(self, x: tuple[str, int]) -> tuple[str, int]:
        return self.node("Relu", [x[0]]), x[1]

    def block(
        self, x: tuple[str, int], out: int, kernel: int | tuple[int, int], stride: int = 1, pad: bool = True
    ) -> tuple[str, int]:
        return self.relu(self.norm(self.conv(x, out, kernel, stride, pad)))

    def pool(self, x: tuple[str, int], kind: str, kernel: int, stride: int, pad: int = 0) -> tuple[str, int]:
        options = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pad] * 4}
        return self.node(kind, [x[0]], **options), x[1]

    def concat(self, parts: Sequence[tuple[str, int]]) -> tuple[str, int]:
        return self.node("Concat", [name for name, _ in parts], axis=1), sum(channels for _, channels in parts)

    def mean(self, x: tuple[str, int]) -> tuple[str, int]:
        return self.node("ReduceMean", [x[0], self.constant(np.array([2, 3]))], keepdims=0), x[1]

    def linear(self, x: tuple[str, int], out: int) -> tuple[str, int]:
        name, size = x
        weight = self.weight([size, out], (2 / size) ** 0.5)
        return self.node("Add", [self.node("MatMul", [name, weight]), self.constant(np.zeros(out, np.float32))]), out

    def model(self, embedding: tuple[str, int], logits: tuple[str, int]) -> onnx.ModelProto:
        for name, (inner, _) in (("embedding", embedding), ("logits", logits)):
            self.nodes.append(helper.make_node("Identity", [inner], [name]))
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes,
            "made",
            [value("images", TensorProto.UINT8, ["n", "h", "w", 3])],
            [
                value("embedding", TensorProto.FLOAT, ["n", embedding[1]]),
                value("logits", TensorProto.FLOAT, ["n", logits[1]]),
            ],
            self.weights,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def _vgg(net: Layers, plan: Sequence[tuple[int, int]]) -> onnx.ModelProto:
    x = net.input()
    for repeats, channels in plan:
        for _ in range(repeats):
            x = net.relu(net.conv(x, channels // net.thin, 3))
        x = net.pool(x, "MaxPool", 2, 2)
    flat = net.node("Reshape", [x[0], net.constant(np.array([0, 49 * x[1]]))]), 49 * x[1]
    x = net.relu(net.linear(flat, 4096 // net.thin))
    x = net.relu(net.linear(x, 4096 // net.thin))
    return net.model(x, net.linear(x, CLASSES))


def _resnet50(net: Layers) -> onnx.ModelProto:
    x = net.pool(net.block(net.input(), 64 // net.thin, 7, 2), "MaxPool", 3, 2, 1)
    for stage, repeats in enumerate((3, 4, 6, 3)):
        width = 64 * 2**stage // net.thin
        for index in range(repeats):
            stride = 2 if stage and not index else 1
            y = net.block(net.block(x, width, 1), width, 3, stride)
            y = net.norm(net.conv(y, 4 * width, 1))
            shortcut = net.norm(net.conv(x, 4 * width, 1, stride)) if not index else x
            x = net.relu((net.node("Add", [y[0], shortcut[0]]), 4 * width))
    x = net.mean(x)
    return net.model(x, net.linear(x, CLASSES))


def _densenet201(net: Layers) -> onnx.ModelProto:
    growth = 32 // net.thin
    x = net.pool(net.block(net.input(), 2 * growth, 7, 2), "MaxPool", 3, 2, 1)
    for stage, repeats in enumerate((6, 12, 48, 32)):
        if stage:
            x = net.conv(net.relu(net.norm(x)), x[1] // 2, 1)
            x = net.pool(x, "AveragePool", 2, 2)
        for _ in range(repeats):
            y = net.conv(net.relu(net.norm(x)), 4 * growth, 1)
            x = net.concat([x, net.conv(net.relu(net.norm(y)), growth, 3)])
    x = net.mean(net.relu(net.norm(x)))
    return net.model(x, net.linear(x, CLASSES))


def _inception_v3(net: Layers) -> onnx.ModelProto:
    def chain(x: tuple[str, int], *layers: tuple[int, int | tuple[int, int]]) -> tuple[str, int]:
        for out, kernel in layers:
            x = net.block(x, out // net.thin, kernel)
        return x

    def smaller(x: tuple[str, int], out: int) -> tuple[str, int]:
        return net.block(x, out // net.thin, 3, 2, pad=False)

    def pooled(x: tuple[str, int]) -> tuple[str, int]:
        return net.pool(x, "AveragePool", 3, 1, 1)

    x = net.block(smaller(net.input(), 32), 32 // net.thin, 3, pad=False)
    x = net.pool(chain(x, (64, 3)), "MaxPool", 3, 2)
    x = net.block(chain(x, (80, 1)), 192 // net.thin, 3, pad=False)
    x = net.pool(x, "MaxPool", 3, 2)
    for last in (32, 64, 64):
        ways = [chain(x, (64, 1)), chain(x, (48, 1), (64, 5)), chain(x, (64, 1), (96, 3), (96, 3))]
        x = net.concat([*ways, chain(pooled(x), (last, 1))])
    x = net.concat([smaller(x, 384), smaller(chain(x, (64, 1), (96, 3)), 96), net.pool(x, "MaxPool", 3, 2)])
    for c in (128, 160, 160, 192):
        long = chain(x, (c, 1), (c, (7, 1)), (c, (1, 7)), (c, (7, 1)), (192, (1, 7)))
        ways = [chain(x, (192, 1)), chain(x, (c, 1), (c, (1, 7)), (192, (7, 1))), long]
        x = net.concat([*ways, chain(pooled(x), (192, 1))])
    long = smaller(chain(x, (192, 1), (192, (1, 7)), (192, (7, 1))), 192)
    x = net.concat([smaller(chain(x, (192, 1)), 320), long, net.pool(x, "MaxPool", 3, 2)])
    for _ in range(2):
        ways = [chain(x, (320, 1))]
        for start in (chain(x, (384, 1)), chain(x, (448, 1), (384, 3))):
            ways += [chain(start, (384, (1, 3))), chain(start, (384, (3, 1)))]
        x = net.concat([*ways, chain(pooled(x), (192, 1))])
    x = net.mean(x)
    return net.model(x, net.linear(x, CLASSES))


def made_network(architecture: str, *, thin: int = 1, half: bool = False) -> onnx.ModelProto:
    """The graph; ``thin`` divides its channels, ``half`` stores its weights as float16."""
    net = Layers(thin, half)
    match architecture:
        case "vgg16":
            return _vgg(net, [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)])
        case "vgg19":
            return _vgg(net, [(2, 64), (2, 128), (4, 256), (4, 512), (4, 512)])
        case "resnet50":
            return _resnet50(net)
        case "inception_v3":
            return _inception_v3(net)
        case _:
            return _densenet201(net)


def write_made_bundle(folder: Path, architecture: str, *, thin: int = 1, half: bool = False) -> Bundle:
    """A bundle with that network, called as it is."""
    model = made_network(architecture, thin=thin, half=half)
    embedding = model.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    side = SIZES[architecture][1]
    return write_bundle(
        folder,
        name=architecture,
        kind="classifier",
        graph=model.SerializeToString(),
        preprocessing=Preprocessing("crop", ((side, side),), "bilinear", side),
        heads=[Head("labels", "single_label", tuple(Label(f"made/{n}", f"made {n}") for n in range(CLASSES)))],
        card="Random weights.",
        embedding=OutputSpec("embedding", embedding),
    )
