"""What a session keeps in memory: weights once, few networks where they are large, and all of it given back."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from veduta.models import openvino_engine
from veduta.models.openvino_engine import OpenVino
from veduta.models.session import Session
from veduta.models.store import BUNDLED

from .conftest import compiled_networks

Photos = NDArray[np.uint8]


@pytest.mark.parametrize("graph", ["tiny", "squeezenet", "places100"])
def test_what_networks_share_changes_no_bit(request: pytest.FixtureRequest, graph: str) -> None:
    match graph:
        case "tiny":
            path = request.getfixturevalue("tiny_graph")
        case "squeezenet":
            path = request.getfixturevalue("shared_weights") / "places365_squeezenet.onnx"
        case _:
            path = BUNDLED / "places100" / "model.onnx"
    photos = np.random.default_rng(5).integers(0, 256, (3, 96, 96, 3), dtype=np.uint8)
    session = Session(path, threads=1)
    found = session.run(photos, list(session.outputs))

    core = openvino_engine.import_openvino().Core()
    plain = core.read_model(path)
    plain.reshape([1, 96, 96, 3])
    compiled = core.compile_model(plain, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1})
    for row, photo in enumerate(photos):
        expected = compiled(photo[None])
        for name, values in found.items():
            np.testing.assert_array_equal(values[row], expected[compiled.output(name)][0])


def test_large_networks_are_fewer_than_small_ones(tiny_graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(tiny_graph, threads=1)
    with_one = session.needed_bytes(16, 16, ["logits"])
    monkeypatch.setattr(openvino_engine, "COMPILED_BYTES", int(1.5 * with_one))
    session = Session(tiny_graph, threads=1)
    for side in (8, 16, 24):
        session.run(np.zeros((1, side, side, 3), np.uint8), ["logits"])
    assert len(compiled_networks(session)) == 2
    monkeypatch.setattr(openvino_engine, "COMPILED_BYTES", 1)
    session = Session(tiny_graph, threads=1)
    for side in (8, 16, 24):
        session.run(np.zeros((1, side, side, 3), np.uint8), ["logits"])
    assert [key[0] for key in compiled_networks(session)] == [(24, 24)]


def test_a_session_keeps_to_its_limit_and_asks_before_a_network_leaves(tiny_graph: Path) -> None:
    asked: list[int] = []

    def more(size: int) -> bool:
        asked.append(size)
        return len(asked) == 1

    session = Session(tiny_graph, threads=1)
    session.limit(session.needed_bytes(32, 32, ["logits"]), more)
    session.prepare(32, 32, ["logits"])
    assert asked == []
    session.prepare(24, 24, ["logits"])
    assert len(compiled_networks(session)) == 2
    session.prepare(16, 16, ["logits"])
    assert len(asked) == 2
    assert all(size > 0 for size in asked)
    assert [key[0] for key in compiled_networks(session)] == [(24, 24), (16, 16)]


def test_more_pixels_weights_and_outputs_need_more(tiny_graph: Path, shared_weights: Path) -> None:
    session = Session(tiny_graph, threads=1)
    small, large = (session.needed_bytes(side, side, ["logits"]) for side in (32, 640))
    assert small < large < 10 * small
    real = Session(shared_weights / "places365_squeezenet.onnx", threads=1)
    weights = real.graph.stat().st_size
    assert real.needed_bytes(32, 32, ["logits"]) > small + 1.8 * weights


def test_what_was_released_is_compiled_anew(tiny_graph: Path, photos: Photos) -> None:
    session = Session(tiny_graph, threads=1)
    expected = session.run(photos, ["logits"])["logits"]
    session.release()
    assert session._engine is None
    np.testing.assert_array_equal(session.run(photos, ["logits"])["logits"], expected)


def test_compiling_for_one_size_stalls_no_other(
    tiny_graph: Path, photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, begun, go = Session(tiny_graph, threads=1), threading.Event(), threading.Event()
    session.run(photos, ["logits"])
    compile_now = OpenVino._compile

    def compile_later(self: OpenVino, *kind: Any) -> Any:
        begun.set()
        assert go.wait(20)
        return compile_now(self, *kind)

    monkeypatch.setattr(OpenVino, "_compile", compile_later)
    other = threading.Thread(target=session.prepare, args=(64, 64, ["logits"]))
    other.start()
    assert begun.wait(20)
    session.run(photos, ["logits"])
    assert other.is_alive()
    go.set()
    other.join(20)
    assert len(compiled_networks(session)) == 2


def test_the_limits_hold_nothing_up_in_onnx_runtime(tiny_graph: Path, photos: Photos) -> None:
    pytest.importorskip("onnxruntime")
    session = Session(tiny_graph, threads=1, runtime="onnxruntime")
    assert session.needed_bytes(32, 32, ["logits"]) > 2 * tiny_graph.stat().st_size
    session.limit(1, lambda _: False)
    session.run(photos, ["logits"])
    session.release()
    session.run(photos, ["logits"])
