"""Tiny photos of two classes, and a generator that is trained on them in a second."""

from __future__ import annotations

from pathlib import Path

import pytest

from .tiny import write_photos


def _one_thread() -> None:
    torch = pytest.importorskip("torch", reason="the extra train is not installed")
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="module")
def one_thread_for_a_module() -> None:
    """For what the tests of a module share, which is made before their own fixtures."""
    _one_thread()


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Again for each test: trainings set what they are told, and the last bits depend on it."""
    _one_thread()


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders of 24 photos each: a bright sea above a dark one, and a wood of stripes."""
    return write_photos(tmp_path_factory.mktemp("photos"), {"sea": 24, "wood": 24})


@pytest.fixture(scope="session")
def generator(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator's bundle, after a few steps."""
    from .tiny import train

    return train(photos, tmp_path_factory.mktemp("run")).path
