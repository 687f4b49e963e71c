"""A session runs a graph: the same bits whatever the batch, only what was asked for, nothing on the network."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from veduta.errors import BundleCorrupt, BundleIncompatible, BundleNotFound, MissingExtra, UsageError
from veduta.models import openvino_engine
from veduta.models.openvino_engine import MAX_COMPILED, OpenVino
from veduta.models.session import Session

from .conftest import compiled_networks

Photos = NDArray[np.uint8]


def test_a_row_has_the_same_bits_whatever_the_batch_and_the_threads(tiny_graph: Path, photos: Photos) -> None:
    whole = Session(tiny_graph, threads=2).run(photos, ["logits", "embedding"])
    for threads in (1, 2, 3):
        session = Session(tiny_graph, threads=threads)
        for size in (1, 2, 4, 9):
            parts = [session.run(photos[i : i + size], ["logits", "embedding"]) for i in range(0, 9, size)]
            for name, values in whole.items():
                np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), values)


def test_a_real_network_gives_the_same_bits_whatever_the_batch(shared_weights: Path) -> None:
    photos = np.random.default_rng(0).integers(0, 256, (7, 96, 96, 3), dtype=np.uint8)
    graph = shared_weights / "places365_squeezenet.onnx"
    whole = Session(graph, threads=2).run(photos, ["logits"])["logits"]
    alone = Session(graph, threads=1)
    rows = [alone.run(photo[None], ["logits"])["logits"] for photo in photos]
    np.testing.assert_array_equal(np.concatenate(rows), whole)


def test_the_numbers_are_the_graph_s_own_without_softmax(tiny_graph: Path, photos: Photos) -> None:
    from onnx.reference import ReferenceEvaluator

    expected = dict(
        zip(
            ["logits", "class_maps", "embedding", "evidence"],
            ReferenceEvaluator(onnx.load(tiny_graph)).run(None, {"images": photos}),
            strict=True,
        )
    )
    found = Session(tiny_graph, threads=1).run(photos, list(expected))
    for name, values in expected.items():
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-5)
    assert not np.allclose(found["logits"].sum(axis=1), 1.0)


def test_onnx_runtime_agrees(tiny_graph: Path, photos: Photos) -> None:
    pytest.importorskip("onnxruntime")
    outputs = ["logits", "class_maps", "evidence"]
    one = Session(tiny_graph, threads=1).run(photos, outputs)
    other = Session(tiny_graph, threads=2, runtime="onnxruntime").run(photos, outputs)
    for name in outputs:
        assert other[name].dtype == np.float32
        np.testing.assert_allclose(other[name], one[name], rtol=1e-4, atol=1e-5)


def test_onnx_runtime_gives_the_same_bits_whatever_the_batch(tiny_graph: Path, photos: Photos) -> None:
    pytest.importorskip("onnxruntime")
    session = Session(tiny_graph, threads=2, runtime="onnxruntime")
    rows = [session.run(photo[None], ["logits"])["logits"] for photo in photos]
    np.testing.assert_array_equal(session.run(photos, ["logits"])["logits"], np.concatenate(rows))


def test_both_runtimes_agree_on_a_real_network(shared_weights: Path) -> None:
    pytest.importorskip("onnxruntime")
    photos = np.random.default_rng(1).integers(0, 256, (3, 96, 96, 3), dtype=np.uint8)
    graph = shared_weights / "places365_squeezenet.onnx"
    one = Session(graph, threads=1).run(photos, ["logits"])["logits"]
    other = Session(graph, threads=1, runtime="onnxruntime").run(photos, ["logits"])["logits"]
    np.testing.assert_allclose(other, one, atol=1e-3)


@pytest.mark.parametrize(("precision", "told"), [("float32", "f32"), ("bfloat16", "bf16")])
def test_the_precision_is_set_never_left_to_the_runtime(
    tiny_graph: Path, photos: Photos, precision: Any, told: str
) -> None:
    session = Session(tiny_graph, precision=precision, threads=1)
    try:
        session.run(photos[:1], ["logits"])
    except UsageError as error:
        pytest.skip(str(error))
    (compiled,) = compiled_networks(session).values()
    assert compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == told
    assert session.precision == precision


def test_a_cpu_without_bfloat16_says_so(tiny_graph: Path, photos: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    class Core:
        def get_property(self, device: str, name: str) -> list[str]:
            return ["FP32", "INT8"]

    class OldMachine:
        pass

    OldMachine.Core = Core  # type: ignore[attr-defined]
    monkeypatch.setattr(openvino_engine, "import_openvino", lambda: OldMachine)
    with pytest.raises(UsageError, match="bfloat16"):
        Session(tiny_graph, precision="bfloat16").run(photos[:1], ["logits"])


def test_only_the_outputs_asked_for_are_compiled(tiny_graph: Path, photos: Photos) -> None:
    session = Session(tiny_graph, threads=1)
    assert set(session.run(photos[:2], ["embedding"])) == {"embedding"}
    (compiled,) = compiled_networks(session).values()
    assert [output.get_names() for output in compiled.outputs] == [{"embedding"}]
    operations = [node.get_friendly_name() for node in compiled.get_runtime_model().get_ops()]
    assert not any("class" in name for name in operations)


def test_each_size_is_compiled_once_with_fixed_shapes(tiny_graph: Path) -> None:
    session = Session(tiny_graph, threads=1)
    for height, width in ((32, 32), (48, 64), (32, 32)):
        images = np.zeros((2, height, width, 3), np.uint8)
        maps = session.run(images, ["class_maps"])["class_maps"]
        assert maps.shape == (2, 5, height // 2, width // 2)
    networks = compiled_networks(session)
    assert [key[0] for key in networks] == [(48, 64), (32, 32)]
    assert all(each.input(0).get_partial_shape().is_static for each in networks.values())


def test_the_least_recently_used_network_leaves(tiny_graph: Path) -> None:
    session = Session(tiny_graph, threads=1)
    for side in range(8, 8 + MAX_COMPILED):
        session.run(np.zeros((1, side, side, 3), np.uint8), ["logits"])
    session.run(np.zeros((1, 8, 8, 3), np.uint8), ["logits"])
    session.run(np.zeros((1, 64, 64, 3), np.uint8), ["logits"])
    sides = [key[0][0] for key in compiled_networks(session)]
    assert len(sides) == MAX_COMPILED
    assert sides[-2:] == [8, 64]
    assert 9 not in sides


def test_preparing_compiles_what_a_run_will_use(tiny_graph: Path, photos: Photos) -> None:
    session = Session(tiny_graph, threads=1)
    session.prepare(32, 32, ["logits"])
    (before,) = compiled_networks(session).values()
    session.run(photos, ["logits"])
    (after,) = compiled_networks(session).values()
    assert after is before


def test_no_photos_give_no_rows(tiny_graph: Path) -> None:
    found = Session(tiny_graph).run(np.zeros((0, 32, 32, 3), np.uint8), ["logits", "evidence"])
    assert {name: values.shape for name, values in found.items()} == {"logits": (0, 5), "evidence": (0,)}
    assert Session(tiny_graph).run([], ["logits"])["logits"].shape == (0, 5)


def test_read_only_backward_and_listed_images_are_taken_as_they_are(tiny_graph: Path, photos: Photos) -> None:
    session = Session(tiny_graph, threads=1)
    expected = session.run(photos, ["logits"])["logits"]
    frozen = photos.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(session.run(frozen, ["logits"])["logits"], expected)
    np.testing.assert_array_equal(session.run(list(photos), ["logits"])["logits"], expected)
    mirrored = photos[:, :, ::-1]
    copied = np.ascontiguousarray(mirrored)
    np.testing.assert_array_equal(
        session.run(mirrored, ["logits"])["logits"], session.run(copied, ["logits"])["logits"]
    )


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((1, 32, 32, 3), np.float32),
        np.zeros((1, 3, 32, 32), np.uint8),
        np.zeros((32, 32, 3), np.uint8),
        np.zeros((1, 0, 32, 3), np.uint8),
        [np.zeros((32, 32, 3), np.uint8), np.zeros((32, 33, 3), np.uint8)],
        ["photo.jpg"],
    ],
    ids=["float", "planes first", "one photo without its axis", "no rows", "two sizes", "paths"],
)
@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_images_that_are_none_are_refused(tiny_graph: Path, images: Any, runtime: Any) -> None:
    with pytest.raises(UsageError, match="images: "):
        Session(tiny_graph, runtime=runtime).run(images, ["logits"])


def test_an_unknown_output_names_those_that_exist(tiny_graph: Path, photos: Photos) -> None:
    with pytest.raises(UsageError, match="'scores'; choose from logits, class_maps, embedding, evidence"):
        Session(tiny_graph).run(photos, ["logits", "scores"])
    with pytest.raises(UsageError, match="no output"):
        Session(tiny_graph).run(photos, [])


def test_outputs_are_told_without_starting_the_runtime(tiny_graph: Path) -> None:
    session = Session(tiny_graph)
    assert session.outputs["class_maps"] == (None, 5, None, None)
    assert session._engine is None


@pytest.mark.parametrize(
    "choice", [{"precision": "float16"}, {"runtime": "torch"}, {"threads": 0}], ids=["precision", "runtime", "threads"]
)
def test_choices_that_do_not_exist_are_refused(tiny_graph: Path, choice: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(choice))):
        Session(tiny_graph, **choice)


def test_bfloat16_is_refused_where_the_runtime_has_none(tiny_graph: Path) -> None:
    with pytest.raises(UsageError, match="float32"):
        Session(tiny_graph, runtime="onnxruntime", precision="bfloat16")


def test_a_missing_extra_says_what_to_install(
    tiny_graph: Path, photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match=r"veduta\[onnxruntime\]"):
        Session(tiny_graph, runtime="onnxruntime").run(photos, ["logits"])


def test_a_missing_graph_is_named(tmp_path: Path, photos: Photos) -> None:
    with pytest.raises(BundleNotFound, match=r"nothing\.onnx"):
        Session(tmp_path / "nothing.onnx").run(photos, ["logits"])


def test_external_data_is_refused_before_a_runtime_sees_it(
    tmp_path: Path, make_model: Callable[..., onnx.ModelProto], photos: Photos
) -> None:
    model = make_model()
    onnx.save_model(model, tmp_path / "m.onnx", save_as_external_data=True, size_threshold=0)
    with pytest.raises(BundleCorrupt, match="external data"):
        Session(tmp_path / "m.onnx").run(photos, ["logits"])


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_an_operation_that_no_runtime_knows_is_one_sentence(
    tmp_path: Path, tiny_graph: Path, photos: Photos, runtime: Any
) -> None:
    path = tmp_path / "odd.onnx"
    path.write_bytes(tiny_graph.read_bytes().replace(b"Relu", b"Rulu"))
    with pytest.raises(BundleIncompatible, match="Rulu") as caught:
        Session(path, runtime=runtime).run(photos, ["logits"])
    assert "\n" not in str(caught.value)


def test_a_session_travels_to_another_process_as_its_path(tiny_graph: Path, photos: Photos) -> None:
    session = Session(tiny_graph, threads=1)
    expected = session.run(photos, ["logits"])["logits"]
    data = pickle.dumps(session)
    assert len(data) < 1000
    again: Session = pickle.loads(data)
    assert (again.graph, again.threads, again.precision) == (tiny_graph, 1, "float32")
    np.testing.assert_array_equal(again.run(photos, ["logits"])["logits"], expected)


def test_threads_that_share_a_session_get_their_own_rows(tiny_graph: Path, photos: Photos) -> None:
    session = Session(tiny_graph, threads=2)
    expected = session.run(photos, ["logits"])["logits"]
    wrong: list[int] = []

    def run(start: int) -> None:
        for _ in range(20):
            found = session.run(photos[start:], ["logits"])["logits"]
            if not np.array_equal(found, expected[start:]):
                wrong.append(start)

    callers = [threading.Thread(target=run, args=(start,)) for start in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(timeout=60)
    assert not any(caller.is_alive() for caller in callers)
    assert wrong == []


def test_a_failure_in_the_middle_loses_no_request(
    tiny_graph: Path, photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(tiny_graph, threads=1)
    expected = session.run(photos, ["logits"])["logits"]
    assert isinstance(session._engine, OpenVino)
    (compiled,) = [lease.get() for lease in session._engine._networks._items.values()]
    for _ in range(5):
        with monkeypatch.context() as patch:
            patch.setattr(compiled, "_finish", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                session.run(photos, ["logits"])
    np.testing.assert_array_equal(session.run(photos, ["logits"])["logits"], expected)


WATCHED = """
import os, sys
import pathlib
events = []
def watch(event, args):
    if event.startswith("socket."):
        events.append((event, str(args)))
    if event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        events.append((event, str(args)))
