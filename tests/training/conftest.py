"""What tests of trainings share: a tiny network, a store, a server of weights."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from veduta.images.fetch import Fetcher, Politeness

from .weights_server import Server

if TYPE_CHECKING:
    from .made_weights import State


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """``tiny_training.py`` beside this file."""
    pytest.importorskip("torch", reason="the extra train is not installed")
    path = Path(__file__).with_name("tiny_training.py")
    spec = importlib.util.spec_from_file_location("tiny_training", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store of models, and an empty cache beside it."""
    monkeypatch.setenv("VEDUTA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VEDUTA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "home" / "models"


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of weights on loopback."""
    made = Server()
    yield made
    made.close()


@pytest.fixture
def fetcher(server: Server) -> Iterator[Fetcher]:
    """The one who may fetch from it."""
    with Fetcher(allow_loopback=True, ports={server.port}, politeness=Politeness(interval_seconds=0)) as made:
        yield made


@pytest.fixture(scope="session")
def state() -> State:
    """A made SqueezeNet of nine classes in torchvision's layout, small enough for every format."""
    pytest.importorskip("torch", reason="the extra train is not installed")
    from .made_weights import theirs

    plain: State = theirs("squeezenet1_1", 9).state_dict()
    return plain
