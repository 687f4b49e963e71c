"""Landmarks of one colour each: the made model's embedding is a photo's mean red, green and blue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veduta.recognition.landmarks.index import identity_of
from veduta.recognition.landmarks.index_file import IndexFile
from veduta.recognition.landmarks.recogniser import PhotoEmbedder
from veduta.recognition.tagger import Tagger

Make = Callable[..., list[str]]
RED, GREEN, BLUE, GREY = (200, 20, 20), (20, 200, 20), (20, 20, 200), (120, 120, 120)


@pytest.fixture
def photos(tmp_path: Path) -> Make:
    """Writes some photos of a colour, each a little different."""

    def make(name: str, colour: tuple[int, int, int], count: int = 5, spread: int = 12, seed: int = 0) -> list[str]:
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng((seed, *colour))
        paths = []
        for number in range(count):
            shade = np.clip(np.array(colour) + random.integers(-spread, spread + 1, 3), 1, 255)
            pixels = np.tile(shade, (24, 24, 1)) + random.integers(-3, 4, (24, 24, 3))
            path = folder / f"{number}.png"
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)
            paths.append(str(path))
        return paths

    return make


@pytest.fixture
def embedder(make_tagger: Callable[..., Tagger]) -> PhotoEmbedder:
    """Gives the mean colour, as a direction."""
    tagger = make_tagger()
    return PhotoEmbedder(tagger.bundle, tagger.session)


@pytest.fixture
def file(tmp_path: Path, embedder: PhotoEmbedder) -> IndexFile:
    """An index without landmarks."""
    return IndexFile.create(tmp_path / "made.landmarks", identity_of(embedder.bundle))
