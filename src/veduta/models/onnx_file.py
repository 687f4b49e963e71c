"""Looking into an ONNX file without running it: its inputs, outputs and nodes, and that it holds all its weights.

An ONNX file is one protobuf message. This walks its wire format (https://protobuf.dev/programming-guides/encoding)
with the field numbers of ``onnx.proto``, by offsets into the bytes: weights are stepped over, never copied. The
runtimes follow external data, that is, paths to other files that the graph's author chose; so those are refused
wherever the format allows a tensor.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, overload

from veduta.errors import BundleCorrupt

MAX_BYTES = 2**31 - 1  # protobuf's own limit of one message
MAX_DEPTH = 32
MAX_NODES = 200_000
_MAX_AXES = 64

# Of these kinds a network's weights are; whole numbers are shapes and indices.
_FRACTIONS = frozenset({1, 10, 11, 16})

#: TensorProto.DataType by number; what a graph for photos may take or give.
ELEMENT_TYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string",
    9: "bool", 10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 16: "bfloat16",
}  # fmt: skip

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# A field of a message whose content matters: number -> the message type inside it.
_TENSORS_WITHIN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output of a graph: element type, and its shape with None or a name for what is not fixed.

    ``shape`` is None where the file does not tell even the number of axes.
    """

    name: str
    type: str
    shape: tuple[int | str | None, ...] | None

    def fits(self, expected: tuple[int | None, ...]) -> bool:
        """Whether its shape is told and is this one, where None stands for any size."""
        shape = self.shape
        return (
            shape is not None
            and len(shape) == len(expected)
            and all(want is None or have == want for have, want in zip(shape, expected, strict=True))
        )


@dataclass(frozen=True, slots=True)
class Node:
    """One layer of a graph."""

    name: str
    op_type: str
    outputs: tuple[str, ...]


@dataclass(slots=True)
class OnnxFile:
    """What an ONNX file says of itself."""

    opset: int = 0
    inputs: list[Tensor] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    initializers: set[str] = field(default_factory=set)
    weights: int = 0  #: bytes of the initializers
    parameters: int = 0  #: numbers with a fraction in the initializers


class _NotProtobuf(Exception):
    """The bytes end early or are no protobuf message."""


class _FileBytes:
    """The bytes of a file, read a little where they are looked at: weights that are stepped over stay on disk.

    The file is not mapped into memory, since cutting a mapped file short would end the process that looks at it.
    """

    _AT_ONCE = 4096

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self._start, self._some = 0, b""

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, place: int) -> int: ...

    @overload
    def __getitem__(self, place: slice) -> bytes: ...

    def __getitem__(self, place: int | slice) -> int | bytes:
        if isinstance(place, slice):
            return self._read(place.start, place.stop - place.start)
        at = place - self._start
        if not 0 <= at < len(self._some):
            self._start, self._some, at = place, self._read(place, self._AT_ONCE, least=1), 0
        return self._some[at]

    def _read(self, start: int, size: int, least: int | None = None) -> bytes:
        self._file.seek(start)
        found = self._file.read(size)
        if len(found) < (size if least is None else least):
            raise _NotProtobuf("it was cut short meanwhile")
        return found


_Data = bytes | _FileBytes


def inspect_file(path: Path) -> OnnxFile:
    """Walk an ONNX file on disk, without its weights in memory.

    Raises ``OSError`` where it can't be read, else what ``inspect_onnx`` raises.
    """
    with path.open("rb", buffering=0) as file:
        return _inspect(path, _FileBytes(file))


def inspect_onnx(path: Path, data: bytes) -> OnnxFile:
    """Walk the bytes of an ONNX file; ``path`` is only named in errors.

    Raises ``BundleCorrupt`` where it is not one, is cut short, or keeps tensors in other files.
    """
    return _inspect(path, data)


def _inspect(path: Path, data: _Data) -> OnnxFile:
    found = OnnxFile()
    try:
        for number, wire, start, end in _fields(data, 0, len(data)):
            if number == 7 and wire == _BYTES:
                _read_graph(data, start, end, found)
            elif number == 8 and wire == _BYTES:
                found.opset = max(found.opset, _opset(data, start, end))
        _refuse_external(path, data, "model", (0, len(data)))
    except (_NotProtobuf, UnicodeDecodeError) as error:
        raise BundleCorrupt(f"{path}: is no whole ONNX file ({error}); get the file again.") from error
    if not found.nodes or not found.outputs:
        raise BundleCorrupt(f"{path}: is no ONNX file, there is no graph in it; get the file again.")
    if not all(each.name.isprintable() for each in [*found.inputs, *found.outputs]):
        raise BundleCorrupt(f"{path}: an input or output has an unprintable name; export the model anew.")
    # Before IR version 4, initializers stood among the inputs as well.
    found.inputs = [each for each in found.inputs if each.name not in found.initializers]
    return found


