"""The made model of colours and its photos, for pages about them."""

from ..evaluation.conftest import colour_folders, made_model

__all__ = ["colour_folders", "made_model"]
