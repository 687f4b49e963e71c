"""Tiny photos of two classes, and a generator that is trained on them in a second."""

from __future__ import annotations

from pathlib import Path

import pytest

from .tiny import write_photos


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders of 24 photos each: a bright sea above a dark one, and a wood of stripes."""
    return write_photos(tmp_path_factory.mktemp("photos"), {"sea": 24, "wood": 24})


@pytest.fixture(scope="session")
def generator(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator's bundle, after a few steps."""
    from .tiny import train

    return train(photos, tmp_path_factory.mktemp("run")).path
