"""A graph in ONNX Runtime, on the CPU. This file alone knows ONNX Runtime."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veduta.errors import BundleIncompatible, MissingExtra
from veduta.models import memory
from veduta.models.engine import Results, told

#: What it keeps for activations, in bytes: so much for each thread, and for what it reads.
_ARENA = 32 * 2**20


class OnnxRuntime:
    """ONNX Runtime on the CPU. It takes every size and gives any output without compiling."""

    def __init__(self, graph: Path, threads: int) -> None:
        onnxruntime = import_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._graph = graph
        try:
            self._session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's own classes of errors are not public
            raise BundleIncompatible(
                f"{graph}: ONNX Runtime can't read it ({told(error)}); export it with operations that it knows."
            ) from error
        self._input = self._session.get_inputs()[0].name
        self._count = threads
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="veduta-onnxruntime")

    def prepare(self, size: tuple[int, int], outputs: tuple[str, ...]) -> None:
        """Nothing to do: reading the graph has made it ready."""

    def needed_bytes(self, size: tuple[int, int], outputs: tuple[str, ...]) -> int:
        # Of a ResNet-50 (2 threads) 315 MB were measured and 350 are told, of a VGG-16 1,050 and 1,250.
        return memory.guessed_bytes(self._graph) + (2 + self._count) * _ARENA

    def limit(self, total: int, more: Callable[[int], bool]) -> None:
        """Nothing to keep: it makes no network for each size."""

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
                f"({told(error)}); choose another size or export the model anew."
            ) from error
        return {name: np.concatenate([row[index] for row in rows]) for index, name in enumerate(outputs)}


def import_onnxruntime() -> Any:
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
