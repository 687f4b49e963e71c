"""`veduta models`: list, info, verify, import."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner, Result

from veduta.cli.models import models
from veduta.errors import BundleCorrupt, BundleNotFound, UsageError
from veduta.images.preprocess import Preprocessing
from veduta.models import store
from veduta.models.bundle import Bundle, Head, Metric, write_bundle
from veduta.records import Label


def run(*arguments: str) -> Result:
    # A wide terminal, so that no table breaks the words that are looked for.
    return CliRunner().invoke(models, list(arguments), env={"COLUMNS": "200", "TERM": "dumb"})


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """logits [n, 2]: the mean red and green of the photo."""
    nodes = [
        helper.make_node("Cast", ["images"], ["cast"], to=TensorProto.FLOAT, name="first\x1b[2J"),
        helper.make_node("ReduceMean", ["cast", "space"], ["mean"], keepdims=0),
        helper.make_node("Gather", ["mean", "which"], ["logits"], axis=1),
    ]
    constants = [
        numpy_helper.from_array(np.array([1, 2], np.int64), "space"),
        numpy_helper.from_array(np.array([0, 1], np.int64), "which"),
    ]
    value = helper.make_tensor_value_info
    made = helper.make_graph(
        nodes,
        "colours",
        [value("images", TensorProto.UINT8, ["n", "h", "w", 3])],
        [value("logits", TensorProto.FLOAT, ["n", 2])],
        constants,
    )
    path = tmp_path / "colours.onnx"
    onnx.save_model(helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


@pytest.fixture(autouse=True)
def colours(tmp_path: Path, graph: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    monkeypatch.setenv("VEDUTA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(store, "BUNDLED", tmp_path / "bundled")
    labels = (Label("red", "[bold]Red"), Label("green", "Green", "outdoor"))
    return write_bundle(
        tmp_path / "home" / "models" / "colours",
        name="colours",
        kind="classifier",
        graph=graph,
        preprocessing=Preprocessing("crop", ((64, 64),), "bicubic", 72),
        heads=[Head("colour", "single_label", labels, temperature=1.25)],
        card="# colours\n",
        metrics=[Metric("top-1", 0.5, "[red]two photos", 2, (0.1, 0.9))],
        license="MIT",
    )


def test_list_shows_what_a_name_finds() -> None:
    result = run("list")
    assert result.exit_code == 0
    assert "colours" in result.stdout
    assert "64×64 from short side 72" in result.stdout
    assert "store" in result.stdout


def test_list_goes_on_past_a_model_that_can_not_be_used(colours: Bundle) -> None:
    (colours.path.parent / "broken").mkdir()
    (colours.path.parent / "broken" / "model.json").write_text("nonsense")
    result = run("list")
    assert result.exit_code == 0
    assert "unusable" in result.stdout
    assert "colours" in result.stdout


def test_info_tells_the_facts_and_takes_no_name_for_markup(colours: Bundle) -> None:
    result = run("info", "colours")
    assert result.exit_code == 0
    for told in (
        colours.bundle_id,
        colours.embedding_id,
        "temperature 1.25",
        "[red]two photos",
        "MIT",
        "no class maps",
    ):
        assert told in result.stdout


def test_info_lists_layers_and_lets_no_control_character_through() -> None:
    result = run("info", "colours", "--layers")
    assert "ReduceMean" in result.stdout
    assert "3 layers" in result.stdout
    assert "\x1b[2J" not in result.stdout


def test_info_as_json_is_json(colours: Bundle) -> None:
    facts = json.loads(run("info", "colours", "--json", "--layers").stdout)
    assert facts["bundle_id"] == colours.bundle_id
    assert facts["heads"][0]["labels"] == ["red", "green"]
    assert facts["metrics"][0]["interval"] == [0.1, 0.9]
    assert [layer["operation"] for layer in facts["layers"]] == ["Cast", "ReduceMean", "Gather"]


def test_verify_names_every_model_and_fails_with_the_first_error(colours: Bundle) -> None:
    good = run("verify")
    assert good.exit_code == 0
    assert "colours: whole" in good.stdout
    with colours.graph.open("ab") as file:
        file.write(b"\0")
    bad = run("verify", "colours", "nothing")
    assert isinstance(bad.exception, BundleCorrupt)
    assert "nothing: unusable" in bad.stdout


def test_an_unknown_model_is_not_found() -> None:
    assert isinstance(run("info", "colors").exception, BundleNotFound)


def test_import_makes_a_model_that_verifies(graph: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("id\nred\ngreen\n")
    result = run(
        "import", str(graph), "--name", "mine", "--labels", str(labels), "--size", "32", "--short-side", "36",
        "--multi-label", "--license", "CC0",
    )  # fmt: skip
    assert result.exit_code == 0, result.exception
    assert "veduta tag photo.jpg --model mine" in result.stdout
    bundle = Bundle.load(store.find("mine"))
    assert bundle.heads[0].task == "multi_label"
    assert bundle.preprocessing == Preprocessing("crop", ((32, 32),), "bilinear", 36)
    assert run("verify", "mine").exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("--filter", "nearest"),
        ("--short-side", "16", "--size", "32"),
        ("--stretch", "--short-side", "64"),
    ],
    ids=["unknown filter", "short side below the crop", "stretch with a short side"],
)
def test_import_options_that_contradict_are_refused(graph: Path, arguments: tuple[str, ...]) -> None:
    assert isinstance(run("import", str(graph), "--name", "x", *arguments).exception, UsageError)


@pytest.mark.parametrize("command", ["list", "info", "verify", "import"])
def test_every_command_teaches_with_an_example(command: str) -> None:
    assert "Example: veduta models" in run(command, "--help").stdout
