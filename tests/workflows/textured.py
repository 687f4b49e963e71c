"""Textured photos of about one colour each, unlike every other: what the made internet of these tests serves."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

COLOURS = {"red": (200, 60, 60), "blue": (60, 60, 200)}


def photo(colour: str, number: int, side: int = 200) -> bytes:
    """A textured photo of about this colour, unlike every other."""
    draw = np.random.default_rng((number, *colour.encode()))
    coarse = draw.normal(0, 40, (9, 12, 3))
    picture = Image.fromarray(np.clip(coarse + COLOURS[colour], 0, 255).astype(np.uint8))
    file = io.BytesIO()
    picture.resize((side * 4 // 3, side), Image.Resampling.BICUBIC).save(file, "JPEG")
    return file.getvalue()
