"""``veduta models weigh`` with made models of two colours, and what ``veduta tag`` makes of the weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from typer.testing import CliRunner, Result

from veduta.cli.main import app
from veduta.errors import BundleCorrupt, UsageError
from veduta.images.preprocess import Preprocessing
from veduta.models import store
from veduta.models.bundle import Head, write_bundle
from veduta.models.ensemble_weights import read_weights, weights_file
from veduta.records import Label


def veduta(*arguments: object) -> Result:
    environment = {"COLUMNS": "200", "TERM": "dumb"}
    return CliRunner().invoke(app, [str(each) for each in arguments], env=environment)


@pytest.fixture(autouse=True)
def two_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``sharp`` is sure of the colour that a photo has more of, ``soft`` is not."""
    monkeypatch.setenv("VEDUTA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VEDUTA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(store, "BUNDLED", tmp_path / "bundled")
    for name, temperature in (("sharp", 2.0), ("soft", 60.0)):
        write_bundle(
            tmp_path / "home" / "models" / name,
            name=name,
            kind="classifier",
            graph=_graph(),
            preprocessing=Preprocessing("crop", ((32, 32),), "bilinear", 32),
            heads=[
                Head("colour", "single_label", (Label("red", "red"), Label("green", "green")), temperature=temperature)
            ],
            card="# colours\n",
        )


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """30 photos of each class, a third of them of the other's colour."""
    colours = {"red": (200, 120, 0), "green": (120, 200, 0)}
    for name, other in (("red", "green"), ("green", "red")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(30):
            colour = colours[name if number % 3 else other]
            photo = Image.new("RGB", (32 + number, 30 + len(name)), colour)
            photo.save(tmp_path / "photos" / name / f"{number:02}.png")
    return tmp_path / "photos"


def test_weights_are_learnt_told_and_kept_and_tag_averages_by_them(photos: Path) -> None:
    before = _tagged(photos / "red" / "01.png")
    assert "weights" not in before["combined"]
    tried = veduta("models", "weigh", photos, "-m", "sharp", "-m", "soft", "--dry-run")
    assert tried.exit_code == 0, tried.output
    assert "Nothing is kept" in tried.stdout
    assert not weights_file().exists()
    done = veduta("models", "weigh", photos, "-m", "sharp", "-m", "soft", "--quiet")
    assert done.exit_code == 0, done.output
    for words in ("photos: 60 photos, by classes", "together, equal weights", "together, learnt weights, held out",
                  "gain", "over equal ones (95 % interval of the gain: +", str(weights_file())):  # fmt: skip
        assert words in done.stdout, words
    (learnt,) = read_weights()
    weights = {member.name: member.weight for member in learnt.members}
    assert weights["soft"] > 0.9
    after = _tagged(photos / "red" / "01.png")
    assert after["combined"]["weights"] == pytest.approx(weights, abs=1e-6)
    by_hand = sum(
        weights[name] * next(score["probability"] for score in answer["scores"] if score["id"] == "red")
        for name, answer in after["models"].items()
    )
    assert after["combined"]["scores"][0]["probability"] == pytest.approx(by_hand, abs=2e-6)
    assert after["models"] == before["models"]
    weights_file().unlink()
    assert _tagged(photos / "red" / "01.png") == before


def test_weights_that_gain_nothing_are_not_kept_and_take_the_earlier_ones_away(photos: Path) -> None:
    assert veduta("models", "weigh", photos, "-m", "sharp", "-m", "soft").exit_code == 0
    assert len(read_weights()) == 1
    # Neither is better than the other: all photos are grey, whatever their class.
    for path in photos.rglob("*.png"):
        with Image.open(path) as photo:
            Image.new("RGB", photo.size, (100, 100, 0)).save(path)
    for told in ("are removed", "None are kept"):
        done = veduta("models", "weigh", photos, "-m", "sharp", "-m", "soft")
        assert done.exit_code == 0, done.output
        assert "against equal ones" in done.stdout
        assert told in done.stdout
        assert read_weights() == ()


def test_photos_without_an_answer_are_named_and_the_exit_code_says_so(photos: Path) -> None:
    for number in range(7):
        (photos / "red" / f"broken-{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n cut short")
    (photos / "odd").mkdir()
    Image.new("RGB", (9, 9)).save(photos / "odd" / "0.png")
    done = veduta("models", "weigh", photos, "-m", "sharp", "-m", "soft", "--dry-run", "--same", "red=red")
    assert done.exit_code == 1, done.output
    assert "Left out, for they mean none of these labels: 'odd'." in done.stdout
    assert done.stderr.count("CorruptPhoto") == 5
    assert "and 2 more photos without an answer" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-m", "sharp"], "name two or more"),
        (["-m", "sharp", "-m", "sharp"], "the same model"),
        (["-m", "sharp", "-m", "soft", "--split", "validation"], "no photo in the split 'validation'"),
        (["-m", "sharp", "-m", "soft", "--same", "red"], "--same red can't be meant"),
    ],
)
def test_what_can_not_be_weighed_is_refused_in_a_sentence(photos: Path, arguments: list[str], told: str) -> None:
    done = veduta("models", "weigh", photos, *arguments)
    assert isinstance(done.exception, UsageError)
    assert told in str(done.exception)
    assert not weights_file().exists()


def test_a_file_of_weights_that_can_not_be_read_is_told_before_the_work(photos: Path) -> None:
    weights_file().write_text("nonsense")
    for command in (("models", "weigh"), ("tag",)):
        done = veduta(*command, photos, "-m", "sharp", "-m", "soft")
        assert isinstance(done.exception, BundleCorrupt)
        assert "each model weighs the same" in str(done.exception)


def _tagged(photo: Path) -> dict[str, dict[str, dict[str, list[dict[str, float]]]]]:
    done = veduta("tag", photo, "-m", "sharp", "-m", "soft", "--out", photo.with_suffix(".jsonl"))
    assert done.exit_code == 0, done.output
    row: dict[str, dict[str, dict[str, list[dict[str, float]]]]] = json.loads(photo.with_suffix(".jsonl").read_text())
    return row


def _graph() -> bytes:
    """logits [n, 2]: the mean red and green of the photo, 0 to 255."""
    nodes = [
        helper.make_node("Cast", ["images"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["cast", "space"], ["mean"], keepdims=0),
        helper.make_node("Gather", ["mean", "which"], ["logits"], axis=1),
    ]
    constants = [
        numpy_helper.from_array(np.array([1, 2], np.int64), "space"),
        numpy_helper.from_array(np.array([0, 1], np.int64), "which"),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "colours",
        [value("images", TensorProto.UINT8, ["n", "h", "w", 3])],
        [value("logits", TensorProto.FLOAT, ["n", 2])],
        constants,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(made.SerializeToString())
