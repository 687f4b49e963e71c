"""What every test may ask for: the shared photos and weights, or a skip that says why."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"


#: The folders of tests whose module needs torch, and has it to itself.
_OF_TORCH = {"training", "generation"}


@pytest.fixture(autouse=True, scope="module")
def one_thread_for_a_module(request: pytest.FixtureRequest) -> None:
    """Torch on one thread, for what the tests of a module share, which is made before their own fixtures.

    Two that wait for each other on busy cores take ten times as long.
    """
    _one_thread(request.path)


@pytest.fixture(autouse=True)
def one_thread(request: pytest.FixtureRequest) -> None:
    """Again for each test: trainings set what they are told, and the last bits depend on it."""
    _one_thread(request.path)


def _one_thread(test: Path) -> None:
    if _OF_TORCH & set(test.relative_to(Path(__file__).parent).parts[:-1]):
        pytest.importorskip("torch", reason="the extra train is not installed").set_num_threads(1)


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
