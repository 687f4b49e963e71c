"""Running the graph of a generator: numbers in, pictures out, on the CPU by OpenVINO."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veduta.errors import BundleIncompatible
from veduta.models.engine import told
from veduta.models.generator_spec import CLASSES, LATENTS, PICTURES
from veduta.models.openvino_engine import Compiled, import_openvino
from veduta.models.threads import checked_threads


class GeneratorSession:
    """A generator's graph, ready to run; safe to share between threads.

    Each picture is one inference request, as each photo is in ``Session``: it depends neither on its neighbours nor on
    the number of threads. ``threads`` None takes all that the process may use. The graph is compiled by the first
    ``run``, in float32.
    """

    def __init__(self, graph: Path, threads: int | None = None) -> None:
        self.graph = Path(graph)
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
        if made.dtype != np.uint8 or made.ndim != 4 or made.shape[3] != 3:
            raise BundleIncompatible(
                f"{self.graph}: gives {made.dtype} {list(made.shape)} in place of uint8 [n, side, side, 3]; export the "
                "generator anew."
            )
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
            compiled = core.compile_model(model, "CPU", settings)
            return Compiled(compiled, (PICTURES,), 2 * self.threads)
        except Exception as error:  # the runtime's own classes of errors are not public
            raise self._refused(error) from error

    def _refused(self, error: Exception) -> BundleIncompatible:
        return BundleIncompatible(f"{self.graph}: OpenVINO can't run it ({told(error)}); export the generator anew.")
