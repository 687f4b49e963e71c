"""How much memory a graph takes, in bytes: told before it is loaded, and measured figures behind it.

A model in memory is the graph as it was read, with its weights in float32, and the networks compiled of it, each with a
copy of the weights in an order of its own. What each takes beside the weights was measured with OpenVINO 2026.4 on
MobileNetV2, SqueezeNet, ResNet-50, Inception-v3, DenseNet-201, VGG-16 and VGG-19 (``docs/serving.md``), and the figures
here are above all of them.
"""

from __future__ import annotations

import ctypes
import os
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

#: Heaps that all threads of a server share; ``malloc.h`` calls the parameter M_ARENA_MAX.
_ARENAS, _M_ARENA_MAX = 2, -8


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


def share_arenas() -> None:
    """Let all threads of this process allocate from two heaps; call it before they start.

    glibc else gives each of many threads its own, and what one has freed no other can use: a server whose models change
    places, compiled now in this thread and now in that, took 420 MB instead of 190. An environment that says
    ``MALLOC_ARENA_MAX`` has its way.
    """
    function = _of_libc("mallopt")
    if function is not None and "MALLOC_ARENA_MAX" not in os.environ:
        function(_M_ARENA_MAX, _ARENAS)


def give_back() -> None:
    """Give freed memory back to the system, which glibc else keeps for later (ResNet-50: 100 MB after reading it)."""
    trim = _of_libc("malloc_trim")
    if trim is not None:
        trim(0)


@cache
def _of_libc(function: str) -> Any:
    # Other systems, and Linux with another libc, lack what glibc has for this, and mostly the need for it.
    return getattr(ctypes.CDLL(None), function, None) if sys.platform == "linux" else None
