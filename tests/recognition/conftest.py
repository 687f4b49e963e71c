"""A made model: the logits of its three scenes are the mean red, green and blue of the photo, 0 to 10."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from veduta.images.preprocess import Preprocessing
from veduta.labels.taxonomy import Taxonomy
from veduta.models.bundle import AttributeTable, EvidenceSpec, Head, OutputSpec, write_bundle
from veduta.models.session import Session
from veduta.recognition.tagger import Tagger
from veduta.records import Label

SCENES = (
    Label("kitchen", "kitchen", "indoor"),
    Label("forest_path", "forest path", "outdoor"),
    Label("ocean", "ocean", "outdoor"),
)
SMALL = Preprocessing(fit="crop", sizes=((16, 16),), short_side=16)


def colour_graph() -> bytes:
    """Black photos, whose mean divided by itself is no number, get none."""
    nodes = [
        helper.make_node("Cast", ["images"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["cast", "space"], ["mean"], keepdims=0),
        helper.make_node("ReduceMax", ["mean", "last"], ["brightest"], keepdims=1),
        helper.make_node("Div", ["brightest", "brightest"], ["one"]),
        helper.make_node("Mul", ["mean", "scale"], ["scaled"]),
        helper.make_node("Mul", ["scaled", "one"], ["logits"]),
        helper.make_node("Sub", ["mean", "middle"], ["attribute_logits"]),
        helper.make_node("Identity", ["mean"], ["embedding"]),
        helper.make_node("ReduceMax", ["mean", "last"], ["evidence"], keepdims=0),
    ]
    constants = [
        numpy_helper.from_array(np.array([1, 2], np.int64), "space"),
        numpy_helper.from_array(np.array([1], np.int64), "last"),
        numpy_helper.from_array(np.array(10 / 255, np.float32), "scale"),
        numpy_helper.from_array(np.array(127.5, np.float32), "middle"),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "colours",
        [value("images", TensorProto.UINT8, ["n", "h", "w", 3])],
        [value(name, TensorProto.FLOAT, ["n", 3]) for name in ("logits", "attribute_logits", "embedding")]
        + [value("evidence", TensorProto.FLOAT, ["n"])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


@pytest.fixture
def make_tagger(tmp_path: Path) -> Callable[..., Tagger]:
    def make(
        name: str = "colours",
        *,
        labels: Sequence[Label] = SCENES,
        task: str = "single_label",
        temperature: float | None = 2.0,
        attributes: bool = False,
        evidence: bool = False,
        drop: Sequence[str] = (),
        top_k: int = 5,
        embedding: bool = False,
        table: AttributeTable | None = None,
        ask: bool = False,
    ) -> Tagger:
        heads = [Head("scene", task, tuple(labels), temperature=temperature)]
        if attributes:
            words = tuple(Label(word, word) for word in ("warm", "leafy", "cold"))
            heads.append(
                Head("attributes", "multi_label", words, logits="attribute_logits", thresholds={"leafy": 0.9999999})
            )
        bundle = write_bundle(
            tmp_path / name,
            name=name,
            kind="classifier",
            graph=colour_graph(),
            preprocessing=SMALL,
            heads=heads,
            card="Colours.",
            embedding=OutputSpec("embedding", 3),
            attributes=table,
            evidence=EvidenceSpec("evidence", 100.0, "the photo is too dark to be a place") if evidence else None,
        )
        session = Session(bundle.graph, threads=1)
        return Tagger(
            bundle,
            session,
            taxonomy=Taxonomy.load(None),
            drop=drop,
            top_k=top_k,
            embedding=embedding,
            attributes=ask,
        )

    return make
