"""The made tagger, as a module, for all tests of jobs."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def made() -> ModuleType:
    """``made_tagger.py`` beside this file."""
    path = Path(__file__).with_name("made_tagger.py")
    spec = importlib.util.spec_from_file_location("made_tagger", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["made_tagger"] = module
    spec.loader.exec_module(module)
    return module
