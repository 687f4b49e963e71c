"""Veduta tells what place a photo shows.

The names here are loaded when they are first used, so that ``import veduta`` stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from veduta.client.asking import Client as Client
    from veduta.errors import VedutaError as VedutaError
    from veduta.explanation.explain import explain as explain
    from veduta.recognition.tagger import Tagger as Tagger
    from veduta.recognition.tagger import load as load
    from veduta.records import LandmarkAnswer as LandmarkAnswer
    from veduta.records import Prediction as Prediction
    from veduta.records import Score as Score
    from veduta.training.train import train as train
    from veduta.workflows.landmarks import load_landmarks as load_landmarks

__version__ = "0.1.0"

_HOMES = {
    "Client": "veduta.client.asking",
    "VedutaError": "veduta.errors",
    "LandmarkAnswer": "veduta.records",
    "Prediction": "veduta.records",
    "Score": "veduta.records",
    "Tagger": "veduta.recognition.tagger",
    "load": "veduta.recognition.tagger",
    "load_landmarks": "veduta.workflows.landmarks",
    "explain": "veduta.explanation.explain",
    "train": "veduta.training.train",
}

__all__ = [
    "Client",
    "LandmarkAnswer",
    "Prediction",
    "Score",
    "Tagger",
    "VedutaError",
    "__version__",
    "explain",
    "load",
    "load_landmarks",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "reports":  # a room, for ``veduta.reports.bars``
        return import_module("veduta.reports")
    if name not in _HOMES:
        raise AttributeError(f"module 'veduta' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
