"""Running the graph of a generator: numbers in, pictures out, on the CPU by OpenVINO."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veduta.errors import BundleIncompatible
from veduta.models.engine import told
from veduta.models.generator_spec import CLASSES, LATENTS, PICTURES
from veduta.models.openvino_engine import Compiled, graph_sizes, import_openvino
from veduta.models.threads import checked_threads

# The largest input and output of one operation, in bytes: thirty times what 1024 pixels take in 16 channels of float32.
_MOST_ACTIVATIONS = 2 * 2**30


class GeneratorSession:
    """A generator's graph, ready to run; safe to share between threads.

    Each picture is one inference request, as each photo is in ``Session``: it depends neither on its neighbours nor on
    the number of threads. ``threads`` None takes all that the process may use. The graph is compiled by the first
    ``run``, in float32. ``side`` is that of its pictures in pixels: a graph of others is not run.
    """

    def __init__(self, graph: Path, side: int, threads: int | None = None) -> None:
        self.graph, self.side = Path(graph), side
        self.threads = checked_threads(threads)
        self._lock = threading.Lock()
        self._compiled: Compiled | None = None
        self._order: list[str] = []

    def run(self, latents: NDArray[np.float32], classes: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Pictures uint8 ``[n, side, side, 3]`` of ``latents`` ``[n, d]`` and ``classes`` ``[n, c]``, n at least 1.

        Raises BundleIncompatible where the runtime can't run the graph.
        """
        with self._lock:
            if self._compiled is None:
                self._compiled = self._compile(latents.shape[1], classes.shape[1])
            compiled = self._compiled
        given = {LATENTS: latents, CLASSES: classes}
        try:
            made = compiled.run(*(given[name] for name in self._order))[PICTURES]
        except Exception as error:  # the runtime's own classes of errors are not public
            raise self._refused(error) from error
        return made

    def _compile(self, latent: int, classes: int) -> Compiled:
        settings = {
            # Left unset, OpenVINO computes in bfloat16 where the CPU can.
            "INFERENCE_PRECISION_HINT": "f32",
            "NUM_STREAMS": self.threads,
            "INFERENCE_NUM_THREADS": self.threads,
        }
        core = import_openvino().Core()
        try:
            model = core.read_model(self.graph)
            model.reshape({LATENTS: [1, latent], CLASSES: [1, classes]})
            self._order = [each.any_name for each in model.inputs]
            self._check(model)
            compiled = core.compile_model(model, "CPU", settings)
            return Compiled(compiled, (PICTURES,), 2 * self.threads)
        except BundleIncompatible:
            raise
        except Exception as error:  # the runtime's own classes of errors are not public
            raise self._refused(error) from error

    def _check(self, model: Any) -> None:
        """Raises BundleIncompatible for other pictures than the bundle tells of, and for what would fill the memory.

        What the file says of its pictures is not what the graph computes.
        """
        output = model.output(PICTURES)
        found = f"{output.element_type.get_type_name()} {output.partial_shape}"
        if found != f"u8 [1,{self.side},{self.side},3]":
            raise BundleIncompatible(
                f"{self.graph}: gives {found} in place of pictures, uint8 [1, {self.side}, {self.side}, 3]; export the "
                "generator anew."
            )
        _, _, activations = graph_sizes(model)
        if model.is_dynamic() or activations > _MOST_ACTIVATIONS:
            raise BundleIncompatible(
                f"{self.graph}: computes with tensors of {activations / 2**30:.1f} GiB, or of no size that is known; "
                f"{_MOST_ACTIVATIONS / 2**30:.0f} GiB are the most for a picture."
            )

    def _refused(self, error: Exception) -> BundleIncompatible:
        return BundleIncompatible(f"{self.graph}: OpenVINO can't run it ({told(error)}); export the generator anew.")
