"""A graph in OpenVINO, on the CPU. This file alone knows OpenVINO.

Each photo is one inference request, computed by one thread, and as many run at once as there are threads. Measured on
two cores with a MobileNetV2 (128 pixels) and a SqueezeNet (224 pixels), this costs as little CPU time a photo as any
batch up to 8 (two threads in one request cost 20 to 40 % more, batches of 16 about 10 %), nothing is padded, and a
row's bits depend neither on its neighbours nor on the number of threads.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veduta.errors import BundleIncompatible, UsageError
from veduta.models import memory
from veduta.models.engine import Precision, Results, told
from veduta.models.leases import Lease, Leases
from veduta.models.threads import available_threads

#: Tagging needs one compiled network, heat maps one for each of a few aspects.
MAX_COMPILED = 8

#: What they may take together, in bytes: six of a ResNet-50, two of a VGG. There is always one, however large.
COMPILED_BYTES = 1_500_000_000

#: A compiled network: for images of (height, width), and which outputs.
_Kind = tuple[tuple[int, int], tuple[str, ...]]

_TYPES: dict[Precision, str] = {"float32": "f32", "bfloat16": "bf16"}


class OpenVino:
    """OpenVINO on the CPU: one compiled network for each image size and set of outputs, the least recent leaves."""

    def __init__(self, graph: Path, precision: Precision, threads: int) -> None:
        self._graph = graph
        self._precision = precision
        self._threads = threads
        self._core: Any = import_openvino().Core()
        if precision == "bfloat16" and "BF16" not in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise UsageError("precision: this CPU does not compute in bfloat16; choose float32.")
        try:
            self._model = self._core.read_model(graph)
            _transform(self._model)
        except Exception as error:  # the runtime's own classes of errors are not public
            raise BundleIncompatible(
                f"{graph}: OpenVINO can't read it ({told(error)}); export it with operations that it knows."
            ) from error
        memory.give_back()
        # The weights of the read graph are outside of this budget: they are there whatever is compiled.
        self._networks: Leases[_Kind, Compiled] = Leases(COMPILED_BYTES, most=MAX_COMPILED)
        self._bytes: dict[_Kind, int] = {}
        self._lock = threading.Lock()

    def prepare(self, size: tuple[int, int], outputs: tuple[str, ...]) -> None:
        self._networks.end(self._leased(size, outputs))

    def run(self, images: Sequence[NDArray[np.uint8]], outputs: tuple[str, ...]) -> Results:
        height, width, _ = images[0].shape
        lease = self._leased((height, width), outputs)
        try:
            return lease.get().run(images)
        finally:
            self._networks.end(lease)

    def needed_bytes(self, size: tuple[int, int], outputs: tuple[str, ...]) -> int:
        weights, operations, _ = graph_sizes(self._model)
        return memory.read_bytes(weights, operations) + self._network_bytes(self._reshaped(size, outputs))

    def limit(self, total: int, more: Callable[[int], bool]) -> None:
        weights, operations, _ = graph_sizes(self._model)
        self._networks.budget = total - memory.read_bytes(weights, operations)
        self._networks.more = more

    def _leased(self, size: tuple[int, int], outputs: tuple[str, ...]) -> Lease[_Kind, Compiled]:
        kind = (size, outputs)
        if kind not in self._bytes:
            self._bytes[kind] = self._network_bytes(self._reshaped(size, outputs))
        return self._networks.take(kind, self._bytes[kind], lambda: self._compile(size, outputs))

    def _network_bytes(self, model: Any) -> int:
        weights, operations, activations = graph_sizes(model)
        # No more streams run than there are CPUs.
        threads = min(self._threads, available_threads())
        return memory.compiled_bytes(weights, operations, activations, threads)

    def _reshaped(self, size: tuple[int, int], outputs: tuple[str, ...]) -> Any:
        """The graph for one image of ``size``, and these outputs alone."""
        with self._lock:
            model = self._model.clone()
        for result in list(model.get_results()):
            if not result.input_value(0).names & set(outputs):
                model.remove_result(result)
        try:
            model.reshape([1, *size, 3])
        except Exception as error:  # the runtime's own classes of errors are not public
            raise self._refused(size, error) from error
        return model

    def _compile(self, size: tuple[int, int], outputs: tuple[str, ...]) -> Compiled:
        settings = {
            # Left unset, OpenVINO computes in bfloat16 where the CPU can.
            "INFERENCE_PRECISION_HINT": _TYPES[self._precision],
            "NUM_STREAMS": self._threads,
            "INFERENCE_NUM_THREADS": self._threads,
            # Pinning is faster where the machine is ours; processes that share it would all pin the same CPUs.
            "ENABLE_CPU_PINNING": self._threads >= available_threads(),
        }
        model = self._reshaped(size, outputs)
        try:
            compiled = self._core.compile_model(model, "CPU", settings)
        except Exception as error:  # the runtime's own classes of errors are not public
            raise self._refused(size, error) from error
        return Compiled(compiled, outputs, 2 * self._threads)

    def _refused(self, size: tuple[int, int], error: Exception) -> BundleIncompatible:
        return BundleIncompatible(
            f"{self._graph}: OpenVINO can't run it on images of {size[0]} by {size[1]} pixels "
            f"({told(error)}); choose another size or export the model anew."
        )


def _transform(model: Any) -> None:
    """Apply OpenVINO's own first transformations now, once.

    Compiling applies them as well, to the same bits, and each compiled network would then keep weights of its own: what
    was stored as float16, and what has a batch norm folded in. Now they share them. Compiling a ResNet-50 adds
    122 MB in place of 240, a VGG-16 610 in place of 1,190, and takes half of the time.

    Unlike reading and compiling, this lets no other Python thread run: on two busy cores, for 0.2 to 0.3 s with a
    ResNet-50, 0.2 to 0.5 with a VGG-16 and 0.4 to 0.7 with a DenseNet-201.
    """
    try:
        from openvino._offline_transformations import apply_moc_transformations  # type: ignore[import-untyped]
    except ImportError:  # not a public name; without it, only memory and time are lost
        return
    apply_moc_transformations(model, cf=True)


def graph_sizes(model: Any) -> tuple[int, int, int]:
    """Of a model: bytes of its weights, operations, and bytes of the largest input and output of one operation.

    The last is 0 where shapes are not fixed.
    """
    weights = operations = activations = 0
    fixed = not model.is_dynamic()
    for node in model.get_ops():
        match node.get_type_name():
            case "Constant":
                weights += node.get_output_tensor(0).size
            case "Parameter" | "Result":
                pass
            case _:
                operations += 1
                if fixed:
                    values = [each.get_source_output() for each in node.inputs()]
                    inputs = [each for each in values if each.get_node().get_type_name() != "Constant"]
                    activations = max(activations, sum(each.get_tensor().size for each in [*inputs, *node.outputs()]))
    return weights, operations, activations


@dataclass(frozen=True, slots=True)
class _Request:
    """An inference request of OpenVINO, and the memory of its own inputs, ``[1, ...]`` each."""

    infer: Any
    inputs: tuple[NDArray[Any], ...]


class Compiled:
    """A network compiled for one row of its inputs, such as an image, and its inference requests.

    There are two requests for each thread, so that one waits ready while the other computes. Any number of callers
    share them: who finds none free finishes the oldest of his own, and waits for another's only while he has none.
    """

    def __init__(self, compiled: Any, outputs: tuple[str, ...], requests: int) -> None:
        self.compiled = compiled
        self._ports = {name: compiled.output(name) for name in outputs}
        self._free: queue.SimpleQueue[_Request] = queue.SimpleQueue()
        for _ in range(requests):
            self._free.put(self._new_request())

    def run(self, *inputs: Sequence[NDArray[Any]] | NDArray[Any]) -> dict[str, NDArray[Any]]:
        """The outputs of n rows; each input of the network is given as n rows without their first axis."""
        results: dict[str, NDArray[Any]] = {}
        count = len(inputs[0])
        pending: deque[tuple[int, _Request]] = deque()
        try:
            for row, values in enumerate(zip(*inputs, strict=True)):
                request = self._take(pending, results, count)
                pending.append((row, request))
                # Copying 128 by 128 pixels takes 2 microseconds; wrapping the image's own memory in a tensor took 6.
                for place, value in zip(request.inputs, values, strict=True):
                    place[0] = value
                request.infer.start_async()
            while pending:
                self._finish(pending, results, count)
        finally:
            # Only after an error: what still computes is left to itself, and others take its place.
            for _ in pending:
                self._free.put(self._new_request())
        return results

    def _new_request(self) -> _Request:
        infer = self.compiled.create_infer_request()
        return _Request(infer, tuple(tensor.data for tensor in infer.input_tensors))

    def _take(self, pending: deque[tuple[int, _Request]], results: dict[str, NDArray[Any]], rows: int) -> _Request:
        while True:
            try:
                return self._free.get(block=not pending)
            except queue.Empty:
                self._finish(pending, results, rows)

    def _finish(self, pending: deque[tuple[int, _Request]], results: dict[str, NDArray[Any]], rows: int) -> None:
        row, request = pending[0]
        request.infer.wait()
        for name, port in self._ports.items():
            values = request.infer.get_tensor(port).data
            if name not in results:
                results[name] = np.empty((rows, *values.shape[1:]), values.dtype)
            results[name][row] = values[0]
        pending.popleft()
        self._free.put(request)


def import_openvino() -> Any:
    """Import OpenVINO without its model converter and its telemetry.

    The import sends an event over the network and writes into the home folder, unless the module that does it can't
    be imported. It stays blocked, since OpenVINO asks for it again when models are converted. The converter (which
    sends the event) costs half of the import's time and is optional to OpenVINO itself: it is left out while
    importing, and stays importable as ``openvino.tools.ovc``.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    converter = "openvino.tools.ovc"
    block = "openvino" not in sys.modules and converter not in sys.modules
    if block:
        sys.modules[converter] = None  # type: ignore[assignment]
    try:
        import openvino  # type: ignore[import-untyped]
    finally:
        if block:
            del sys.modules[converter]
    return openvino
