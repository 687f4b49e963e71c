"""Asking a server of Veduta, as its page does: ``veduta.Client``. docs/api.md describes what is asked and answered."""

from __future__ import annotations

from veduta.client.answers import Answer, Health, HeatMap, ReferencePicture
from veduta.client.asking import Client

__all__ = ["Answer", "Client", "Health", "HeatMap", "ReferencePicture"]
