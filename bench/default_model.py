"""The bundled model, which the figures are asked of."""

from __future__ import annotations

from pathlib import Path

from bench.settings import Settings
from veduta.errors import BundleNotFound
from veduta.models.store import find
from veduta.recognition.tagger import DEFAULT_MODEL


def default_model(settings: Settings) -> Path:
    """The folder of the bundled model; before it is trained, ImageNet's MobileNetV2 stands in for it, and says so."""
    try:
        return find(DEFAULT_MODEL)
    except BundleNotFound:
        from bench.networks import bundle_of

        print(f"there is no {DEFAULT_MODEL} yet; ImageNet's MobileNetV2 stands in for it", flush=True)
        return bundle_of("mobilenet_v2", settings.out / "models")
