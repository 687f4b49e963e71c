"""How much memory a graph takes, in bytes: told before it is loaded, and measured figures behind it.

A model in memory is the graph as it was read, with its weights in float32, and the networks compiled of it, each with a
copy of the weights in an order of its own. What each takes beside the weights was measured with OpenVINO 2026.4 on
MobileNetV2, SqueezeNet, ResNet-50, Inception-v3, DenseNet-201, VGG-16 and VGG-19 (``docs/serving.md``), and the figures
here are above all of them.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from pathlib import Path
from typing import Any

from veduta.errors import BundleCorrupt
from veduta.models.onnx_file import inspect_file

_MIB = 2**20

#: Of a read graph, beside the weights; 32 KiB more for each operation (DenseNet-201: 14 MB for 612).
_READ = 4 * _MIB
_READ_OPERATION = 32 * 2**10
#: Of a compiled network, beside the weights; for each operation and thread 48 KiB of code (DenseNet-201: 54 to 76 MB).
_COMPILED = 8 * _MIB
_COMPILED_OPERATION = 48 * 2**10
#: Activations, relative to the largest input and output of one operation (VGG: 1.0; DenseNet-201, which concatenates
#: them, 1.43; others 0.54 to 0.75).
_ACTIVATIONS = 1.5


def read_bytes(weights: int, operations: int) -> int:
    """What a graph takes as it was read, in bytes: ``weights`` bytes of them in float32."""
    return weights + _READ + operations * _READ_OPERATION


def compiled_bytes(weights: int, operations: int, activations: int, threads: int) -> int:
    """What a compiled network takes at most, in bytes.

    ``activations`` are the bytes of the largest input and output of one operation; each thread has its own.
    """
    each = operations * _COMPILED_OPERATION + int(activations * _ACTIVATIONS)
    return weights + _COMPILED + threads * each


def guessed_bytes(graph: Path) -> int:
    """The least that a model will take with one compiled network, in bytes, by a look into its ONNX file.

    Weights are computed with in float32, however they are stored. What the runtime tells of the graph, once it has read
    it, is more. Raises ``BundleCorrupt`` where the file can't be used.
    """
    try:
        weights = max(4 * inspect_file(graph).parameters, graph.stat().st_size)
    except OSError as error:
        raise BundleCorrupt(f"{graph}: can't be read ({error.strerror}); get the model again.") from error
    return 2 * weights + _READ + _COMPILED


def give_back() -> None:
    """Give freed memory back to the system, which glibc else keeps for later (ResNet-50: 100 MB after reading it)."""
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Any:
    # Other systems, and Linux with another libc, return memory by themselves or not at all.
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
