"""A server for a whole run of tests, photos, and models of its store."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import httpx2
import numpy as np
import pytest
from PIL import Image

from ..explanation.conftest import make_corner_bundle
from ..images.conftest import scenery, serve
from .running import Running

__all__ = ["serve"]


def photo(width: int = 640, height: int = 480, kind: str = "JPEG") -> bytes:
    """A made photo."""
    file = io.BytesIO()
    scenery(width, height).save(file, kind)
    return file.getvalue()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory, shared_weights: Path) -> Path:
    """A folder for VEDUTA_HOME, with the two networks of Places and ImageNet beside the bundled model."""
    from veduta.images.preprocess import Preprocessing
    from veduta.labels.categories import places365
    from veduta.models.bundle import Head, write_bundle

    home = tmp_path_factory.mktemp("home")
    write_bundle(
        home / "models" / "places365-squeezenet",
        name="places365-squeezenet",
        kind="classifier",
        graph=shared_weights / "places365_squeezenet.onnx",
        preprocessing=Preprocessing("crop", ((224, 224),), "bilinear", 256),
        heads=[Head("scenes", "single_label", places365(), class_maps="class_maps", class_maps_mean_is_logits=True)],
        card="# Places365 SqueezeNet\n\nA network for tests.",
    )
    make_corner_bundle(home / "models" / "corner")
    return home


@pytest.fixture(scope="session")
def bare_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for VEDUTA_HOME with nothing in it."""
    return tmp_path_factory.mktemp("bare")


@pytest.fixture(scope="session")
def _environment(store: Path) -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VEDUTA_HOME", str(store))
        yield patch


@pytest.fixture(scope="session")
def server(_environment: pytest.MonkeyPatch) -> Iterator[Running]:
    """A server with the store's models; tests leave it as they find it."""
    with Running() as running:
        yield running


@pytest.fixture
def client(server: Running) -> Iterator[httpx2.Client]:
    with server.client() as client:
        yield client


@pytest.fixture(scope="session")
def jpeg() -> bytes:
    return photo()


@pytest.fixture(scope="session")
def noise() -> bytes:
    """A photo that shows nothing at all."""
    file = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 255, (300, 400, 3), np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
