"""What a model will take, told without loading it, and what is done to take less."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from veduta.errors import BundleCorrupt
from veduta.models.memory import compiled_bytes, give_back, guessed_bytes, read_bytes


def test_weights_count_in_float32_however_they_are_stored(
    tmp_path: Path, make_model: Callable[..., onnx.ModelProto]
) -> None:
    sizes = []
    for kind in (np.float32, np.float16):
        model = make_model()
        model.graph.initializer.append(numpy_helper.from_array(np.zeros((1000, 1000), kind), "large"))
        path = tmp_path / "model.onnx"
        path.write_bytes(model.SerializeToString())
        sizes.append(guessed_bytes(path))
    assert sizes[0] == pytest.approx(sizes[1], rel=0.01)
    assert 8_000_000 < sizes[0] < 24_000_000


def test_weights_that_are_no_initializers_count_by_the_size_of_the_file(
    tmp_path: Path, make_model: Callable[..., onnx.ModelProto]
) -> None:
    model = make_model()
    large = numpy_helper.from_array(np.zeros((1000, 1000), np.float32), "large")
    model.graph.node.append(onnx.helper.make_node("Constant", [], ["large"], value=large))
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    assert guessed_bytes(path) > 8_000_000


def test_a_file_that_is_not_there_or_no_graph_is_told(tmp_path: Path) -> None:
    with pytest.raises(BundleCorrupt, match=r"nothing\.onnx: can't be read"):
        guessed_bytes(tmp_path / "nothing.onnx")
    (tmp_path / "text.onnx").write_text("text")
    with pytest.raises(BundleCorrupt, match="no whole ONNX file"):
        guessed_bytes(tmp_path / "text.onnx")


def test_each_thread_has_activations_of_its_own_and_weights_are_shared() -> None:
    one, four = (compiled_bytes(100_000_000, 50, 10_000_000, threads) for threads in (1, 4))
    assert 3 * 10_000_000 < four - one < 3 * 20_000_000
    assert read_bytes(100_000_000, 50) > 100_000_000


def test_giving_memory_back_harms_nothing_where_the_system_can_not() -> None:
    give_back()


_MANY_THREADS = """
import re, threading
from veduta.models import memory

if {share}:
    memory.share_arenas()
there = threading.Barrier(17)

def hold():
    block = bytearray(100_000)
    there.wait()
    there.wait()
    del block

threads = [threading.Thread(target=hold) for _ in range(16)]
for thread in threads:
    thread.start()
there.wait()
with open("/proc/self/maps") as maps:
    starts = [int(line.partition("-")[0], 16) for line in maps if len(line.split()) == 5]
there.wait()
print(sum(not start % 2**26 for start in starts))
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="only glibc gives each thread a heap")
def test_many_threads_share_two_heaps_unless_the_environment_says_otherwise() -> None:
    def heaps_beside_the_main_one(share: bool, **environment: str) -> int:
        clean = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
        code = _MANY_THREADS.format(share=share)
        done = subprocess.run(
            [sys.executable, "-c", code], env=clean | environment, capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    assert heaps_beside_the_main_one(share=True) <= 1
    assert heaps_beside_the_main_one(share=False) > 4
    assert heaps_beside_the_main_one(share=True, MALLOC_ARENA_MAX="8") > 4