def _fields(data: _Data, position: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """(field number, wire type, start, end) of each field; for a varint, ``start`` is its value."""
    while position < end:
        key, position = _varint(data, position, end)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise _NotProtobuf(f"field number 0 at byte {position}")
        if wire == _VARINT:
            value, position = _varint(data, position, end)
            yield number, wire, value, position
            continue
        if wire == _BYTES:
            size, position = _varint(data, position, end)
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
        else:
            raise _NotProtobuf(f"wire type {wire} at byte {position}")
        if size > end - position:
            raise _NotProtobuf(f"a field at byte {position} reaches past its end")
        yield number, wire, position, position + size
        position += size


def _varint(data: _Data, position: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= end:
            raise _NotProtobuf("it ends within a number")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise _NotProtobuf(f"a number of more than ten bytes at byte {position}")


def _refuse_external(path: Path, data: _Data, message: str, span: tuple[int, int], depth: int = 0) -> None:
    if depth > MAX_DEPTH:
        raise _NotProtobuf(f"messages nested deeper than {MAX_DEPTH}")
    within = _TENSORS_WITHIN[message]
    for number, wire, first, last in _fields(data, *span):
        if message == "tensor" and (number == 13 or (number == 14 and first != 0)):
            raise BundleCorrupt(
                f"{path}: keeps tensors in other files (ONNX external data), which is refused; "
                f"save the model as one file (onnx.save_model with save_as_external_data=False)."
            )
        if wire == _BYTES and number in within:
            _refuse_external(path, data, within[number], (first, last), depth + 1)


def _read_graph(data: _Data, start: int, end: int, found: OnnxFile) -> None:
    for number, wire, first, last in _fields(data, start, end):
        if wire != _BYTES:
            continue
        if number == 1:
            if len(found.nodes) >= MAX_NODES:
                raise _NotProtobuf(f"more than {MAX_NODES} nodes")
            found.nodes.append(_node(data, first, last))
        elif number == 5:
            found.weights += last - first
            found.initializers.update(_texts(data, first, last, 8))
            found.parameters += _numbers(data, first, last)
        elif number == 11:
            found.inputs.append(_tensor(data, first, last))
        elif number == 12:
            found.outputs.append(_tensor(data, first, last))


def _numbers(data: _Data, start: int, end: int) -> int:
    """How many numbers with a fraction a TensorProto holds, by its dimensions (1, packed or not) and its type (2)."""
    dimensions: list[int] = []
    fractions = False
    for number, wire, first, last in _fields(data, start, end):
        if number == 1 and wire == _VARINT:
            dimensions.append(first)
        elif number == 1 and wire == _BYTES:
            position = first
            while position < last:
                size, position = _varint(data, position, last)
                dimensions.append(size)
        elif number == 2 and wire == _VARINT:
            fractions = first in _FRACTIONS
    # No tensor has so many axes, and their product would be a number without end.
    if len(dimensions) > _MAX_AXES:
        raise _NotProtobuf(f"a tensor of {len(dimensions)} axes")
    return math.prod(dimensions) if fractions else 0


def _texts(data: _Data, start: int, end: int, wanted: int) -> tuple[str, ...]:
    return tuple(
        data[first:last].decode("utf-8")
        for number, wire, first, last in _fields(data, start, end)
        if number == wanted and wire == _BYTES
    )


def _node(data: _Data, start: int, end: int) -> Node:
    name, op_type = _texts(data, start, end, 3), _texts(data, start, end, 4)
    return Node(name[-1] if name else "", op_type[-1] if op_type else "", _texts(data, start, end, 2))


def _opset(data: _Data, start: int, end: int) -> int:
    standard, version = True, 0
    for number, wire, first, last in _fields(data, start, end):
        if number == 1 and wire == _BYTES:
            standard = data[first:last] in (b"", b"ai.onnx")
        elif number == 2 and wire == _VARINT:
            version = first
    return version if standard else 0


def _tensor(data: _Data, start: int, end: int) -> Tensor:
    """A ValueInfoProto: name, and within its type (2) the tensor type (1) with element type (1) and shape (2)."""
    names = _texts(data, start, end, 1)
    element, shape = "unknown", None
    for first, last in _messages(data, start, end, 2):
        for inner_first, inner_last in _messages(data, first, last, 1):
            for number, wire, deep_first, deep_last in _fields(data, inner_first, inner_last):
                if number == 1 and wire == _VARINT:
                    element = ELEMENT_TYPES.get(deep_first, f"type {deep_first}")
                elif number == 2 and wire == _BYTES:
                    shape = tuple(_dimension(data, *span) for span in _messages(data, deep_first, deep_last, 1))
    return Tensor(names[-1] if names else "", element, shape)


def _messages(data: _Data, start: int, end: int, wanted: int) -> Iterator[tuple[int, int]]:
    for number, wire, first, last in _fields(data, start, end):
        if number == wanted and wire == _BYTES:
            yield first, last


def _dimension(data: _Data, start: int, end: int) -> int | str | None:
    for number, wire, first, last in _fields(data, start, end):
        if number == 1 and wire == _VARINT:
            return first
        if number == 2 and wire == _BYTES:
            return data[first:last].decode("utf-8")
    return None
