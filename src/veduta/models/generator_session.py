"""Running the graph of a generator: numbers in, pictures out, on the CPU by OpenVINO."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veduta.errors import BundleIncompatible
from veduta.models.engine import told
from veduta.models.openvino_engine import import_openvino
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
        self._compiled: Any = None

    def run(self, latents: NDArray[np.float32], classes: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Pictures uint8 ``[n, side, side, 3]`` of ``latents`` ``[n, d]`` and ``classes`` ``[n, c]``, n at least 1.

        Raises BundleIncompatible where the runtime can't run the graph.
        """
        openvino = import_openvino()
        with self._lock:
            if self._compiled is None:
                self._compiled = self._compile(openvino, latents.shape[1], classes.shape[1])
            compiled = self._compiled
        pictures: list[NDArray[np.uint8] | None] = [None] * len(latents)

        def keep(request: Any, place: int) -> None:
            pictures[place] = request.get_output_tensor(0).data[0].copy()

        queue = openvino.AsyncInferQueue(compiled, 2 * self.threads)
        queue.set_callback(keep)
        for place in range(len(latents)):
            row = slice(place, place + 1)
            queue.start_async({"latents": latents[row], "classes": classes[row]}, place)
        queue.wait_all()
        return np.stack([picture for picture in pictures if picture is not None])

    def _compile(self, openvino: Any, latent: int, classes: int) -> Any:
        settings = {
            # Left unset, OpenVINO computes in bfloat16 where the CPU can.
            "INFERENCE_PRECISION_HINT": "f32",
            "NUM_STREAMS": self.threads,
            "INFERENCE_NUM_THREADS": self.threads,
        }
        try:
            model = openvino.Core().read_model(self.graph)
            model.reshape({"latents": [1, latent], "classes": [1, classes]})
            return openvino.Core().compile_model(model, "CPU", settings)
        except Exception as error:  # the runtime's own classes of errors are not public
            raise BundleIncompatible(
                f"{self.graph}: OpenVINO can't run it ({told(error)}); export the generator anew."
            ) from error
