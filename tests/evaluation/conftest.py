"""A made model whose scenes are colours (kitchen red, forest path green, ocean blue), and folders of such photos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from veduta.images.preprocess import Preprocessing
from veduta.labels.taxonomy import Taxonomy
from veduta.models.bundle import EvidenceSpec, Head, Task, write_bundle
from veduta.models.session import Session
from veduta.recognition.tagger import Tagger
from veduta.records import Label

SCENES = (
    Label("kitchen", "kitchen", "indoor"),
    Label("forest_path", "forest path", "outdoor"),
    Label("ocean", "ocean", "outdoor"),
)
COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200), "grey": (30, 30, 30)}


@pytest.fixture
def made_model(tmp_path: Path) -> Callable[..., Tagger]:
    """The logits are the mean red, green and blue from 0 to 10; the evidence is the brightest of the three, 0 to 255.

    A white photo, whose mean is above 254, has no numbers.
    """

    def make(
        evidence: bool = True,
        task: Task = "single_label",
        size: int | None = None,
        temperature: float | None = 1.0,
        name: str = "made",
        labels: Sequence[Label] = SCENES,
    ) -> Tagger:
        bundle = write_bundle(
            tmp_path / f"{name}-{evidence}-{task}-{temperature}",
            name=name,
            kind="classifier",
            graph=_graph(),
            preprocessing=Preprocessing(fit="crop", sizes=((48, 48),), short_side=48),
            heads=[Head("scene", task, Taxonomy.load(None).apply(labels), temperature=temperature)],
            card="# made",
            evidence=EvidenceSpec("evidence", 100.0) if evidence else None,
            replace=True,
        )
        return Tagger(bundle, Session(bundle.graph, threads=1), taxonomy=Taxonomy.load(None), size=size)

    return make


@pytest.fixture
def colour_folders(tmp_path: Path) -> Callable[..., Path]:
    """Write ``root/<folder>/<number>.png`` of the colours that are asked for: ``kitchen=["red", "blue"]``.

    No two of a set are the same file.
    """

    def make(name: str, folders: dict[str, list[str]]) -> Path:
        root, width = tmp_path / name, count(24)
        for folder, colours in folders.items():
            (root / folder).mkdir(parents=True)
            for number, colour in enumerate(colours):
                path = root / folder / f"{number}.png"
                if colour == "broken":
                    path.write_bytes(b"\x89PNG\r\n\x1a\n cut short")
                else:
                    rgb = (255, 255, 255) if colour == "white" else COLOURS[colour]
                    Image.new("RGB", (next(width), 18), rgb).save(path)
        return root

    return make


def _graph() -> bytes:
    nodes = [
        helper.make_node("Cast", ["images"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["cast", "space"], ["mean"], keepdims=0),
        helper.make_node("ReduceMax", ["mean", "last"], ["evidence"], keepdims=0),
        helper.make_node("ReduceMax", ["mean", "last"], ["brightest"], keepdims=1),
        # Below the limit the root is a number, which divided by itself changes nothing.
        helper.make_node("Sub", ["limit", "brightest"], ["room"]),
        helper.make_node("Sqrt", ["room"], ["root"]),
        helper.make_node("Div", ["root", "root"], ["one"]),
        helper.make_node("Mul", ["mean", "scale"], ["scaled"]),
        helper.make_node("Mul", ["scaled", "one"], ["logits"]),
    ]
    constants = [
        numpy_helper.from_array(np.array([1, 2], np.int64), "space"),
        numpy_helper.from_array(np.array([1], np.int64), "last"),
        numpy_helper.from_array(np.array(10 / 255, np.float32), "scale"),
        numpy_helper.from_array(np.array(254, np.float32), "limit"),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "colours",
        [value("images", TensorProto.UINT8, ["n", "h", "w", 3])],
        [value("logits", TensorProto.FLOAT, ["n", 3]), value("evidence", TensorProto.FLOAT, ["n"])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()
