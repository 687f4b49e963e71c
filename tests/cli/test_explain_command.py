"""`veduta explain --method`, in this process and with models made of the bundled one."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from veduta.cli.main import app
from veduta.errors import MissingExtra, UsageError
from veduta.models.bundle import Bundle, write_bundle
from veduta.models.store import find

KINDS = ("original", "overlay", "segmentation", "side-by-side")


def explain(photo: Path, out: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["explain", str(photo), "--out", str(out), "--threads", "1", *options])


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    Image.fromarray(pixels).resize((160, 120)).save(tmp_path / "a.jpg")
    return tmp_path / "a.jpg"


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("veduta.training.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)


def bundled_with(folder: Path, *, weights: bool, class_maps: bool) -> Bundle:
    """The bundled model without what is left out."""
    bundle = Bundle.load(find("places100"))
    (head,) = bundle.heads
    return write_bundle(
        folder,
        name="changed",
        kind="classifier",
        graph=bundle.graph,
        preprocessing=bundle.preprocessing,
        heads=[head if class_maps else replace(head, class_maps=None, class_maps_mean_is_logits=False)],
        card="A model for tests.",
        architecture=bundle.architecture,
        weights=bundle.weights if weights else None,
    )


@pytest.mark.parametrize(("method", "told"), [("grad-cam", "by grad-cam"), ("class-maps", "by class maps")])
def test_the_method_that_is_asked_for_makes_the_four_pictures(
    photo: Path, tmp_path: Path, method: str, told: str
) -> None:
    if method == "grad-cam":
        pytest.importorskip("torch", reason="the extra train is not installed")
    result = explain(photo, tmp_path / "why", "--method", method)
    assert result.exit_code == 0, result.exception
    assert told in result.stderr
    assert sorted(path.name for path in (tmp_path / "why").iterdir()) == [f"a-{kind}.jpg" for kind in KINDS]


def test_a_model_without_class_maps_is_explained_all_the_same_and_the_other_way_is_offered(
    photo: Path, tmp_path: Path
) -> None:
    model = bundled_with(tmp_path / "blind", weights=True, class_maps=False)
    result = explain(photo, tmp_path / "why", "--model", str(model.path))
    assert result.exit_code == 0, result.exception
    assert "by occlusion" in result.stderr
    assert "--method grad-cam" in result.stderr
    refused = explain(photo, tmp_path / "why", "--model", str(model.path), "--method", "class-maps")
    assert isinstance(refused.exception, UsageError)
    assert "choose the method occlusion, grad-cam, or auto" in str(refused.exception)


def test_an_unknown_method_is_told_with_those_that_there_are(photo: Path, tmp_path: Path) -> None:
    result = explain(photo, tmp_path / "why", "--method", "gradcam")
    assert isinstance(result.exception, UsageError)
    assert str(result.exception) == "--method gradcam is unknown; give auto, class-maps, occlusion or grad-cam."


@pytest.mark.usefixtures("without_torch")
def test_without_torch_the_extra_is_named(photo: Path, tmp_path: Path) -> None:
    result = explain(photo, tmp_path / "why", "--method", "grad-cam")
    assert isinstance(result.exception, MissingExtra)
    assert 'needs torch; install it with: pip install "veduta[train]"' in str(result.exception)
    assert not (tmp_path / "why").exists()


@pytest.mark.usefixtures("without_torch")
def test_a_model_without_weights_is_told_before_torch_is_asked_for(photo: Path, tmp_path: Path) -> None:
    model = bundled_with(tmp_path / "plain", weights=False, class_maps=True)
    result = explain(photo, tmp_path / "why", "--model", str(model.path), "--method", "grad-cam")
    assert isinstance(result.exception, UsageError)
    assert f"{model.path}: lacks weights.safetensors" in str(result.exception)


def test_an_empty_map_is_told(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the extra train is not installed")
    from veduta.training.grad_cam import GradCam

    bundle = Bundle.load(find("places100"))
    maker, black = GradCam(bundle), np.zeros((1, 192, 192, 3), np.uint8)
    labels = bundle.heads[0].labels
    label = next(each for index, each in enumerate(labels) if not maker.maps(black, [index]).any())
    Image.fromarray(black[0]).save(tmp_path / "black.png")
    result = explain(tmp_path / "black.png", tmp_path / "why", "--method", "grad-cam", "--class", label.id)
    assert result.exit_code == 0, result.exception
    assert f"the map is empty: nothing in the photo speaks for {label.name}" in result.stderr
