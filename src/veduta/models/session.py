"""Running a graph. This file alone knows OpenVINO and ONNX Runtime.

Each photo is one inference request, computed by one thread, and as many run at once as there are threads. Measured on
two cores with a MobileNetV2 (128 pixels) and a SqueezeNet (224 pixels), this costs as little CPU time a photo as any
batch up to 8 (two threads in one request cost 20 to 40 % more, batches of 16 about 10 %), nothing is padded, and a
row's bits depend neither on its neighbours nor on the number of threads.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections import OrderedDict, deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from veduta.errors import BundleIncompatible, BundleNotFound, MissingExtra, UsageError
from veduta.models.onnx_file import inspect_onnx
from veduta.models.threads import available_threads, checked_threads

Precision = Literal["float32", "bfloat16"]
Runtime = Literal["openvino", "onnxruntime"]
Images = NDArray[np.uint8] | Sequence[NDArray[np.uint8]]
Results = dict[str, NDArray[np.float32]]

#: Each takes some twenty megabytes for a MobileNetV2. Tagging needs one, heat maps one for each of a few aspects.
MAX_COMPILED = 8

_OPENVINO_TYPES: dict[Precision, str] = {"float32": "f32", "bfloat16": "bf16"}


class _Engine(Protocol):
    """What both runtimes do: run checked images of one size, and get ready for that."""

    def prepare(self, size: tuple[int, int], outputs: tuple[str, ...]) -> None: ...

    def run(self, images: Sequence[NDArray[np.uint8]], outputs: tuple[str, ...]) -> Results: ...


class Session:
    """A graph, ready to run on uint8 RGB images; safe to share between threads, and picklable.

    ``precision`` is what the network computes in; ``threads`` None takes all that the process may use. Nothing is
    loaded before it is needed: the first ``run`` of an image size imports the runtime and compiles the graph.
    """

    def __init__(
        self,
        graph: Path,
        *,
        precision: Precision = "float32",
        threads: int | None = None,
        runtime: Runtime = "openvino",
    ) -> None:
        if precision not in _OPENVINO_TYPES:
            raise UsageError(f"precision: '{precision}' is unknown; choose float32 or bfloat16.")
        if runtime not in ("openvino", "onnxruntime"):
            raise UsageError(f"runtime: '{runtime}' is unknown; choose openvino or onnxruntime.")
        if runtime == "onnxruntime" and precision != "float32":
            raise UsageError(f"precision: onnxruntime computes in float32, not {precision}; choose openvino for that.")
        self.graph = Path(graph)
        self.precision: Precision = precision
        self.runtime: Runtime = runtime
        self.threads = checked_threads(threads)
        self._asked_threads = threads
        self._lock = threading.Lock()
        self._engine: _Engine | None = None

    @cached_property
    def outputs(self) -> dict[str, tuple[int | None, ...]]:
        """The graph's outputs and their shapes, None where the size varies; reads the file, starts no runtime.

        Raises ``BundleNotFound`` or ``BundleCorrupt`` where the file can't be used.
        """
        try:
            data = self.graph.read_bytes()
        except OSError as error:
            raise BundleNotFound(f"{self.graph}: can't be read ({error.strerror}); name an ONNX file.") from error
        return {
            tensor.name: tuple(size if isinstance(size, int) else None for size in tensor.shape or ())
            for tensor in inspect_onnx(self.graph, data).outputs
        }

    def run(self, images: Images, outputs: Sequence[str]) -> Results:
        """Run the graph on uint8 ``[n, height, width, 3]`` RGB images, or on a sequence of n ``[height, width, 3]``.

        Returns each asked output as float32 with n rows, just as the graph gives it: no softmax, no temperature.
        Raises ``UsageError`` for images or outputs that can't be meant, ``BundleIncompatible`` where the runtime can't
        run the graph at that size, ``MissingExtra`` where the runtime is not installed.
        """
        wanted = self._checked_outputs(outputs)
        photos = _checked_images(images)
        if not photos:
            return {name: np.empty((0, *(size or 0 for size in self.outputs[name][1:])), np.float32) for name in wanted}
        return self._started().run(photos, wanted)

    def prepare(self, height: int, width: int, outputs: Sequence[str]) -> None:
        """Compile now what a ``run`` at this size would compile; raises the same errors."""
        self._started().prepare((height, width), self._checked_outputs(outputs))

    def _checked_outputs(self, outputs: Sequence[str]) -> tuple[str, ...]:
        wanted = tuple(sorted(set(outputs)))
        unknown = [name for name in wanted if name not in self.outputs]
        if unknown or not wanted:
            asked = f"has no output '{unknown[0]}'" if unknown else "was asked for no output"
            raise UsageError(f"{self.graph}: {asked}; choose from {', '.join(self.outputs)}.")
        return wanted

    def _started(self) -> _Engine:
        with self._lock:
            if self._engine is None:
                if self.runtime == "openvino":
                    self._engine = _OpenVino(self.graph, self.precision, self.threads)
                else:
                    self._engine = _OnnxRuntime(self.graph, self.threads)
            return self._engine

    def __getstate__(self) -> dict[str, Any]:
        # A compiled network lives in one process; another builds its own from the path.
        return {
            "graph": self.graph,
            "precision": self.precision,
            "threads": self._asked_threads,
            "runtime": self.runtime,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(  # type: ignore[misc]
            state["graph"], precision=state["precision"], threads=state["threads"], runtime=state["runtime"]
        )

    def __repr__(self) -> str:
        return f"Session({str(self.graph)!r}, precision={self.precision!r}, threads={self.threads}, {self.runtime})"


def _checked_images(images: Images) -> list[NDArray[np.uint8]]:
    photos = list(images)
    for image in photos:
        if not isinstance(image, np.ndarray):
            raise UsageError(f"images: expected arrays, and one is {type(image).__name__}; decode the photos first.")
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise UsageError(
                f"images: expected uint8 [n, height, width, 3], and one is {image.dtype} {list(image.shape)}; "
                f"prepare them with the model's preprocessing."
            )
        if image.shape != photos[0].shape:
            raise UsageError(
                f"images: all of one run must have one size, and one is {list(image.shape)}, the first "
                f"{list(photos[0].shape)}; run each size apart."
            )
    return photos


class _OpenVino:
    """OpenVINO on the CPU: one compiled network for each image size and set of outputs, the least recent leaves."""

    def __init__(self, graph: Path, precision: Precision, threads: int) -> None:
        self._graph = graph
        self._precision = precision
        self._threads = threads
        self._core: Any = _import_openvino().Core()
        if precision == "bfloat16" and "BF16" not in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise UsageError("precision: this CPU does not compute in bfloat16; choose float32.")
        try:
            self._model = self._core.read_model(graph)
        except Exception as error:  # the runtime's own classes of errors are not public
            raise BundleIncompatible(
                f"{graph}: OpenVINO can't read it ({_told(error)}); export it with operations that it knows."
            ) from error
        self._compiled: OrderedDict[tuple[tuple[int, int], tuple[str, ...]], _Compiled] = OrderedDict()
        self._lock = threading.Lock()

    def prepare(self, size: tuple[int, int], outputs: tuple[str, ...]) -> None:
        self._compiled_for(size, outputs)

    def run(self, images: Sequence[NDArray[np.uint8]], outputs: tuple[str, ...]) -> Results:
        height, width, _ = images[0].shape
        return self._compiled_for((height, width), outputs).run(images)

    def _compiled_for(self, size: tuple[int, int], outputs: tuple[str, ...]) -> _Compiled:
        with self._lock:
            key = (size, outputs)
            if key not in self._compiled:
                self._compiled[key] = self._compile(size, outputs)
                if len(self._compiled) > MAX_COMPILED:
                    self._compiled.popitem(last=False)
            self._compiled.move_to_end(key)
            return self._compiled[key]

    def _compile(self, size: tuple[int, int], outputs: tuple[str, ...]) -> _Compiled:
        model = self._model.clone()
        for result in list(model.get_results()):
            if not result.input_value(0).names & set(outputs):
                model.remove_result(result)
        settings = {
            # Left unset, OpenVINO computes in bfloat16 where the CPU can.
            "INFERENCE_PRECISION_HINT": _OPENVINO_TYPES[self._precision],
            "NUM_STREAMS": self._threads,
            "INFERENCE_NUM_THREADS": self._threads,
            # Pinning is faster where the machine is ours; processes that share it would all pin the same CPUs.
            "ENABLE_CPU_PINNING": self._threads >= available_threads(),
        }
        try:
            model.reshape([1, *size, 3])
            compiled = self._core.compile_model(model, "CPU", settings)
        except Exception as error:  # the runtime's own classes of errors are not public
            raise BundleIncompatible(
                f"{self._graph}: OpenVINO can't run it on images of {size[0]} by {size[1]} pixels "
                f"({_told(error)}); choose another size or export the model anew."
            ) from error
        return _Compiled(compiled, outputs, 2 * self._threads)


@dataclass(frozen=True, slots=True)
class _Request:
    """An inference request of OpenVINO, and the memory of its own input, ``[1, height, width, 3]``."""

    infer: Any
    input: NDArray[np.uint8]


class _Compiled:
    """A network compiled for one image, and its inference requests.

    There are two requests for each thread, so that one waits ready while the other computes. Any number of callers
    share them: who finds none free finishes the oldest of his own, and waits for another's only while he has none.
    """

    def __init__(self, compiled: Any, outputs: tuple[str, ...], requests: int) -> None:
        self.compiled = compiled
        self._ports = {name: compiled.output(name) for name in outputs}
        self._free: queue.SimpleQueue[_Request] = queue.SimpleQueue()
        for _ in range(requests):
            self._free.put(self._new_request())

    def run(self, images: Sequence[NDArray[np.uint8]]) -> Results:
        results: Results = {}
        pending: deque[tuple[int, _Request]] = deque()
        try:
            for row, image in enumerate(images):
                request = self._take(pending, results, len(images))
                pending.append((row, request))
                # Copying 128 by 128 pixels takes 2 microseconds; wrapping the image's own memory in a tensor took 6.
                request.input[0] = image
                request.infer.start_async()
            while pending:
                self._finish(pending, results, len(images))
        finally:
            # Only after an error: what still computes is left to itself, and others take its place.
            for _ in pending:
                self._free.put(self._new_request())
        return results

    def _new_request(self) -> _Request:
        infer = self.compiled.create_infer_request()
        return _Request(infer, infer.get_input_tensor(0).data)

    def _take(self, pending: deque[tuple[int, _Request]], results: Results, rows: int) -> _Request:
        while True:
            try:
                return self._free.get(block=not pending)
            except queue.Empty:
                self._finish(pending, results, rows)

    def _finish(self, pending: deque[tuple[int, _Request]], results: Results, rows: int) -> None:
        row, request = pending[0]
        request.infer.wait()
        for name, port in self._ports.items():
            values = request.infer.get_tensor(port).data
            if name not in results:
                results[name] = np.empty((rows, *values.shape[1:]), np.float32)
            results[name][row] = values[0]
        pending.popleft()
        self._free.put(request)


class _OnnxRuntime:
    """ONNX Runtime on the CPU. It takes every size and gives any output without compiling."""

    def __init__(self, graph: Path, threads: int) -> None:
        onnxruntime = _import_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._graph = graph
        try:
            self._session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's own classes of errors are not public
            raise BundleIncompatible(
                f"{graph}: ONNX Runtime can't read it ({_told(error)}); export it with operations that it knows."
            ) from error
        self._input = self._session.get_inputs()[0].name
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="veduta-onnxruntime")

    def prepare(self, size: tuple[int, int], outputs: tuple[str, ...]) -> None:
        """Nothing to do: reading the graph has made it ready."""

    def run(self, images: Sequence[NDArray[np.uint8]], outputs: tuple[str, ...]) -> Results:
        def run_one(image: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
            found: list[NDArray[np.float32]] = self._session.run(outputs, {self._input: image[np.newaxis]})
            return found

        try:
            rows = list(self._threads.map(run_one, images))
        except Exception as error:  # the runtime's own classes of errors are not public
            height, width, _ = images[0].shape
            raise BundleIncompatible(
                f"{self._graph}: ONNX Runtime can't run it on images of {height} by {width} pixels "
                f"({_told(error)}); choose another size or export the model anew."
            ) from error
        return {name: np.concatenate([row[index] for row in rows]) for index, name in enumerate(outputs)}


def _import_openvino() -> Any:
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


def _import_onnxruntime() -> Any:
    """Import ONNX Runtime without its telemetry.

    Since 1.29 its import opens an uploader, and writes an identifier of the machine into the home folder, unless this
    variable is set before (https://github.com/microsoft/onnxruntime/pull/27379); Windows has a switch of its own.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtra(
            "onnxruntime: the runtime is not installed; pip install 'veduta[onnxruntime]', or choose openvino."
        ) from error
    onnxruntime.disable_telemetry_events()
    return onnxruntime


def _told(error: Exception) -> str:
    """The line of a runtime's message that tells most: unknown operations where it names them, else its last."""
    lines = [line.strip("- ") for line in str(error).splitlines() if line.strip("- ")] or [type(error).__name__]
    line = next((line for line in lines if line.startswith("No conversion rule")), lines[-1])
    return "".join(each if each.isprintable() else "?" for each in line[:200])
