"""Photos of one colour each, a made model that knows colours, and a training that makes it in no time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from veduta.images.preprocess import Preprocessing
from veduta.models.bundle import Bundle, Head, OutputSpec, Task, write_bundle
from veduta.records import Label
from veduta.workflows.outcomes import Measuring

COLOURS = {"blue": (30, 30, 200), "green": (30, 200, 30), "red": (200, 30, 30)}
#: Speeds that take no time to measure.
QUICK = Measuring(rounds=1, seconds=0.001, photos=4)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """``photos/<colour>/<number>.png``, ten of each; the last two of each are green, whatever they are called."""
    for place, (name, rgb) in enumerate(COLOURS.items()):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(10):
            colour = tuple(value + number for value in rgb) if number < 8 else (30 + place, 150 + number, 30)
            Image.new("RGB", (40, 36), colour).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


@pytest.fixture
def make_model(tmp_path: Path) -> Callable[..., Bundle]:
    """A model whose logits are the means of red, green and blue, called by ``labels`` in that order."""

    def make(
        labels: Sequence[str] = ("red", "green", "blue"),
        name: str = "colours",
        task: Task = "single_label",
        folder: Path | None = None,
        size: int = 32,
    ) -> Bundle:
        return write_bundle(
            folder or tmp_path / "models" / name,
            name=name,
            kind="classifier",
            graph=_graph(),
            preprocessing=Preprocessing("crop", ((size, size),), "bilinear", size),
            heads=[Head("colours", task, tuple(Label(each, each) for each in labels), temperature=1.0)],
            embedding=OutputSpec("embedding", 3),
            card="# made",
            replace=True,
        )

    return make


def _graph() -> bytes:
    nodes = [
        helper.make_node("Cast", ["images"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["cast", "space"], ["embedding"], keepdims=0),
        helper.make_node("Sub", ["embedding", "middle"], ["centred"]),
        helper.make_node("Mul", ["centred", "scale"], ["logits"]),
    ]
    constants = [
        numpy_helper.from_array(np.array([1, 2], np.int64), "space"),
        numpy_helper.from_array(np.array(100, np.float32), "middle"),
        numpy_helper.from_array(np.full(3, 0.05, np.float32), "scale"),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "colours",
        [value("images", TensorProto.UINT8, ["n", "h", "w", 3])],
        [value("logits", TensorProto.FLOAT, ["n", 3]), value("embedding", TensorProto.FLOAT, ["n", 3])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()
