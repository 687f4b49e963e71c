"""What every test may ask for: the shared photos and weights, or a skip that says why."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real photos."""
    return _present(SHARED / "data")


@pytest.fixture(scope="session")
def shared_weights() -> Path:
    """The folder of real weights."""
    return _present(SHARED / "weights")


def _present(folder: Path) -> Path:
    if not folder.is_dir():
        pytest.skip(f"the real photos and weights are not here: {folder} is absent")
    return folder
