"""Torch alone on one thread: two that wait for each other on busy cores take ten times as long."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch = pytest.importorskip("torch", reason="the extra train is not installed")
    torch.set_num_threads(1)
