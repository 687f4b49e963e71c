"""A foreign ONNX file becomes a model, or is refused with the reason."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto

from veduta.errors import BundleCorrupt, BundleIncompatible, BundleNotFound, UsageError, VedutaError
from veduta.images.preprocess import Preprocessing
from veduta.models import importing, store
from veduta.models.bundle import Bundle
from veduta.models.importing import import_onnx
from veduta.models.store import find, home

INPUT = Preprocessing("crop", ((32, 32),), "bilinear", 40)
MakeModel = Callable[..., onnx.ModelProto]


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEDUTA_HOME", str(tmp_path / "home"))


@pytest.fixture
def label_list(tmp_path: Path) -> Path:
    path = tmp_path / "labels.csv"
    path.write_text("id,environment\nkitchen,indoor\nbeach,outdoor\nabbey,\nmadeup/place,outdoor\nalley,outdoor\n")
    return path


def put(tmp_path: Path, model: onnx.ModelProto) -> Path:
    path = tmp_path / "foreign.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_the_graph_s_outputs_are_found_by_name(tiny_graph: Path, label_list: Path) -> None:
    bundle = import_onnx(tiny_graph, label_list, name="tiny", preprocessing=INPUT, license="MIT")
    head = bundle.heads[0]
    assert (bundle.kind, head.logits, head.class_maps, head.task) == (
        "classifier",
        "logits",
        "class_maps",
        "single_label",
    )
    assert [label.id for label in head.labels] == ["kitchen", "beach", "abbey", "madeup/place", "alley"]
    assert head.labels[0].environment == "indoor"
    assert head.labels[2].environment is None
    assert head.temperature is None
    assert bundle.embedding is not None
    assert bundle.embedding.size == 8
    assert bundle.evidence is None
    assert bundle.license == "MIT"
    assert Bundle.load(find("tiny")) == bundle
    assert "not calibrated" in (bundle.path / "README.md").read_text()


def test_labels_get_their_coarse_label_where_the_taxonomy_knows_them_all(
    tiny_graph: Path, label_list: Path, tmp_path: Path
) -> None:
    known = tmp_path / "known.csv"
    known.write_text("id\nkitchen\nbeach\nabbey\nrainforest\nalley\n")
    places = import_onnx(tiny_graph, known, name="places", preprocessing=INPUT).heads[0].labels
    assert all(label.coarse is not None for label in places)
    mixed = import_onnx(tiny_graph, label_list, name="mixed", preprocessing=INPUT).heads[0].labels
    assert all(label.coarse is None for label in mixed)


def test_class_maps_are_measured_not_believed(tmp_path: Path, make_model: MakeModel, label_list: Path) -> None:
    honest = import_onnx(put(tmp_path, make_model()), label_list, name="honest", preprocessing=INPUT)
    scaled = import_onnx(put(tmp_path, make_model(mean_scale=1.1)), label_list, name="scaled", preprocessing=INPUT)
    assert honest.heads[0].class_maps_mean_is_logits
    assert not scaled.heads[0].class_maps_mean_is_logits


def test_a_graph_without_labels_becomes_an_embedding(tmp_path: Path, make_model: MakeModel) -> None:
    bundle = import_onnx(put(tmp_path, make_model(["embedding"])), None, name="vectors", preprocessing=INPUT)
    assert (bundle.kind, bundle.heads) == ("embedding", ())


def test_logits_without_labels_ask_for_them(tmp_path: Path, make_model: MakeModel) -> None:
    with pytest.raises(UsageError, match="labels"):
        import_onnx(put(tmp_path, make_model(["logits"])), None, name="x", preprocessing=INPUT)


def test_evidence_is_used_only_with_a_threshold(
    tmp_path: Path, make_model: MakeModel, tiny_graph: Path, label_list: Path
) -> None:
    bundle = import_onnx(tiny_graph, label_list, name="e", preprocessing=INPUT, evidence_threshold=0.5)
    assert bundle.evidence is not None
    assert bundle.evidence.threshold == 0.5
    with pytest.raises(UsageError, match="evidence"):
        import_onnx(
            put(tmp_path, make_model(["logits"])), label_list, name="f", preprocessing=INPUT, evidence_threshold=0.5
        )


def test_a_label_list_of_the_wrong_length_is_refused(tiny_graph: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.csv"
    short.write_text("id\na\nb\nc\n")
    with pytest.raises(BundleIncompatible, match=r"3 labels") as caught:
        import_onnx(tiny_graph, short, name="x", preprocessing=INPUT)
    assert str(tiny_graph) in str(caught.value)
    assert not home().exists()


@pytest.mark.parametrize(
    "changes",
    [{"input_type": TensorProto.FLOAT}, {"input_shape": ["n", 3, "h", "w"]}],
    ids=["float input", "planes first"],
)
def test_another_input_is_refused(
    tmp_path: Path, make_model: MakeModel, label_list: Path, changes: dict[str, Any]
) -> None:
    with pytest.raises(BundleIncompatible, match="uint8"):
        import_onnx(put(tmp_path, make_model(**changes)), label_list, name="x", preprocessing=INPUT)


def test_external_data_is_refused(tmp_path: Path, make_model: MakeModel, label_list: Path) -> None:
    onnx.save_model(make_model(), tmp_path / "m.onnx", save_as_external_data=True, size_threshold=0)
    with pytest.raises(BundleCorrupt, match="external data"):
        import_onnx(tmp_path / "m.onnx", label_list, name="x", preprocessing=INPUT)


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b", "x" * 65])
def test_names_that_are_no_folder_names_are_refused(tiny_graph: Path, label_list: Path, name: str) -> None:
    with pytest.raises(UsageError, match="name"):
        import_onnx(tiny_graph, label_list, name=name, preprocessing=INPUT)


def test_missing_files_are_named(tmp_path: Path, tiny_graph: Path, label_list: Path) -> None:
    with pytest.raises(BundleNotFound, match=r"none\.onnx"):
        import_onnx(tmp_path / "none.onnx", label_list, name="x", preprocessing=INPUT)
    with pytest.raises(VedutaError, match=r"none\.csv"):
        import_onnx(tiny_graph, tmp_path / "none.csv", name="x", preprocessing=INPUT)


def test_a_model_is_overwritten_only_where_asked(tiny_graph: Path, label_list: Path) -> None:
    import_onnx(tiny_graph, label_list, name="x", preprocessing=INPUT)
    with pytest.raises(UsageError, match="holds a model already"):
        import_onnx(tiny_graph, label_list, name="x", preprocessing=INPUT)
    again = import_onnx(tiny_graph, label_list, name="x", preprocessing=INPUT, temperature=2.0, overwrite=True)
    assert Bundle.load(find("x")).heads[0].temperature == again.heads[0].temperature == 2.0


def test_the_real_squeezenet_becomes_a_model_of_365_places(shared_weights: Path, shared_data: Path) -> None:
    bundle = import_onnx(
        shared_weights / "places365_squeezenet.onnx",
        shared_data / "labels" / "places365.csv",
        name="places365-squeezenet",
        preprocessing=Preprocessing("crop", ((224, 224),), "bilinear", 256),
    )
    head = bundle.heads[0]
    assert (len(head.labels), head.labels[0].id) == (365, "airfield")
    assert all(label.environment is not None and label.coarse is not None for label in head.labels)
    assert head.class_maps == "class_maps"
    assert head.class_maps_mean_is_logits
    values = json.loads((bundle.path / "model.json").read_text())
    assert values["heads"][0]["calibrated"] is False


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_is_not_opened(tmp_path: Path, label_list: Path, kind: str) -> None:
    graph = Path("/dev/zero")
    if kind == "pipe":
        if not hasattr(os, "mkfifo"):
            pytest.skip("the system has no named pipes")
        graph = tmp_path / "pipe.onnx"
        os.mkfifo(graph)
    elif not graph.exists():
        pytest.skip("the system has no /dev/zero")
    with pytest.raises(BundleNotFound, match="is not a file"):
        import_onnx(graph, label_list, name="x", preprocessing=INPUT)


def test_a_graph_over_the_limit_is_refused_unread(
    tmp_path: Path, label_list: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "MAX_BYTES", 1000)
    (tmp_path / "large.onnx").write_bytes(bytes(1001))
    with pytest.raises(BundleCorrupt, match="1000"):
        import_onnx(tmp_path / "large.onnx", label_list, name="x", preprocessing=INPUT)


def test_the_name_of_a_bundled_model_is_taken_only_where_asked(
    tmp_path: Path, tiny_graph: Path, label_list: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "BUNDLED", tmp_path / "bundled")
    (tmp_path / "bundled" / "places100").mkdir(parents=True)
    (tmp_path / "bundled" / "places100" / "model.json").touch()
    with pytest.raises(UsageError, match="comes with Veduta"):
        import_onnx(tiny_graph, label_list, name="places100", preprocessing=INPUT)
    import_onnx(tiny_graph, label_list, name="places100", preprocessing=INPUT, overwrite=True)