sys.dont_write_bytecode = True
sys.addaudithook(watch)
import numpy as np
from veduta.models.session import Session
session = Session(pathlib.Path(sys.argv[1]), runtime=sys.argv[2], threads=1)
session.run(np.zeros((2, 32, 32, 3), np.uint8), ["logits"])
assert "torch" not in sys.modules
# Sockets that native code opened pass by the audit hook; what is still open shows here, on Linux.
for each in pathlib.Path("/proc/self/fd").glob("*"):
    if each.is_symlink() and os.readlink(each).startswith("socket:"):
        events.append(("open socket", str(each)))
print(events)
"""


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_no_socket_is_opened_and_nothing_is_written(
    tiny_graph: Path, tmp_path: Path, runtime: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both runtimes, when left alone, report their import over the network and leave files in the home folder."""
    if runtime == "onnxruntime":
        pytest.importorskip("onnxruntime")
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(Path(openvino_engine.__file__).parents[2]))
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(tiny_graph), runtime],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
    assert list(tmp_path.iterdir()) == []


def test_the_converter_stays_importable_and_its_telemetry_blocked(tiny_graph: Path) -> None:
    code = (
        "import pathlib, sys, numpy as np\n"
        "from veduta.models.session import Session\n"
        "Session(pathlib.Path(sys.argv[1])).run(np.zeros((1, 32, 32, 3), np.uint8), ['logits'])\n"
        "assert 'openvino.tools.ovc' not in sys.modules\n"
        "assert sys.modules['openvino_telemetry'] is None\n"
        "from openvino.tools.ovc import convert_model\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tiny_graph)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_the_cost_of_a_first_run_is_printed(tiny_graph: Path, photos: Photos) -> None:
    session = Session(tiny_graph, threads=1)
    started = time.perf_counter()
    session.run(photos[:1], ["logits"])
    print(f"first run of a tiny network, compiling included: {time.perf_counter() - started:.3f} s")
