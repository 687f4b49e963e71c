"""A bundle on disk: written whole or not at all, and refused where anything in it does not fit."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto

from veduta.errors import BundleCorrupt, BundleIncompatible, BundleNotFound, OutputError, UsageError, VedutaError
from veduta.images.preprocess import Preprocessing
from veduta.models.bundle import Bundle, GeneratorSpec, Head, Metric, OutputSpec, write_bundle
from veduta.records import Label

Make = Callable[..., Bundle]
STRETCH = Preprocessing("stretch", ((32, 32),))


def rewrite(bundle: Bundle, change: Callable[[dict[str, Any]], object]) -> Path:
    path = bundle.path / "model.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    return bundle.path


def test_a_written_bundle_is_read_back_as_it_was(make_bundle: Make, labels: tuple[Label, ...]) -> None:
    head = Head("scene", "multi_label", labels, "logits", "class_maps", True, 0.75, {"place/3": 0.4})
    written = make_bundle(head=head, weights=b"not looked into")
    read = Bundle.load(written.path)
    assert read == written
    assert read.heads == (head,)
    assert read.preprocessing == Preprocessing("crop", ((32, 32),), "bicubic", 40)
    assert read.weights == written.path / "weights.safetensors"
    assert (written.path / "README.md").read_text() == "# tiny\n"


def test_metrics_come_back_with_their_data(tmp_path: Path, tiny_graph: Path, labels: tuple[Label, ...]) -> None:
    metrics = (Metric("top-1", 0.481, "val", 4000, (0.465, 0.497)), Metric("top-5", 0.794, "val", 4000))
    bundle = write_bundle(
        tmp_path / "m", name="m", kind="classifier", graph=tiny_graph, preprocessing=STRETCH,
        heads=[Head("scene", "single_label", labels)], card="", metrics=metrics, architecture="tiny", license="MIT",
    )  # fmt: skip
    read = Bundle.load(tmp_path / "m")
    assert (read.metrics, read.architecture, read.license) == (metrics, "tiny", "MIT")
    assert read.weights is None
    assert read.heads[0].temperature is None
    assert bundle.graph.is_file()


def test_the_same_bundle_is_written_with_the_same_bytes(make_bundle: Make) -> None:
    first, second = make_bundle("a"), make_bundle("b")
    assert (first.path / "model.json").read_bytes() == (second.path / "model.json").read_bytes()


@pytest.mark.parametrize("name", ["model.onnx", "weights.safetensors"])
@pytest.mark.parametrize("position", [0, -1])
def test_one_altered_byte_is_found_and_the_file_named(make_bundle: Make, name: str, position: int) -> None:
    bundle = make_bundle(weights=b"weights")
    path = bundle.path / name
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleCorrupt, match=name):
        Bundle.load(bundle.path)
    assert Bundle.load(bundle.path, verify=False).bundle_id == bundle.bundle_id


@pytest.mark.parametrize("name", ["model.onnx", "weights.safetensors"])
def test_a_missing_file_is_named(make_bundle: Make, name: str) -> None:
    bundle = make_bundle(weights=b"weights")
    (bundle.path / name).unlink()
    with pytest.raises(BundleCorrupt, match=f"{name}: is missing"):
        Bundle.load(bundle.path)


def test_weights_that_no_hash_covers_are_refused(make_bundle: Make) -> None:
    bundle = make_bundle()
    (bundle.path / "weights.safetensors").write_bytes(b"slipped in")
    with pytest.raises(BundleCorrupt, match="not listed"):
        Bundle.load(bundle.path)


def test_a_link_out_of_the_folder_is_refused(make_bundle: Make, tmp_path: Path) -> None:
    bundle = make_bundle()
    outside = tmp_path / "outside.onnx"
    bundle.graph.rename(outside)
    bundle.graph.symlink_to(outside)
    with pytest.raises(BundleCorrupt, match="leads out"):
        Bundle.load(bundle.path)


def test_an_empty_graph_file_is_refused(make_bundle: Make) -> None:
    bundle = make_bundle()
    bundle.graph.write_bytes(b"")
    with pytest.raises(BundleCorrupt, match="0 bytes"):
        Bundle.load(bundle.path)


def test_a_folder_without_model_json_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(BundleNotFound, match=r"model\.json"):
        Bundle.load(tmp_path)


def test_a_newer_format_asks_for_an_upgrade(make_bundle: Make) -> None:
    folder = rewrite(make_bundle(), lambda values: values.update(format_version=2, something_new=[]))
    with pytest.raises(BundleIncompatible, match="version 2"):
        Bundle.load(folder)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param(lambda v: v.update(kind="oracle"), "'kind'", id="unknown kind"),
        pytest.param(lambda v: v.update(name="../../etc"), "'name'", id="a name that is a path"),
        pytest.param(lambda v: v.update(name=5), "'name'", id="a name that is a number"),
        pytest.param(lambda v: v.update(tempreature=2), "'tempreature'", id="unknown key"),
        pytest.param(lambda v: v.pop("input"), "'input' is missing", id="no input"),
        pytest.param(lambda v: v["input"].update(filter="nearest"), "'input.filter'", id="unknown filter"),
        pytest.param(lambda v: v["input"].update(sizes=[[0, 32]]), "'input.sizes\\[0\\]'", id="size of nothing"),
        pytest.param(lambda v: v["input"].update(sizes=[[32, 10**9]]), "'input.sizes\\[0\\]'", id="absurd size"),
        pytest.param(lambda v: v["input"].update(sizes=[]), "'input.sizes'", id="no size"),
        pytest.param(lambda v: v["input"].update(sizes=[[8, 8], [8, 9]]), "'input.sizes'", id="two sizes to crop"),
        pytest.param(lambda v: v["input"].update(short_side=31), "'input.short_side'", id="crop past the photo"),
        pytest.param(lambda v: v.update(heads=[]), "'heads'", id="a classifier without heads"),
        pytest.param(lambda v: v.update(heads=v["heads"] * 2), "'heads'", id="two heads of one name"),
        pytest.param(lambda v: v["heads"][0].update(task="ranking"), "'heads\\[0\\].task'", id="unknown task"),
        pytest.param(lambda v: v["heads"][0].update(temperature=0), "temperature", id="temperature 0"),
        pytest.param(lambda v: v["heads"][0].update(temperature=-1.5), "temperature", id="negative temperature"),
        pytest.param(lambda v: v["heads"][0].update(temperature=True), "temperature", id="temperature true"),
        pytest.param(lambda v: v["heads"][0].update(temperature="1.5"), "temperature", id="temperature as text"),
        pytest.param(lambda v: v["heads"][0].pop("temperature"), "calibrated: false", id="calibration untold"),
        pytest.param(lambda v: v["heads"][0].update(calibrated=False), "calibrated", id="calibrated and not"),
        pytest.param(lambda v: v["heads"][0].update(labels=[]), "labels", id="no labels"),
        pytest.param(lambda v: v["heads"][0]["labels"][2].update(id="place/0"), "labels\\[2\\].id", id="same id twice"),
        pytest.param(lambda v: v["heads"][0]["labels"][1].update(environment="space"), "environment", id="environment"),
        pytest.param(lambda v: v["heads"][0]["labels"][1].update(id="a\nb"), "labels\\[1\\].id", id="newline in an id"),
        pytest.param(lambda v: v["heads"][0].update(thresholds={"nowhere": 0.5}), "nowhere", id="no label"),
        pytest.param(lambda v: v["heads"][0].update(thresholds={"place/1": 1.5}), "place/1", id="threshold past 1"),
        pytest.param(lambda v: v["embedding"].update(size=0), "'embedding.size'", id="embedding of nothing"),
        pytest.param(lambda v: v["evidence"].pop("threshold"), "'evidence.threshold'", id="evidence, no threshold"),
        pytest.param(lambda v: v["files"].pop("model.onnx"), "'files.model.onnx'", id="no hash"),
        pytest.param(lambda v: v["files"].update({"model.onnx": "00"}), "SHA-256", id="no SHA-256"),
        pytest.param(lambda v: v["files"].update({"../x": "0" * 64}), "'files.../x'", id="a file elsewhere"),
        pytest.param(lambda v: v.update(metrics=[{"name": "top-1"}]), "'metrics\\[0\\].value'", id="metric, no value"),
    ],
)  # fmt: skip
def test_what_the_format_does_not_allow_is_refused_by_key(
    make_bundle: Make, change: Callable[[dict[str, Any]], object], told: str
) -> None:
    folder = rewrite(make_bundle(), change)
    with pytest.raises(BundleCorrupt, match=told) as caught:
        Bundle.load(folder)
    assert "model.json" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"[]", b"nonsense", b'{"a": 1, "a": 2}', b'{"format_version": NaN}', b"\xff\xfe", b"[" * 100_000,
        b'{"format_version": 1e400}', b'{"format_version": ' + b"9" * 5000 + b"}",
    ],
    ids=["empty", "list", "text", "key twice", "NaN", "not UTF-8", "deep", "infinite", "endless number"],
)  # fmt: skip
def test_a_model_json_that_is_none_is_refused(make_bundle: Make, text: bytes) -> None:
    bundle = make_bundle()
    (bundle.path / "model.json").write_bytes(text)
    with pytest.raises(BundleCorrupt, match=r"model\.json"):
        Bundle.load(bundle.path)


def test_temperatures_that_json_writes_but_no_float_holds_are_refused(make_bundle: Make) -> None:
    bundle = make_bundle()
    path = bundle.path / "model.json"
    path.write_text(path.read_text().replace("1.5", "1e999"))
    with pytest.raises(BundleCorrupt, match="temperature"):
        Bundle.load(bundle.path)


def test_a_label_list_of_the_wrong_length_is_refused(make_bundle: Make, labels: tuple[Label, ...]) -> None:
    with pytest.raises(BundleIncompatible, match="4 labels"):
        make_bundle(head=Head("scene", "single_label", labels[:-1]))


def test_outputs_that_do_not_fit_are_refused(
    make_bundle: Make, make_model: Callable[..., onnx.ModelProto], labels: tuple[Label, ...]
) -> None:
    with pytest.raises(BundleIncompatible, match="lacks the output 'scores'"):
        make_bundle(head=Head("scene", "single_label", labels, "scores"))
    with pytest.raises(BundleIncompatible, match="'class_maps' has the shape"):
        make_bundle(head=Head("scene", "single_label", labels, "class_maps", "logits"))
    with pytest.raises(BundleIncompatible, match="lacks the output 'evidence'"):
        make_bundle(graph=make_model(["logits", "class_maps", "embedding"]).SerializeToString())


@pytest.mark.parametrize(
    "changes",
    [
        {"input_type": TensorProto.FLOAT},
        {"input_shape": ["n", 3, "h", "w"]},
        {"input_shape": ["n", "h", "w", "c"]},
    ],
    ids=["float input", "planes first", "unknown channels"],
)
def test_a_graph_that_takes_something_else_is_refused(
    make_bundle: Make, make_model: Callable[..., onnx.ModelProto], changes: dict[str, Any]
) -> None:
    with pytest.raises(BundleIncompatible, match="uint8"):
        make_bundle(graph=make_model(**changes).SerializeToString())


def test_an_embedding_of_another_size_is_refused(tmp_path: Path, tiny_graph: Path) -> None:
    def write(size: int) -> Bundle:
        return write_bundle(
            tmp_path / "e", name="e", kind="embedding", graph=tiny_graph, heads=[], card="",
            preprocessing=STRETCH, embedding=OutputSpec("embedding", size),
        )  # fmt: skip

    with pytest.raises(BundleIncompatible, match="embedding of 9 numbers"):
        write(9)
    assert write(8).kind == "embedding"


def test_identities_follow_what_depends_on_them(make_bundle: Make, labels: tuple[Label, ...]) -> None:
    plain = make_bundle("plain")
    head = plain.heads[0]
    other_labels = (*labels[:-1], Label("place/other", "Other"))
    cooler = make_bundle("cooler", head=dataclasses.replace(head, temperature=1.4))
    renamed = make_bundle("renamed", head=dataclasses.replace(head, labels=other_labels))
    stricter = make_bundle("stricter", head=dataclasses.replace(head, thresholds={"place/1": 0.9}))
    for changed in (cooler, renamed, stricter):
        assert changed.embedding_id == plain.embedding_id
    wider = make_bundle("wider", preprocessing=Preprocessing("crop", ((32, 32),), "bicubic", 41))
    filtered = make_bundle("filtered", preprocessing=Preprocessing("crop", ((32, 32),), "bilinear", 40))
    assert len({each.embedding_id for each in (plain, wider, filtered)}) == 3
    assert len({each.bundle_id for each in (plain, cooler, renamed, stricter, wider, filtered)}) == 6


def test_name_metrics_and_weights_change_no_identity(make_bundle: Make) -> None:
    plain, with_weights = make_bundle("plain"), make_bundle("weights", weights=b"abc")
    folder = rewrite(make_bundle("metrics"), lambda values: values.update(name="other", license="MIT", metrics=[]))
    assert {each.bundle_id for each in (plain, with_weights, Bundle.load(folder))} == {plain.bundle_id}


def test_a_bundle_that_fails_its_checks_never_appears(make_bundle: Make, tmp_path: Path) -> None:
    with pytest.raises(BundleCorrupt, match=r"tiny/model\.onnx") as caught:
        make_bundle(graph=b"no graph")
    assert list(tmp_path.iterdir()) == []
    assert ".tiny-" not in str(caught.value)


def test_a_model_is_replaced_only_where_asked(make_bundle: Make, labels: tuple[Label, ...], tmp_path: Path) -> None:
    first = make_bundle()
    with pytest.raises(UsageError, match="holds a model already"):
        make_bundle()
    second = make_bundle(head=Head("scene", "single_label", labels), replace=True)
    assert Bundle.load(first.path).bundle_id == second.bundle_id != first.bundle_id
    assert [each.name for each in tmp_path.iterdir()] == ["tiny"]


def test_a_failed_replacement_leaves_the_old_model(make_bundle: Make) -> None:
    first = make_bundle()
    with pytest.raises(BundleCorrupt):
        make_bundle(graph=b"no graph", replace=True)
    assert Bundle.load(first.path) == first


def test_a_folder_that_is_no_model_is_never_replaced(make_bundle: Make, tmp_path: Path) -> None:
    precious = tmp_path / "tiny" / "precious.txt"
    precious.parent.mkdir()
    precious.write_text("mine")
    with pytest.raises(UsageError, match="no model"):
        make_bundle(replace=True)
    assert precious.read_text() == "mine"


def test_a_figure_that_is_not_finite_is_not_written(make_bundle: Make, labels: tuple[Label, ...]) -> None:
    with pytest.raises(VedutaError, match="finite"):
        make_bundle(head=Head("scene", "single_label", labels, temperature=float("nan")))


def test_a_target_below_a_file_is_an_output_error(tmp_path: Path, tiny_graph: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="can't be written"):
        write_bundle(
            tmp_path / "file" / "m", name="m", kind="embedding", graph=tiny_graph, heads=[], card="",
            preprocessing=STRETCH, embedding=OutputSpec("embedding", 8),
        )  # fmt: skip


def _generator_graph(latent: int = 4, classes: int = 2, element: int = TensorProto.UINT8, side: int = 8) -> bytes:
    """Pictures of one colour each, as wide as the sum of the numbers says: enough of a generator to be checked."""
    helper = onnx.helper
    shape = helper.make_tensor("shape", TensorProto.INT64, [4], [-1, 1, 1, 1])
    wide = helper.make_tensor("wide", TensorProto.INT64, [4], [1, side, side, 3])
    nodes = [
        helper.make_node("Concat", ["latents", "classes"], ["both"], axis=1),
        helper.make_node("ReduceSum", ["both", "one"], ["sum"], keepdims=1),
        helper.make_node("Reshape", ["sum", "shape"], ["small"]),
        helper.make_node("Expand", ["small", "wide"], ["floats"]),
        helper.make_node("Cast", ["floats"], ["images"], to=element),
    ]
    one = helper.make_tensor("one", TensorProto.INT64, [1], [1])
    graph = helper.make_graph(
        nodes,
        "g",
        [
            helper.make_tensor_value_info("latents", TensorProto.FLOAT, ["n", latent]),
            helper.make_tensor_value_info("classes", TensorProto.FLOAT, ["n", classes]),
        ],
        [helper.make_tensor_value_info("images", element, ["n", side, side, 3])],
        [shape, wide, one],
    )
    return onnx.helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()


def _write_generator(folder: Path, graph: bytes | None = None, spec: GeneratorSpec | None = None) -> Bundle:
    labels = (Label("coast", "coast"), Label("desert/sand", "sand desert"))
    return write_bundle(
        folder, name="g", kind="generator", graph=graph or _generator_graph(), preprocessing=STRETCH, heads=[],
        card="", generator=spec or GeneratorSpec(4, 8, labels),
    )  # fmt: skip


def test_a_generator_is_read_back_and_its_classes_are_part_of_its_identity(tmp_path: Path) -> None:
    bundle = _write_generator(tmp_path / "a")
    assert Bundle.load(tmp_path / "a") == bundle
    assert bundle.generator is not None
    other = _write_generator(tmp_path / "b", spec=GeneratorSpec(4, 8, (Label("desert/sand", "x"), Label("coast", "y"))))
    assert bundle.embedding_id == other.embedding_id
    assert bundle.bundle_id != other.bundle_id


@pytest.mark.parametrize(("graph", "words"), [
    (_generator_graph(latent=5), r"takes 'latents', float32 \[n, 4\].*has latents float32, classes float32"),
    (_generator_graph(classes=3), r"'classes', float32 \[n, 2\]"),
    (_generator_graph(element=TensorProto.FLOAT), "gives 'images', uint8"),
    (_generator_graph(side=16), r"uint8 \[n, 8, 8, 3\]"),
], ids=["latent", "classes", "element", "side"])  # fmt: skip
def test_a_generator_whose_graph_is_another_is_refused(tmp_path: Path, graph: bytes, words: str) -> None:
    with pytest.raises(BundleIncompatible, match=words):
        _write_generator(tmp_path / "a", graph)


@pytest.mark.parametrize("change", [
    lambda values: values.pop("generator"),
    lambda values: values.update(kind="embedding"),
    lambda values: values["generator"].update(latent=0),
    lambda values: values["generator"].update(side=10**6),
    lambda values: values["generator"].update(grayscale="no"),
    lambda values: values["generator"].update(labels=[]),
    lambda values: values["generator"].update(more=1),
])  # fmt: skip
def test_what_a_generator_says_of_itself_is_checked(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(BundleCorrupt):
        Bundle.load(rewrite(_write_generator(tmp_path / "a"), change))
