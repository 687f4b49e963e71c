"""Running a graph, in OpenVINO or ONNX Runtime; only the two engines beside this file know either."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from veduta.errors import BundleNotFound, UsageError
from veduta.models import memory
from veduta.models.engine import Engine, Precision, Results
from veduta.models.onnx_file import inspect_file
from veduta.models.onnxruntime_engine import OnnxRuntime
from veduta.models.openvino_engine import OpenVino
from veduta.models.threads import checked_threads

__all__ = ["Images", "Precision", "Results", "Runtime", "Session"]

Runtime = Literal["openvino", "onnxruntime"]
Images = NDArray[np.uint8] | Sequence[NDArray[np.uint8]]


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
        if precision not in ("float32", "bfloat16"):
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
        self._engine: Engine | None = None

    @cached_property
    def outputs(self) -> dict[str, tuple[int | None, ...]]:
        """The graph's outputs and their shapes, None where the size varies; reads the file, starts no runtime.

        Raises ``BundleNotFound`` or ``BundleCorrupt`` where the file can't be used.
        """
        try:
            found = inspect_file(self.graph)
        except OSError as error:
            raise BundleNotFound(f"{self.graph}: can't be read ({error.strerror}); name an ONNX file.") from error
        return {
            tensor.name: tuple(size if isinstance(size, int) else None for size in tensor.shape or ())
            for tensor in found.outputs
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

    def needed_bytes(self, height: int, width: int, outputs: Sequence[str]) -> int:
        """What the session takes at most, in bytes, with one network compiled: that for this size and these outputs.

        The graph is read for it, and nothing compiled; raises the same errors as ``run``.
        """
        return self._started().needed_bytes((height, width), self._checked_outputs(outputs))

    def limit(self, total: int, more: Callable[[int], bool]) -> None:
        """Keep what the session takes within ``total`` bytes; one network is compiled all the same.

        ``more`` is asked for so many bytes beyond them before a compiled network leaves for another.
        """
        self._started().limit(total, more)

    def release(self) -> None:
        """Give back the memory of all that was read and compiled, with its limit.

        A ``run`` at work ends as it should, and the next one reads and compiles anew.
        """
        with self._lock:
            self._engine = None
        memory.give_back()

    def _checked_outputs(self, outputs: Sequence[str]) -> tuple[str, ...]:
        wanted = tuple(sorted(set(outputs)))
        unknown = [name for name in wanted if name not in self.outputs]
        if unknown or not wanted:
            asked = f"has no output '{unknown[0]}'" if unknown else "was asked for no output"
            raise UsageError(f"{self.graph}: {asked}; choose from {', '.join(self.outputs)}.")
        return wanted

    def _started(self) -> Engine:
        with self._lock:
            if self._engine is None:
                if self.runtime == "openvino":
                    self._engine = OpenVino(self.graph, self.precision, self.threads)
                else:
                    self._engine = OnnxRuntime(self.graph, self.threads)
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
